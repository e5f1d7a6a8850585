//! A socket as the room knows it, and what the front says about the person behind it.

use codecrafter_shared::id::{LoginSessionId, UserId};
use codecrafter_shared::relay::{CAPABILITY_APP, CAPABILITY_QUIET};
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::rate::Spent;

/// A socket. Given by the adapter, unique in the life of the room (across hibernation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectionId(pub u64);

/// Who connects, from a verified room token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Principal {
    /// The account.
    pub user_id: UserId,
    /// The login session that the token was given to: when it ends, so does the socket (E7).
    pub login_session_id: LoginSessionId,
    /// The account's name.
    pub username: String,
    /// What others see.
    pub display_name: String,
    /// The role when the token was made.
    pub role: Role,
    /// The session's access version when the token was made (E7).
    pub access_version: u64,
    /// When the token ends, and the socket with it.
    pub expires_at: Timestamp,
}

/// What a client has asked for in `?caps=`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wishes {
    /// Our own frames ([`CAPABILITY_APP`]).
    pub app_frames: bool,
    /// To be silent while nothing happens ([`CAPABILITY_QUIET`]).
    pub quiet: bool,
}

impl Wishes {
    /// From the value of `caps`, a list by commas or spaces; what is not known means nothing.
    #[must_use]
    pub fn parse(caps: &str) -> Self {
        let has = |wish| caps.split([',', ' ']).any(|cap| cap == wish);
        Self {
            app_frames: has(CAPABILITY_APP),
            quiet: has(CAPABILITY_QUIET),
        }
    }
}

/// An open socket. The adapter stores it with the socket on every
/// [`Output::Remember`](super::Output::Remember), so that a woken room knows its sockets; as JSON
/// it stays below 4 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The socket.
    pub id: ConnectionId,
    /// Who it is; `role` and `access_version` are those that hold now.
    pub principal: Principal,
    /// Whether it asked for our own frames.
    pub app_frames: bool,
    /// Whether it is silent while nothing happens.
    #[serde(default)]
    pub quiet: bool,
    /// The awareness ids that are bound to it, each with the last clock that was remembered.
    pub awareness: Vec<(u64, u64)>,
    /// The room has asked it for what the room lacks, and has no answer yet.
    pub asked: bool,
    /// Whether the room has asked it at all.
    pub greeted: bool,
    /// Answers in a row after which the room still lacked something before them.
    pub gaps: u8,
    /// Edits that were dropped while such an answer was awaited.
    pub dropped: u8,
    /// Edits that were dropped for want of the right to make them.
    pub denials: u8,
    /// Frames that were not of the protocol.
    pub faults: u8,
    /// Its oldest edit that the room does not have, and all that it has sent since: how many they
    /// are. They are saved when it has answered what the room asks then.
    #[serde(default)]
    pub unsaved: u32,
    /// Bytes that it was sent since it was last heard of. In memory only.
    #[serde(skip)]
    pub(super) unheard: usize,
    /// When it was last remembered. In memory only: after a sleep it is remembered soon again.
    #[serde(skip)]
    pub(super) remembered_at: Timestamp,
    /// When it was last given a sign of life for what it says of itself. In memory only.
    #[serde(skip)]
    pub(super) kept_alive_at: Timestamp,
    /// What it has sent of late. In memory only.
    #[serde(skip)]
    pub(super) spent: Spent,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, principal: Principal, wishes: Wishes) -> Self {
        Self {
            id,
            principal,
            app_frames: wishes.app_frames,
            quiet: wishes.quiet,
            awareness: Vec::new(),
            asked: false,
            greeted: false,
            gaps: 0,
            dropped: 0,
            denials: 0,
            faults: 0,
            unsaved: 0,
            unheard: 0,
            remembered_at: Timestamp::default(),
            kept_alive_at: Timestamp::default(),
            spent: Spent::default(),
        }
    }

    /// What a frame may change of what is remembered, awareness aside.
    pub(super) const fn marks(&self) -> (bool, bool, [u8; 4], u32) {
        let counts = [self.gaps, self.dropped, self.denials, self.faults];
        (self.asked, self.greeted, counts, self.unsaved)
    }
}
