//! What the front asks the Directory about sessions.

use codecrafter_shared::api::{
    CreateSession, ForkOf, HistoryPerson, Page, Participant, Session, SessionContent,
    SessionSummary, UpdateSession,
};
use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::role::Role;
use serde::{Deserialize, Serialize};

use crate::directory::outbox::Committed;
use crate::room::versions::Author;
use crate::room::{AccessNotice, Principal};
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

    /// Sessions, newest change first.
    "/sessions/list" => List {
        /// Who calls.
        caller: Caller,
        /// Which of them.
        scope: Scope,
        /// Which page, from 1.
        page: u32,
        /// Items on a full page.
        limit: u32,
        /// Only those of this language.
        language: Option<String>,
        /// Only those with each of these in title or description; in lower case.
        words: Vec<String>,
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

    /// Makes somebody a participant. The role may be given by somebody.
    "/sessions/participants/add" => AddParticipant {
        /// Who calls.
        caller: Caller,
        /// Which session.
        session_id: SessionId,
        /// Who is added, by their name in any case.
        username: String,
        /// As what.
        role: Role,
    } -> Committed<Participant>;

    /// Gives a participant another role.
    "/sessions/participants/change" => ChangeRole {
        /// Who calls.
        caller: Caller,
        /// Which session.
        session_id: SessionId,
        /// Whose role.
        user_id: UserId,
        /// The new one.
        role: Role,
    } -> Committed<Participant>;

    /// Takes a participant out; if that is the caller, it is called leaving.
    "/sessions/participants/remove" => RemoveParticipant {
        /// Who calls.
        caller: Caller,
        /// Which session.
        session_id: SessionId,
        /// Who goes.
        user_id: UserId,
    } -> Committed<()>;

    /// Makes a participant the owner.
    "/sessions/transfer" => Transfer {
        /// Who calls: the owner.
        caller: Caller,
        /// Which session.
        session_id: SessionId,
        /// Who is to own it.
        user_id: UserId,
    } -> Committed<Session>;

    /// Who the caller is in a session that they may see.
    "/sessions/stand" => Stand {
        /// Who calls.
        caller: Caller,
        /// Which session.
        session_id: SessionId,
    } -> Standing;

    /// The names of users, as others see them, for whoever sees a session in which they have done
    /// something. Those that have no account any more are left out.
    "/sessions/names" => Names {
        /// Who calls.
        caller: Caller,
        /// Which session.
        session_id: SessionId,
        /// Whose names.
        users: Vec<UserId>,
    } -> Vec<HistoryPerson>;

    /// Makes a session of the text of another one, with the caller as its owner. The request is
    /// valid.
    "/sessions/fork" => Fork {
        /// Who calls.
        caller: Caller,
        /// What it is made of; the caller may see that.
        of: ForkOf,
        /// The title, if not that of the other one.
        title: Option<String>,
        /// The description, if not that of the other one.
        description: Option<String>,
        /// The text to begin with.
        content: SessionContent,
    } -> Committed<Session>;

    /// Whether the caller may edit the document; gives what the room has to know for that.
    "/sessions/may-edit" => MayEdit {
        /// Who calls.
        caller: Caller,
        /// Which session.
        session_id: SessionId,
    } -> AccessNotice;
}

/// Which sessions are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Those that the caller has joined (CC-SESS-23).
    Mine,
    /// All that are public (CC-SESS-22).
    Public,
}

/// A session, and what the caller's room token will say.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinedSession {
    /// The session, with the caller among its participants.
    pub session: Session,
    /// The caller's pass.
    pub pass: Principal,
}

/// Somebody in a session, for what they do there without a socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Their role; none for who has not joined.
    pub role: Option<Role>,
    /// Who they are. Without a name for who has not joined.
    pub author: Author,
    /// Who may do what.
    pub notice: AccessNotice,
}
