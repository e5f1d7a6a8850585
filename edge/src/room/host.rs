//! Where a room lives, as far as its answers to calls need it: a Durable Object that keeps the room and
//! its sockets in memory, or [`super::stream`], which takes it from the database for each input and puts
//! it back.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use codecrafter_shared::api::SessionContent;
use codecrafter_shared::error::{ErrorCode, FieldError};
use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use super::Input;
use super::calls::WriteText;
use super::write::{NotWritten, Write, Written};
use crate::error::Refusal;
use crate::ports::Db;

/// A place where one room lives.
#[async_trait]
pub trait RoomHost: Send + Sync {
    /// Takes an input: its changes are stored, then its outputs performed. Gives
    /// [`Step::written`](super::Step::written).
    ///
    /// # Errors
    /// Those of the database; the room is then as it was stored last.
    async fn take(&self, input: Input<'_>) -> Result<Option<Written>, Refusal>;

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
    let written = host.take(write).await?;
    written.unwrap_or(Err(NotWritten::Damaged)).map_err(refusal)
}

/// Why something was not written, for who asked.
pub(super) fn refusal(why: NotWritten) -> Refusal {
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
