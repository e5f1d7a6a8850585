//! What the front asks the Directory about sessions.

use codecrafter_shared::api::{CreateSession, Page, Session, SessionSummary, UpdateSession};
use codecrafter_shared::id::SessionId;
use serde::{Deserialize, Serialize};

use crate::directory::outbox::Committed;
use crate::room::Principal;
use crate::shard::calls;
use crate::token::Caller;

calls! {
    /// Makes a session with the caller as its owner. The request is valid.
    "/sessions/create" => Create {
        /// Who calls.
        caller: Caller,
        /// What is wanted.
        request: CreateSession,
    } -> Committed<Session>;

    /// A session that the caller may see.
    "/sessions/get" => Get {
        /// Who calls.
        caller: Caller,
        /// Which.
        session_id: SessionId,
    } -> Session;

    /// The caller's sessions, newest change first.
    "/sessions/list" => List {
        /// Who calls.
        caller: Caller,
        /// Which page, from 1.
        page: u32,
        /// Items on a full page.
        limit: u32,
        /// Only those of this language.
        language: Option<String>,
    } -> Page<SessionSummary>;

    /// Changes settings. The request is valid.
    "/sessions/update" => Update {
        /// Who calls.
        caller: Caller,
        /// Which.
        session_id: SessionId,
        /// What is wanted.
        request: UpdateSession,
    } -> Committed<Session>;

    /// Deletes a session: nobody sees it any more, and its room closes.
    "/sessions/delete" => Delete {
        /// Who calls.
        caller: Caller,
        /// Which.
        session_id: SessionId,
    } -> Committed<()>;

    /// Makes the caller a participant, if not one already.
    "/sessions/join" => Join {
        /// Who calls.
        caller: Caller,
        /// Which.
        session_id: SessionId,
    } -> Committed<JoinedSession>;
}

/// A session, and what the caller's room token will say.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinedSession {
    /// The session, with the caller among its participants.
    pub session: Session,
    /// The caller's pass; its end is not set yet.
    pub pass: Principal,
}
