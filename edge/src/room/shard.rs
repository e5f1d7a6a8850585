//! A room's answers to the calls of front and Directory, wherever the room lives.
//!
//! [`RoomHost`] is the place: a Durable Object that keeps the room and its sockets in memory, or
//! [`StoredRoom`], which takes it from the database for one call and puts it back.

use std::sync::Arc;

use async_trait::async_trait;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::job::SourceFile;

use super::calls::{Content, Initialise, ReadContent, TakeNotice, TakeReports};
use super::{Input, Room, store};
use crate::error::Refusal;
use crate::ports::{Clock, Db, ShardResponse};
use crate::shard::{Call, answer, no_such_call, received};

/// A place where one room lives.
#[async_trait]
pub trait RoomHost: Send + Sync {
    /// Gives the room an input: its changes are stored, then its outputs performed.
    ///
    /// # Errors
    /// Those of the database; the room is then as it was stored last.
    async fn feed(&self, input: Input<'_>) -> Result<(), Refusal>;

    /// The document as it stands.
    ///
    /// # Errors
    /// Those of the database.
    async fn content(&self) -> Result<Content, Refusal>;
}

/// Answers one call.
pub async fn handle(host: &dyn RoomHost, path: &str, body: &[u8]) -> ShardResponse {
    match path {
        Initialise::PATH => answer(
            async {
                let call: Initialise = received(body)?;
                host.feed(Input::Notice(call.notice)).await?;
                host.feed(Input::Initialise {
                    content: &call.content,
                })
                .await
            }
            .await,
        ),
        TakeNotice::PATH => answer(
            async {
                let call: TakeNotice = received(body)?;
                host.feed(Input::Notice(call.notice)).await
            }
            .await,
        ),
        TakeReports::PATH => answer(
            async {
                let call: TakeReports = received(body)?;
                for report in &call.reports {
                    host.feed(Input::Report(report)).await?;
                }
                Ok(())
            }
            .await,
        ),
        ReadContent::PATH => answer(host.content().await),
        _ => no_such_call(),
    }
}

/// A room without sockets, for platforms where memory does not last.
pub struct StoredRoom {
    /// The database of all rooms.
    pub db: Arc<dyn Db>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Which room.
    pub session: SessionId,
}

impl StoredRoom {
    async fn open(&self) -> Result<Room, Refusal> {
        store::migrate(&*self.db).await?;
        let stored = store::restore(&*self.db, self.session).await?;
        Ok(Room::restore(stored, Vec::new(), self.clock.now()))
    }

    async fn load(&self, room: &mut Room) -> Result<(), Refusal> {
        let document = store::load_document(&*self.db, self.session, self.clock.now()).await?;
        room.provide(document);
        Ok(())
    }
}

#[async_trait]
impl RoomHost for StoredRoom {
    async fn feed(&self, input: Input<'_>) -> Result<(), Refusal> {
        let mut room = self.open().await?;
        if room.needs_document(&input) {
            self.load(&mut room).await?;
        }
        // Nobody is connected, so there is nobody to send the outputs to.
        let step = room.step(self.clock.now(), input);
        Ok(store::persist(&*self.db, self.session, &step.changes).await?)
    }

    async fn content(&self) -> Result<Content, Refusal> {
        let mut room = self.open().await?;
        self.load(&mut room).await?;
        Ok(read(&room))
    }
}

/// The text of a room whose document was provided.
#[must_use]
pub fn read(room: &Room) -> Content {
    let files = room.files().unwrap_or_default();
    Content {
        content: room.content().unwrap_or_default(),
        files: files
            .into_iter()
            .map(|(path, content)| SourceFile { path, content })
            .collect(),
    }
}
