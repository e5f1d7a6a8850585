//! Client ⇄ room: our own frames and the close codes. The rest of the wire is y-protocols.
//!
//! A frame of ours is `varUint(110) varUint8Array(json)`, with the JSON of an [`AppFrame`]. It
//! goes only to clients that asked for it with `?caps=app1`: a stock provider logs an error for
//! every message type that it does not know.

use serde::{Deserialize, Serialize};

use crate::api::{ChatMessage, Version};
use crate::id::{AttemptId, ExecutionId, UserId};
use crate::job::{Stage, Stream, Verdict};
use crate::role::Role;
use crate::time::Timestamp;

/// y-protocols: sync messages.
pub const MESSAGE_SYNC: u8 = 0;
/// y-protocols: awareness.
pub const MESSAGE_AWARENESS: u8 = 1;
/// y-protocols: permission denied.
pub const MESSAGE_AUTH: u8 = 2;
/// y-protocols: a wish for everybody's awareness.
pub const MESSAGE_QUERY_AWARENESS: u8 = 3;
/// Ours. Far from the ids in use elsewhere.
pub const MESSAGE_APP: u8 = 110;

/// What a client puts into `?caps=` to get our frames.
pub const CAPABILITY_APP: &str = "app1";

/// What a client puts into `?caps=` that is silent while nothing happens: what it says of itself
/// holds as long as its socket, and it needs no sign of life that it has not asked for.
pub const CAPABILITY_QUIET: &str = "quiet1";

/// A text frame that asks for a sign of life. The platform answers in the room's stead, which may
/// sleep on.
pub const PING: &str = "ping";
/// The answer to [`PING`], a text frame too.
pub const PONG: &str = "pong";

/// The subprotocol that is selected if a client offers it, and the prefix of the one that carries
/// a token: `new WebSocket(url, ["yjs", "token.<roomToken>"])`.
pub const SUBPROTOCOL: &str = "yjs";
/// See [`SUBPROTOCOL`].
pub const SUBPROTOCOL_TOKEN_PREFIX: &str = "token.";

/// From the room to clients that asked for our frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum AppFrame {
    /// The first frame of a connection: who the client is here.
    #[serde(rename_all = "camelCase")]
    Welcome {
        /// The client's role.
        role: Role,
        /// Whether edits are refused from everybody but the owner.
        locked: bool,
    },
    /// The role or the lock has changed.
    #[serde(rename_all = "camelCase")]
    Access {
        /// The client's role.
        role: Role,
        /// Whether edits are refused from everybody but the owner.
        locked: bool,
    },
    /// What the client has sent is stored: it is there whatever crashes now.
    #[serde(rename_all = "camelCase")]
    Saved {
        /// How many of the connection's edits, oldest first, since the last frame of this kind.
        /// Each SyncStep2 and each Update that the client sends is an edit, whatever is in it.
        edits: u32,
    },
    /// An attempt has started: what was shown of an earlier one is to be cleared.
    #[serde(rename_all = "camelCase")]
    RunStarted {
        /// The execution.
        execution_id: ExecutionId,
        /// The attempt.
        attempt_id: AttemptId,
        /// The language id.
        language: Option<String>,
        /// When, by the executor's clock.
        at: Timestamp,
    },
    /// A stage begins.
    #[serde(rename_all = "camelCase")]
    RunStage {
        /// The execution.
        execution_id: ExecutionId,
        /// The attempt.
        attempt_id: AttemptId,
        /// Which stage.
        stage: Stage,
    },
    /// The program wrote something.
    #[serde(rename_all = "camelCase")]
    RunOutput {
        /// The execution.
        execution_id: ExecutionId,
        /// The attempt.
        attempt_id: AttemptId,
        /// Number of the report; a gap means that output was dropped on the way.
        seq: u32,
        /// Where it was written to.
        stream: Stream,
        /// What was written.
        text: String,
    },
    /// The execution has ended; `GET /executions/{id}` has the whole.
    #[serde(rename_all = "camelCase")]
    RunFinished {
        /// The execution.
        execution_id: ExecutionId,
        /// The attempt.
        attempt_id: AttemptId,
        /// How.
        verdict: Verdict,
        /// The exit code, if the program exited.
        exit_code: Option<i32>,
        /// CPU time.
        cpu_ms: Option<u64>,
        /// Wall time.
        wall_ms: Option<u64>,
        /// The most memory held at once.
        peak_bytes: Option<u64>,
    },
    /// Somebody has said something.
    #[serde(rename_all = "camelCase")]
    ChatMessage {
        /// What.
        message: ChatMessage,
    },
    /// A message was deleted.
    #[serde(rename_all = "camelCase")]
    ChatDeleted {
        /// Its number.
        seq: u64,
    },
    /// A version of the document was taken.
    #[serde(rename_all = "camelCase")]
    VersionTaken {
        /// Which.
        version: Version,
    },
    /// The document has the text again that it had after an earlier step of its history. The edit
    /// itself has come before.
    #[serde(rename_all = "camelCase")]
    StepRestored {
        /// The step's number.
        step: u64,
        /// Who did it.
        user_id: UserId,
        /// Their name, as others see it.
        display_name: String,
        /// When.
        at: Timestamp,
    },
    /// The document has the text of an earlier version again. The edit itself has come before.
    #[serde(rename_all = "camelCase")]
    VersionRestored {
        /// The version's number.
        number: u64,
        /// Who did it.
        user_id: UserId,
        /// Their name, as others see it.
        display_name: String,
        /// When.
        at: Timestamp,
    },
}

/// Why a room, or a person's feed, closes a socket. 4400–4499 are final for y-websocket 3.1 and
/// later; all others make it connect again (`docs/realtime.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The frame is not of the protocol.
    Malformed = 4400,
    /// The token is missing, forged or expired: get another, then connect.
    Unauthorized = 4401,
    /// No access any more, or repeated edits without the right to.
    Forbidden = 4403,
    /// No such room, or it was deleted.
    NotFound = 4404,
    /// The client's history conflicts with the room's: make a new `Y.Doc`.
    Conflict = 4409,
    /// A frame or the document is over its quota.
    TooLarge = 4413,
    /// Too many sockets; connect later.
    Overloaded = 4503,
    /// More frames or bytes than one client may send; connect again, and send what is left.
    TooFast = 4529,
}

impl CloseCode {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// A sentence for the close frame; at most 123 bytes (RFC 6455 §5.5).
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed frame",
            Self::Unauthorized => "token missing, invalid or expired",
            Self::Forbidden => "no access",
            Self::NotFound => "no such session",
            Self::Conflict => "conflicting history; make a new document",
            Self::TooLarge => "over quota",
            Self::Overloaded => "too many connections; try again",
            Self::TooFast => "too fast; try again",
        }
    }
}
