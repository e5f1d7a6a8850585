//! Every port natively, for tests: rusqlite, tokio's timers, and a clock that can be moved by
//! hand. The routers over it are the ones that every platform serves.

mod collector;
mod db;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use axum::Router;
use codecrafter_shared::time::Timestamp;
pub use collector::Collected;
pub use db::SqliteDb;
use futures_util::future::BoxFuture;

use crate::config::Config;
use crate::directory::Directory;
use crate::front::Ports;
use crate::limits::SHARDS;
use crate::limits::shard::LimitsShard;
use crate::notifications::shard::People;
use crate::password;
use crate::ports::wake::{Listening, Wakes};
use crate::ports::{
    Assets, Cache, Clock, Db, Hasher, HasherFailure, Listener, Rng, Shard, ShardResponse,
    ShardUnreachable, Shards, Signals,
};
use crate::room::shard;
use crate::room::stream::StreamedRooms;
use crate::router;
use crate::spans::Exporter;

/// A whole deployment in this process.
pub struct NativeEdge {
    /// Every route.
    pub router: Router,
    /// The Directory behind it.
    pub directory: Arc<Directory>,
    /// Its clock.
    pub clock: Arc<HandClock>,
    /// Its wake-ups.
    pub wakes: Wakes,
    /// What its spans come to, wherever `CODECRAFTER_OTLP` says that they go.
    pub collected: Arc<Collected>,
    shards: Arc<NativeShards>,
}

impl NativeEdge {
    /// A deployment with databases in memory and the system's time.
    ///
    /// # Errors
    /// A sentence, if SQLite does not open.
    pub fn new(config: Config) -> Result<Self, String> {
        let clock = Arc::new(HandClock::default());
        let wakes = Wakes::default();
        let rooms = Arc::new(SqliteDb::in_memory()?);
        let streamed_rooms = Arc::new(StreamedRooms::new(
            rooms.clone(),
            clock.clone(),
            Arc::new(SystemRng),
            Arc::new(NativeSignals(wakes.clone())),
            config.frames_per_second,
        ));
        let people = People::new(
            Arc::new(SqliteDb::in_memory()?),
            clock.clone(),
            Arc::new(NativeSignals(wakes.clone())),
        );
        let mut limits = Vec::new();
        for _ in 0..SHARDS {
            let db = Arc::new(SqliteDb::in_memory()?);
            limits.push(LimitsShard::in_memory(db, clock.clone()));
        }
        let shards = Arc::new(NativeShards {
            rooms,
            streamed_rooms: streamed_rooms.clone(),
            people,
            people_unreachable: AtomicBool::new(false),
            directory: Mutex::new(None),
            limits,
            rooms_unreachable: AtomicBool::new(false),
            limits_unreachable: AtomicBool::new(false),
        });
        let directory = Arc::new(Directory {
            db: Arc::new(SqliteDb::in_memory()?),
            clock: clock.clone(),
            rng: Arc::new(SystemRng),
            signals: Arc::new(NativeSignals(wakes.clone())),
            shards: shards.clone(),
            cache: Arc::new(NoCache),
            hasher: Arc::new(InProcess),
            config: config.clone(),
            memory: Default::default(),
        });
        let slot = shards.directory.lock();
        *slot.unwrap_or_else(PoisonError::into_inner) = Some(directory.clone());
        let collected = Arc::new(Collected::default());
        let exporter = || Arc::new(Exporter::new(collected.clone()));
        let router = router::router(Ports {
            clock: clock.clone(),
            rng: Arc::new(SystemRng),
            shards: shards.clone(),
            hasher: Arc::new(InProcess),
            assets: Arc::new(NoAssets),
            rooms: None,
            streamed_rooms: Some(streamed_rooms),
            spans: config.collector.is_some().then(exporter),
            limit_memory: Arc::default(),
            config,
        });
        Ok(Self {
            router,
            directory,
            clock,
            wakes,
            collected,
            shards,
        })
    }

    /// The database of all rooms.
    #[must_use]
    pub fn rooms(&self) -> Arc<dyn Db> {
        self.shards.rooms.clone()
    }

    /// Cuts the limits off, or connects them again.
    pub fn set_limits_unreachable(&self, unreachable: bool) {
        self.shards
            .limits_unreachable
            .store(unreachable, Ordering::Relaxed);
    }

    /// Cuts the rooms off, or connects them again.
    pub fn set_rooms_unreachable(&self, unreachable: bool) {
        self.shards
            .rooms_unreachable
            .store(unreachable, Ordering::Relaxed);
    }

    /// Cuts the shards of people off, or connects them again.
    pub fn set_people_unreachable(&self, unreachable: bool) {
        self.shards
            .people_unreachable
            .store(unreachable, Ordering::Relaxed);
    }
}

/// The system's clock, and how far it was moved by hand.
#[derive(Default)]
pub struct HandClock {
    ahead_ms: AtomicI64,
}

impl HandClock {
    /// Moves the clock forward.
    pub fn advance_ms(&self, millis: i64) {
        self.ahead_ms.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the port's implementation"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(millis).plus_millis(self.ahead_ms.load(Ordering::Relaxed))
    }
}

/// The operating system's randomness.
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness there are no secrets: nothing sensible can follow.
        if let Err(error) = getrandom::fill(bytes) {
            tracing::error!(cause = %error, "the system gave no randomness");
            std::process::abort();
        }
    }
}

/// A cache that forgets at once.
pub struct NoCache;

#[async_trait]
impl Cache for NoCache {
    async fn get(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    async fn put(&self, _: &str, _: &[u8], _: u32) {}
}

/// No page.
pub struct NoAssets;

#[async_trait]
impl Assets for NoAssets {
    async fn get(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
}

/// Hashing in this process.
pub struct InProcess;

#[async_trait]
impl Hasher for InProcess {
    async fn hash(&self, password: &str, salt: [u8; 16]) -> Result<String, HasherFailure> {
        password::hash(password, salt).map_err(HasherFailure)
    }

    async fn verify(&self, password: &str, phc: &str) -> Result<bool, HasherFailure> {
        Ok(password::verify(password, phc))
    }
}

/// Wake-ups through this process's memory.
#[derive(Default)]
pub struct NativeSignals(Wakes);

impl Signals for NativeSignals {
    fn notify(&self, topic: &str) {
        self.0.notify(topic);
    }

    fn notify_one(&self, topic: &str) {
        self.0.notify_one(topic);
    }

    fn listen(&self, topics: &[String]) -> Box<dyn Listener> {
        Box::new(self.0.listen(topics))
    }
}

impl Listener for Listening {
    fn wait(self: Box<Self>, at_most_ms: u32) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let at_most = Duration::from_millis(at_most_ms.into());
            let _ = tokio::time::timeout(at_most, *self).await;
        })
    }
}

/// Shards in this process.
struct NativeShards {
    rooms: Arc<SqliteDb>,
    streamed_rooms: Arc<StreamedRooms>,
    people: People,
    people_unreachable: AtomicBool,
    /// Set once the Directory, which itself calls rooms through this, is made.
    directory: Mutex<Option<Arc<Directory>>>,
    limits: Vec<LimitsShard>,
    rooms_unreachable: AtomicBool,
    limits_unreachable: AtomicBool,
}

#[async_trait]
impl Shards for NativeShards {
    async fn post(
        &self,
        shard: &Shard,
        path: &str,
        body: Vec<u8>,
    ) -> Result<ShardResponse, ShardUnreachable> {
        match shard {
            Shard::Directory { .. } => {
                let directory = self
                    .directory
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                let directory = directory.ok_or_else(|| ShardUnreachable("not started".into()))?;
                Ok(directory.handle(path, &body).await)
            }
            Shard::Room { .. } if self.rooms_unreachable.load(Ordering::Relaxed) => {
                Err(ShardUnreachable("cut off by hand".into()))
            }
            Shard::Limits { .. } if self.limits_unreachable.load(Ordering::Relaxed) => {
                Err(ShardUnreachable("cut off by hand".into()))
            }
            Shard::Limits { number } => {
                let shard = self.limits.get(usize::from(*number));
                let shard = shard.ok_or_else(|| ShardUnreachable("no such shard".into()))?;
                Ok(shard.handle(path, &body).await)
            }
            Shard::Room { session } => {
                let room = self.streamed_rooms.host(*session);
                Ok(shard::handle(&room, path, &body).await)
            }
            Shard::Person { .. } if self.people_unreachable.load(Ordering::Relaxed) => {
                Err(ShardUnreachable("cut off by hand".into()))
            }
            Shard::Person { .. } => Ok(self.people.handle(path, &body).await.response),
        }
    }
}
