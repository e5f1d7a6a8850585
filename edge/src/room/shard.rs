//! A room's answers to the calls of front and Directory, wherever the room lives.
//!
//! [`RoomHost`] is the place: a Durable Object that keeps the room and its sockets in memory, or
//! [`StoredRoom`], which takes it from the database for one call and puts it back.

use std::sync::Arc;

use async_trait::async_trait;
use codecrafter_shared::api::SessionContent;
use codecrafter_shared::error::{ErrorCode, FieldError};
use codecrafter_shared::id::SessionId;
use codecrafter_shared::limits;

use super::calls::{EndLogin, Initialise, ReadContent, TakeNotice, TakeReports, WriteText};
use super::write::{NotWritten, Write, Written};
use super::{Document, Input, Room, store};
use crate::error::Refusal;
use crate::ports::{Clock, Db, DbError, ShardResponse};
use crate::shard::{Call, answer, no_such_call, received};

/// A place where one room lives.
#[async_trait]
pub trait RoomHost: Send + Sync {
    /// Gives the room an input: its changes are stored, then its outputs performed. Gives
    /// [`Step::written`](super::Step::written).
    ///
    /// # Errors
    /// Those of the database; the room is then as it was stored last.
    async fn feed(&self, input: Input<'_>) -> Result<Option<Written>, Refusal>;

    /// The document as it stands; nothing if its session is deleted.
    ///
    /// # Errors
    /// Those of the database.
    async fn content(&self) -> Result<Option<SessionContent>, Refusal>;
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
                .map(drop)
            }
            .await,
        ),
        TakeNotice::PATH => answer(
            async {
                let call: TakeNotice = received(body)?;
                host.feed(Input::Notice(call.notice)).await.map(drop)
            }
            .await,
        ),
        EndLogin::PATH => answer(
            async {
                let call: EndLogin = received(body)?;
                host.feed(Input::LoginEnded(call.login)).await.map(drop)
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
        ReadContent::PATH => answer(
            async {
                let content = host.content().await?;
                content.ok_or_else(|| refusal(NotWritten::Deleted))
            }
            .await,
        ),
        WriteText::PATH => answer(async { write(host, &received(body)?).await }.await),
        _ => no_such_call(),
    }
}

async fn write(host: &dyn RoomHost, call: &WriteText) -> Result<SessionContent, Refusal> {
    let write = Input::Write(Write {
        user_id: call.user_id,
        notice: &call.notice,
        request: &call.request,
        expected: call.expected.as_deref(),
    });
    let written = host.feed(write).await?;
    written.unwrap_or(Err(NotWritten::Damaged)).map_err(refusal)
}

fn refusal(why: NotWritten) -> Refusal {
    let field = |field: &str, message: String| {
        let field = field.into();
        Refusal::fields(vec![FieldError { field, message }])
    };
    match why {
        NotWritten::Deleted => Refusal::new(ErrorCode::SessionNotFound),
        NotWritten::Forbidden => {
            Refusal::with_detail(ErrorCode::Forbidden, "needs the right to edit")
        }
        NotWritten::Changed => Refusal::new(ErrorCode::ContentChanged),
        NotWritten::TooLarge => {
            let max = limits::DOCUMENT_BYTES_MAX;
            let what = "is too much: the document and its history are at most";
            field("content", format!("{what} {max} bytes"))
        }
        NotWritten::NotText => field(
            "content",
            "cannot take the place of what is not text; remove that in the room".into(),
        ),
        NotWritten::Damaged => Refusal::retry_after(ErrorCode::Unavailable, 1),
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

/// How often an input is given to the room anew because another one was stored in between. Each
/// time one of those that are under way comes through.
const TRIES_MAX: u32 = 20;

#[async_trait]
impl RoomHost for StoredRoom {
    async fn feed(&self, input: Input<'_>) -> Result<Option<Written>, Refusal> {
        for _ in 0..TRIES_MAX {
            let mut room = self.open().await?;
            if room.needs_document(&input) {
                self.load(&mut room).await?;
            }
            // Nobody is connected, so there is nobody to send the outputs to.
            let step = room.step(self.clock.now(), input.clone());
            match store::persist(&*self.db, self.session, &step.changes).await {
                Ok(()) => return Ok(step.written),
                Err(DbError::Busy) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(DbError::Busy.into())
    }

    async fn content(&self) -> Result<Option<SessionContent>, Refusal> {
        let mut room = self.open().await?;
        if room.is_deleted() {
            return Ok(None);
        }
        self.load(&mut room).await?;
        Ok(Some(read(&room)))
    }
}

/// The text of a room whose document was provided.
#[must_use]
pub fn read(room: &Room) -> SessionContent {
    room.document().map(Document::read).unwrap_or_default()
}
