//! What leaves the Directory: messages to rooms and to people, and how each is sent.

use codecrafter_shared::id::{OutboxId, SessionId, UserId};
use codecrafter_shared::job::{Report, SourceFile};
use serde::{Deserialize, Serialize};

use crate::error::Refusal;
use crate::notifications::calls::{EndLogin as EndLoginOfPerson, TakeNote};
use crate::notifications::note::Note;
use crate::ports::{Shard, Shards};
use crate::room::calls::{EndLogin, Initialise, TakeNotice, TakeReports, WhoIsHere};
use crate::room::{AccessNotice, EndedLogin};
use crate::shard::call;

/// A message in the outbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutboxMessage {
    /// Its row.
    pub id: OutboxId,
    /// What it says, and to whom.
    #[serde(flatten)]
    pub letter: Letter,
}

/// Whom a message is for, and what it says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", untagged)]
pub enum Letter {
    /// For the room of a session.
    #[serde(rename_all = "camelCase")]
    Room {
        /// Whose room.
        session_id: SessionId,
        /// What.
        message: RoomMessage,
    },
    /// For a person.
    #[serde(rename_all = "camelCase")]
    Person {
        /// Who.
        user_id: UserId,
        /// What.
        message: PersonMessage,
    },
}

impl From<(SessionId, RoomMessage)> for Letter {
    fn from((session_id, message): (SessionId, RoomMessage)) -> Self {
        Self::Room {
            session_id,
            message,
        }
    }
}

impl Letter {
    /// What it says, as JSON.
    ///
    /// # Errors
    /// As those of `serde_json`.
    pub(super) fn text(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Room { message, .. } => serde_json::to_string(message),
            Self::Person { message, .. } => serde_json::to_string(message),
        }
    }

    /// From a row and the text that [`Letter::text`] gave.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`](codecrafter_shared::error::ErrorCode::Internal), if it is not readable.
    pub(super) fn read(
        session_id: Option<SessionId>,
        user_id: Option<UserId>,
        text: &[u8],
    ) -> Result<Self, Refusal> {
        match (session_id, user_id) {
            (Some(session_id), None) => {
                let message = serde_json::from_slice(text).map_err(Refusal::internal)?;
                Ok(Self::Room {
                    session_id,
                    message,
                })
            }
            (None, Some(user_id)) => {
                let message = serde_json::from_slice(text).map_err(Refusal::internal)?;
                Ok(Self::Person { user_id, message })
            }
            _ => Err(Refusal::internal("a message is for nobody, or for two")),
        }
    }
}

/// What a person is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum PersonMessage {
    /// Something has happened.
    #[serde(rename_all = "camelCase")]
    Note {
        /// What.
        note: Note,
        /// Nothing is told to who is in the room of this session, and sees it there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unless_in: Option<SessionId>,
    },
    /// A login session has ended that was given feed tokens.
    #[serde(rename_all = "camelCase")]
    LoginEnded {
        /// Which.
        login: EndedLogin,
    },
}

/// What a room is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum RoomMessage {
    /// The session exists.
    #[serde(rename_all = "camelCase")]
    Created {
        /// The main file to begin with.
        content: String,
        /// Further files to begin with, sorted by path.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<SourceFile>,
        /// Who may do what.
        notice: AccessNotice,
    },
    /// Who may do what has changed.
    #[serde(rename_all = "camelCase")]
    Access {
        /// Who may do what.
        notice: AccessNotice,
    },
    /// A login session has ended that had a pass for the room.
    #[serde(rename_all = "camelCase")]
    LoginEnded {
        /// Which.
        login: EndedLogin,
    },
    /// An execution of the session has ended.
    #[serde(rename_all = "camelCase")]
    Finished {
        /// The report that ended it.
        report: Box<Report>,
    },
}

/// Sends one message to where it belongs.
///
/// # Errors
/// What the shard refused with, or that it did not answer.
pub async fn send(shards: &dyn Shards, message: &OutboxMessage) -> Result<(), Refusal> {
    match &message.letter {
        Letter::Room {
            session_id,
            message,
        } => send_to_room(shards, *session_id, message).await,
        Letter::Person {
            user_id,
            message: said,
        } => send_to_person(shards, *user_id, message.id, said).await,
    }
}

async fn send_to_room(
    shards: &dyn Shards,
    session: SessionId,
    message: &RoomMessage,
) -> Result<(), Refusal> {
    let room = Shard::Room { session };
    match message {
        RoomMessage::Created {
            content,
            files,
            notice,
        } => {
            let initialise = Initialise {
                content: content.clone(),
                files: files.clone(),
                notice: notice.clone(),
            };
            call(shards, &room, &initialise).await
        }
        RoomMessage::Access { notice } => {
            let notice = notice.clone();
            call(shards, &room, &TakeNotice { notice }).await
        }
        RoomMessage::LoginEnded { login } => {
            let login = *login;
            call(shards, &room, &EndLogin { login }).await
        }
        RoomMessage::Finished { report } => {
            let reports = vec![(**report).clone()];
            call(shards, &room, &TakeReports { reports }).await
        }
    }
}

async fn send_to_person(
    shards: &dyn Shards,
    user_id: UserId,
    id: OutboxId,
    message: &PersonMessage,
) -> Result<(), Refusal> {
    let person = Shard::Person { user: user_id };
    match message {
        PersonMessage::Note { note, unless_in } => {
            if let Some(session) = *unless_in {
                let here = call(shards, &Shard::Room { session }, &WhoIsHere {}).await?;
                if here.contains(&user_id) {
                    return Ok(());
                }
            }
            let take = TakeNote {
                user_id,
                mark: note.mark_with(id),
                note: note.clone(),
            };
            call(shards, &person, &take).await
        }
        PersonMessage::LoginEnded { login } => {
            let login = *login;
            call(shards, &person, &EndLoginOfPerson { login }).await
        }
    }
}
