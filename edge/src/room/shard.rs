//! A room's answers to the calls of front and Directory, wherever the room lives.
//!
//! [`RoomHost`] is the place: a Durable Object that keeps the room and its sockets in memory, or
//! [`super::feed`], which takes it from the database for each input and puts it back.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use codecrafter_shared::api::SessionContent;
use codecrafter_shared::error::{ErrorCode, FieldError};
use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use super::calls::{
    EndLogin, Initialise, ReadContent, TakeNotice, TakeReports, WhoIsHere, WriteText,
};
use super::write::{NotWritten, Write, Written};
use super::{Document, Input, Room, chat, versions};
use crate::error::Refusal;
use crate::ports::{Db, ShardResponse};
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

    /// Who has an open connection, each once.
    ///
    /// # Errors
    /// Those of the database.
    async fn here(&self) -> Result<BTreeSet<UserId>, Refusal>;

    /// What the room keeps besides its document is read and written through this.
    ///
    /// # Errors
    /// Those of the database.
    async fn storage(&self) -> Result<Storage, Refusal>;
}

/// The database of a room, and when it is there.
pub struct Storage {
    /// The database; its tables are those that this version wants.
    pub db: Arc<dyn Db>,
    /// Which of its rooms.
    pub session: SessionId,
    /// The time.
    pub now: Timestamp,
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
                    files: &call.files,
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
        WhoIsHere::PATH => answer(
            async {
                let here = host.here().await?;
                Ok(here.into_iter().collect::<Vec<_>>())
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
        WriteText::PATH => answer(
            async {
                let call = received(body)?;
                versions::shard::take_if_rested(host).await;
                write(host, &call).await
            }
            .await,
        ),
        _ => match versions::shard::handle(host, path, body).await {
            Some(answered) => answered,
            None => chat::shard::handle(host, path, body)
                .await
                .unwrap_or_else(no_such_call),
        },
    }
}

/// [`WriteText`].
///
/// # Errors
/// What [`NotWritten`] says, and those of the database.
pub(super) async fn write(
    host: &dyn RoomHost,
    call: &WriteText,
) -> Result<SessionContent, Refusal> {
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

/// The text of a room whose document was provided.
#[must_use]
pub fn read(room: &Room) -> SessionContent {
    room.document().map(Document::read).unwrap_or_default()
}
