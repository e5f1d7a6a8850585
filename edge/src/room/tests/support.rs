//! A world around the room: an adapter, sockets, a database, clients, and people.

mod client;
#[cfg(test)]
mod database;
mod luck;
mod world;

use codecrafter_shared::id::{LoginSessionId, SessionId, UserId};
use codecrafter_shared::relay::{AppFrame, MESSAGE_APP};
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;

pub use client::{Client, settle};
#[cfg(test)]
pub use database::Flaky;
pub use luck::{Luck, seeds};
#[cfg(test)]
pub use world::Disk;
pub use world::World;

use crate::room::read::Reader;
use crate::room::{AccessNotice, Principal};

pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub fn user(n: u8) -> UserId {
    UserId::at(START, [n; 10])
}

/// The login session that everybody's first tokens are of.
pub fn login(n: u8) -> LoginSessionId {
    LoginSessionId::at(START, [n; 10])
}

pub fn session(n: u8) -> SessionId {
    SessionId::at(START, [n; 10])
}

pub fn principal(n: u8, role: Role) -> Principal {
    Principal {
        user_id: user(n),
        login_session_id: login(n),
        username: format!("user{n}"),
        display_name: format!("User {n}"),
        role,
        access_version: 1,
        expires_at: START.plus_millis(3_600_000),
    }
}

pub fn notice(version: u64, participants: &[(u8, Role)]) -> AccessNotice {
    AccessNotice {
        access_version: version,
        locked: false,
        deleted: false,
        participants: participants
            .iter()
            .map(|(n, role)| (user(*n), *role))
            .collect(),
    }
}

pub fn app_frame(frame: &[u8]) -> Option<AppFrame> {
    let mut reader = Reader::new(frame);
    (reader.byte().ok()? == MESSAGE_APP)
        .then(|| serde_json::from_slice(reader.var_bytes().unwrap()).unwrap())
}

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
