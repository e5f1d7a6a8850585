//! A session's room: the document that everybody edits, who is there, and the run that they
//! watch. It speaks the protocol of y-websocket, so a stock provider connects to it unmodified
//! (R2), and adds frames of our own for clients that ask for them.
//!
//! The room is a pure state machine (R1): an [`Input`] and the time go in, a [`Step`] comes out.
//! It owns the rules. It owns no socket, no clock and no database; [`store`] is its only part
//! that waits for anything. The one rule for callers:
//!
//! > Store the step's changes in one transaction. Only then perform its outputs, in order. If
//! > storing fails, drop the room and close its sockets with a code that reconnects.
//!
//! ```text
//!   restore ─▶ Room ◀─ provide(document)          a woken room sleeps on without its document
//!               │         ▲ when needs_document(input)
//!   input ─▶  step ─▶ changes ─▶ store::persist ─▶ outputs
//! ```
//!
//! Modules in the order in which a frame meets them: [`frame`] parses it, [`access`] says what
//! its sender may do, [`logins`] whose token is worth nothing and [`rate`] how much is too much,
//! [`gate`] with [`scan`], [`read`], [`place`], [`order`] and [`authors`] let it through or not, [`document`]
//! integrates it, [`pending`] holds it back for a moment, [`store`] keeps it. [`awareness`] and [`run`] are what a room shows besides, and
//! [`mod@write`] with [`mod@tag`] is the way of those who come without a socket; [`versions`],
//! [`history`] and [`chat`] are what it keeps besides the document. [`shard`] answers calls, [`host`] is
//! where a room lives, and [`stream`] is a room where there are no sockets.

mod access;
mod authors;
mod awareness;
pub mod calls;
pub mod chat;
mod connection;
mod document;
mod frame;
mod gate;
pub mod history;
pub mod host;
mod identity;
mod logins;
mod machine;
mod order;
mod pending;
mod place;
mod rate;
mod read;
mod run;
mod scan;
pub mod shard;
pub mod store;
pub mod stream;
pub mod tag;
#[cfg(any(test, feature = "probes"))]
pub(crate) mod tests;
pub mod versions;
mod weight;
pub mod write;

use codecrafter_shared::id::UserId;
use codecrafter_shared::job::{Report, SourceFile};
use codecrafter_shared::relay::{AppFrame, CloseCode};
use codecrafter_shared::time::Timestamp;
use write::{Write, Written};

pub use access::AccessNotice;
pub use connection::{Connection, ConnectionId, Principal, Wishes};
pub use document::Document;
pub use frame::permission_denied;
pub use logins::EndedLogin;
pub use machine::{LoadedDocument, Room, Stored, Suspended};

/// Something that happens to the room.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// A socket was accepted for somebody with a verified token.
    Connect {
        /// The socket.
        id: ConnectionId,
        /// Who it is.
        principal: Principal,
        /// What it asked for.
        wishes: Wishes,
    },
    /// A binary frame came. Text frames are not of the protocol: close the socket with
    /// [`CloseCode::Malformed`] instead.
    Frame {
        /// The socket.
        connection: ConnectionId,
        /// The frame.
        bytes: &'a [u8],
    },
    /// A socket was closed by the other side, or broke. Harmless for one that the room closed.
    Disconnect {
        /// The socket.
        connection: ConnectionId,
    },
    /// The session's access has changed. Harmless to repeat.
    Notice(AccessNotice),
    /// A login session has ended: its sockets are closed. Harmless to repeat.
    LoginEnded(EndedLogin),
    /// The session's first content. Does nothing in a room that has any.
    Initialise {
        /// The main file.
        content: &'a str,
        /// Further files, sorted by path.
        files: &'a [SourceFile],
    },
    /// Somebody without a socket writes; [`Step::written`] says what became of it.
    Write(Write<'a>),
    /// An executor reports on an execution of the session. Harmless to repeat.
    Report(&'a Report),
    /// Something that clients who asked for our frames are to be told. What is to outlast them is
    /// stored already.
    Tell(&'a AppFrame),
    /// The time of [`Output::FlushIn`] is over, or what the room holds is to be shown.
    Flush,
    /// The time of [`Output::WakeAt`] has come, or any other time.
    Tick,
}

/// What follows from an input.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use = "changes are to be stored and outputs performed"]
pub struct Step {
    /// To be stored, all in one transaction.
    pub changes: Vec<Change>,
    /// To be performed in order, after the changes are stored.
    pub outputs: Vec<Output>,
    /// The answer to [`Input::Write`], to be given after the changes are stored.
    pub written: Option<Written>,
}

/// What the adapter has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a binary frame to one socket.
    Send {
        /// The socket.
        to: ConnectionId,
        /// The frame.
        frame: Vec<u8>,
    },
    /// Send a binary frame to many sockets.
    Broadcast {
        /// Which.
        to: Audience,
        /// But not this one.
        except: Option<ConnectionId>,
        /// The frame.
        frame: Vec<u8>,
    },
    /// Close a socket. The room has forgotten it already.
    Close {
        /// The socket.
        connection: ConnectionId,
        /// Why.
        code: CloseCode,
    },
    /// Store [`Room::connection`] with its socket, for when the room sleeps.
    Remember(ConnectionId),
    /// Give the room [`Input::Flush`] after so many milliseconds, if it is still in memory.
    FlushIn(u32),
    /// Keep the document as a version, if it differs enough from the newest one
    /// ([`versions::store::take_if_worth_it`]).
    TakeVersion,
    /// Give the room [`Input::Tick`] at that time, in place of any earlier wish.
    WakeAt(Timestamp),
}

/// The sockets of a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// All.
    Everybody,
    /// Those with [`Connection::app_frames`].
    AppClients,
}

/// What is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An update was integrated into the document.
    AppendUpdate {
        /// Numbers the updates of a room from 1.
        seq: u64,
        /// When.
        at: Timestamp,
        /// Whose it is, each once; nobody's for the first content.
        actors: Vec<UserId>,
        /// As integrated, encoding V1; at most 512 KiB.
        data: Vec<u8>,
    },
    /// A state takes the place of all updates up to and including `base_seq`.
    Compact {
        /// Numbers the states of a room from 1.
        generation: u64,
        /// The last update that is in it. That update may never have been appended.
        base_seq: u64,
        /// The state, an update of encoding V1, in parts of at most 512 KiB.
        parts: Vec<Vec<u8>>,
        /// The last update, if it was never appended: the history is told of it too.
        last: Option<history::Edit>,
    },
    /// A client of the document is somebody's, for good.
    Author {
        /// The client, by its id in the document.
        client: u64,
        /// Whose it is.
        user: UserId,
    },
    /// The newest access notice.
    Access(AccessNotice),
    /// The session is deleted: nothing that the room holds is to be kept, but that it is.
    Purge,
    /// The tokens of a login session open nothing, until they have ended.
    LoginEnded(EndedLogin),
    /// That login session need not be remembered any more.
    ForgetLogin(EndedLogin),
}
