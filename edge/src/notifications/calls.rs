//! What the front and the Directory ask a person's shard.

use codecrafter_shared::api::{FeedFrame, Notifications, ReadState};
use codecrafter_shared::id::UserId;
use serde::{Deserialize, Serialize};

use super::note::Note;
use super::visitor::Mark;
use crate::room::EndedLogin;
use crate::shard::calls;
use crate::token::Caller;

calls! {
    /// The person is told something. Harmless to repeat, and to send late.
    "/note" => TakeNote {
        /// Whose shard it is.
        user_id: UserId,
        /// What tells the note from others.
        mark: String,
        /// What they are told.
        note: Note,
    } -> ();
    /// What the person was told, newest first.
    "/notes" => ListNotes {
        /// Whose shard it is.
        user_id: UserId,
        /// Only those with a lower number.
        before: Option<u64>,
        /// How many at most.
        limit: u32,
    } -> Notifications;
    /// All up to a number were read. Harmless to repeat.
    "/read" => ReadNotes {
        /// Whose shard it is.
        user_id: UserId,
        /// The number.
        up_to: u64,
    } -> ReadState;
    /// What is new for a client, as soon as there is something, or after a while. At once for a
    /// client that has nothing yet.
    "/listen" => Listen {
        /// Who listens: the shard is theirs.
        caller: Caller,
        /// What the client has.
        after: Option<Mark>,
        /// How long to wait at most.
        wait_ms: u32,
    } -> Heard;
    /// A login session has ended: what it has opened is closed, and its tokens open nothing. Harmless
    /// to repeat, and to send late.
    "/login-ended" => EndLogin {
        /// Which.
        login: EndedLogin,
    } -> ();
}

/// What a client is to hear.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heard {
    /// In this order.
    pub frames: Vec<FeedFrame>,
    /// How far the client is then.
    pub mark: Mark,
    /// Whether it has to stay away for longer: too many of the person's clients listen.
    pub crowded: bool,
}
