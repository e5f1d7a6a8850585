//! What the front, and a person's shard, ask the Directory about people.

use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::directory::outbox::Committed;
use crate::shard::calls;
use crate::token::Caller;

calls! {
    /// Notes that the caller is about to get a feed token; gives when that is to end.
    "/people/feed" => OpenFeed {
        /// Who calls.
        caller: Caller,
    } -> Timestamp;
    /// The caller is online until then, at least. Refused if their login has ended.
    "/people/seen" => KeepOnline {
        /// Who calls.
        caller: Caller,
        /// Until when.
        until: Timestamp,
    } -> ();
    /// A person is online until then, and no longer. Only the person's shard says so, which knows of
    /// all their sockets.
    "/people/online" => SetOnline {
        /// Who.
        user_id: UserId,
        /// Until when.
        until: Timestamp,
    } -> ();
    /// Which participants of a session have an open feed. For participants.
    "/people/online-in" => OnlineIn {
        /// Who calls.
        caller: Caller,
        /// Which session.
        session_id: SessionId,
    } -> SeenOnline;
    /// Tells those of a session's participants who are named in a message of the chat. Harmless to
    /// repeat.
    "/people/mention" => Mention {
        /// Who has said it.
        caller: Caller,
        /// Where.
        session_id: SessionId,
        /// The message's number.
        seq: u64,
        /// When it was said.
        at: Timestamp,
        /// How it begins.
        text: String,
        /// User names in it, in lower case.
        names: Vec<String>,
    } -> Committed<()>;
}

/// Who of a session is online, as far as the Directory knows.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenOnline {
    /// Its participants.
    pub participants: Vec<UserId>,
    /// Those of them with an open feed.
    pub online: Vec<UserId>,
}
