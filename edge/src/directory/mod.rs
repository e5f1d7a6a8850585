//! The Directory: the shard that holds everything relational of one tenant (E5). It is reached by
//! typed calls only; each is one transaction, so whatever a call promises holds after a crash.

pub mod letters;
pub mod outbox;
pub mod parts;
#[cfg(test)]
mod plans;
pub(crate) mod schema;
mod serve;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};

use crate::config::Config;
use crate::ports::{Cache, Clock, Db, Hasher, Rng, Shards, Signals};

/// One tenant's Directory, with the ports of the place where it lives.
pub struct Directory {
    /// Its database.
    pub db: Arc<dyn Db>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub rng: Arc<dyn Rng>,
    /// Wakes those who wait inside this shard.
    pub signals: Arc<dyn Signals>,
    /// The way to rooms and people, for what the outbox holds.
    pub shards: Arc<dyn Shards>,
    /// Only for the contract run.
    pub cache: Arc<dyn Cache>,
    /// Only for the contract run.
    pub hasher: Arc<dyn Hasher>,
    /// Settings.
    pub config: Config,
    /// What it remembers between calls; by default, nothing yet.
    pub memory: Memory,
}

/// What a Directory remembers between calls. Without it, work is done again and nothing is lost.
#[derive(Default)]
pub struct Memory {
    /// Whether the tables are there.
    migrated: AtomicBool,
    /// When the tick was last done, in milliseconds; so that of those who wait here one does it.
    ticked_at: AtomicI64,
    /// When something is due next, as the last tick knew.
    due_at: AtomicI64,
}

/// The private route that runs the ports' contract; it exists for tests only
/// ([`Config::contract`]).
pub const CONTRACT_PATH: &str = "/contract";
