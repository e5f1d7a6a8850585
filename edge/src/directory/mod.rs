//! The Directory: the shard that holds everything relational of one tenant (E5). It is reached by
//! typed calls only; each is one transaction, so whatever a call promises holds after a crash.

pub mod outbox;
pub mod parts;
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
    /// The way to rooms, for what the outbox holds.
    pub shards: Arc<dyn Shards>,
    /// Only for the contract run.
    pub cache: Arc<dyn Cache>,
    /// Only for the contract run.
    pub hasher: Arc<dyn Hasher>,
    /// Settings.
    pub config: Config,
    migrated: AtomicBool,
    rhythm: Rhythm,
}

/// When the tick was last done, and when something is due next, in milliseconds; so that those
/// who wait here do it once, and not each of them.
#[derive(Default)]
struct Rhythm {
    ticked_at: AtomicI64,
    due_at: AtomicI64,
}

/// The ports that a Directory needs; see the fields of [`Directory`].
pub struct DirectoryPorts {
    /// Its database.
    pub db: Arc<dyn Db>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub rng: Arc<dyn Rng>,
    /// Wakes those who wait inside this shard.
    pub signals: Arc<dyn Signals>,
    /// The way to rooms.
    pub shards: Arc<dyn Shards>,
    /// Only for the contract run.
    pub cache: Arc<dyn Cache>,
    /// Only for the contract run.
    pub hasher: Arc<dyn Hasher>,
}

impl Directory {
    /// A Directory over these ports.
    #[must_use]
    pub fn new(ports: DirectoryPorts, config: Config) -> Self {
        let DirectoryPorts {
            db,
            clock,
            rng,
            signals,
            shards,
            cache,
            hasher,
        } = ports;
        let migrated = AtomicBool::new(false);
        Self {
            db,
            clock,
            rng,
            signals,
            shards,
            cache,
            hasher,
            config,
            migrated,
            rhythm: Rhythm::default(),
        }
    }
}

/// The private route that runs the ports' contract; it exists for tests only
/// ([`Config::contract`]).
pub const CONTRACT_PATH: &str = "/contract";
