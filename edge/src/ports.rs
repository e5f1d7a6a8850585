//! What the core may ask of the world: small traits, one per thing, and nothing else.
//!
//! Futures are `Send` on every platform, so that handlers are ordinary; the Cloudflare adapter
//! wraps the ones that hold JavaScript values. Every promise in these comments is a test of
//! [`contract`], which each adapter runs.

pub mod contract;
mod db;
#[cfg(not(target_os = "wasi"))]
pub mod wake;

use async_trait::async_trait;
use axum::response::Response;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::relay::CloseCode;
use codecrafter_shared::time::Timestamp;
pub use db::{
    Db, DbError, FromValue, INTEGER_MAX, Row, Rows, Statements, TransactionBody, Tx, Value,
};
use futures_util::future::BoxFuture;
use http::request::Parts;

use crate::error::Refusal;
use crate::notifications::visitor::FeedVisitor;
use crate::room::{Principal, Wishes};

/// The time of day.
pub trait Clock: Send + Sync {
    /// Now. May stand still between two I/O operations (Cloudflare), never runs backwards by more
    /// than the platform's clock does.
    fn now(&self) -> Timestamp;
}

/// Randomness fit for secrets.
pub trait Rng: Send + Sync {
    /// Fills `bytes` from the platform's cryptographic source.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Rng + '_ {
    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// A cache and nothing else: taking it away changes no answer, only how long it takes (E3).
#[async_trait]
pub trait Cache: Send + Sync {
    /// What was put under `key`, or `None`: never put, expired, evicted, or not yet visible here.
    /// A platform without a cache, or one that fails, always answers `None`.
    async fn get(&self, key: &str) -> Option<Vec<u8>>;

    /// Puts `value` under `key` for about `seconds` (at least 60). May be lost.
    async fn put(&self, key: &str, value: &[u8], seconds: u32);
}

/// A unit of strong consistency (E5). Nothing may assume that two of them share a database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Shard {
    /// Accounts, sessions and executions of one tenant.
    Directory {
        /// The tenant's name.
        tenant: String,
    },
    /// The realtime side of one session.
    Room {
        /// The session.
        session: SessionId,
    },
    /// What must reach all clients of one person.
    Person {
        /// The person.
        user: UserId,
    },
    /// Some of the keys that requests are counted by.
    Limits {
        /// Which, below [`crate::limits::SHARDS`].
        number: u8,
    },
}

/// An answer of a shard: an HTTP status, and JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardResponse {
    /// 200, or the status of the problem document in `body`.
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
}

/// The shard could not be reached; whether it did anything is unknown.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the shard did not answer: {0}")]
pub struct ShardUnreachable(pub String);

impl From<ShardUnreachable> for Refusal {
    fn from(error: ShardUnreachable) -> Self {
        tracing::error!(cause = %error, "a shard did not answer");
        Self::retry_after(ErrorCode::Unavailable, 1)
    }
}

/// How the front reaches a shard: a Durable Object's stub, or a call in this process.
/// Only typed calls go through it ([`crate::shard::call`]).
#[async_trait]
pub trait Shards: Send + Sync {
    /// Posts JSON to the private route `path` of `shard`, and gives its answer.
    async fn post(
        &self,
        shard: &Shard,
        path: &str,
        body: Vec<u8>,
    ) -> Result<ShardResponse, ShardUnreachable>;
}

/// Waking up what waits inside a shard.
pub trait Signals: Send + Sync {
    /// Wakes everybody who listens to `topic`. Where requests share no memory (Spin), this does
    /// nothing, and waiting ends after a short time instead.
    fn notify(&self, topic: &str);

    /// Wakes one of those who listen to `topic`: for what only one of them can have. If it goes
    /// away instead of looking, the next is woken. Where requests share no memory, nothing.
    fn notify_one(&self, topic: &str);

    /// Begins to listen to each of `topics`. What is notified from now on ends the wait, even if
    /// it comes before [`Listener::wait`] is called: listen first, then look, then wait.
    fn listen(&self, topics: &[String]) -> Box<dyn Listener>;
}

/// Somebody who listens.
pub trait Listener: Send {
    /// Ends when one of the topics is notified, or after `at_most_ms`, or earlier for no reason: look
    /// again, and decide by what you see.
    fn wait(self: Box<Self>, at_most_ms: u32) -> BoxFuture<'static, ()>;
}

/// A collector of spans that the operator has named ([`crate::spans`]).
pub trait Collector: Send + Sync {
    /// Returns at once. `body` is posted to the collector once, which has ten seconds for it, and
    /// the answer to the present request does not wait for that; then `told` is called with why it
    /// failed, if it did. It is dropped instead if the platform ends the request's work first.
    fn post_later(&self, body: Vec<u8>, told: Told);
}

/// Whoever wants to know what came of a post.
pub type Told = Box<dyn FnOnce(Result<(), String>) + Send>;

/// Password hashing, where the platform can afford it (E6).
#[async_trait]
pub trait Hasher: Send + Sync {
    /// The password's hash under the present policy, as a PHC string with its parameters and the
    /// given salt.
    async fn hash(&self, password: &str, salt: [u8; 16]) -> Result<String, HasherFailure>;

    /// Whether `password` is the one behind `phc`. A string that is no hash matches nothing.
    async fn verify(&self, password: &str, phc: &str) -> Result<bool, HasherFailure>;
}

/// Hashing did not happen.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the password could not be hashed: {0}")]
pub struct HasherFailure(pub String);

impl From<HasherFailure> for Refusal {
    fn from(error: HasherFailure) -> Self {
        tracing::error!(cause = %error, "the hasher did not answer");
        Self::retry_after(ErrorCode::Unavailable, 1)
    }
}

/// The files of the page.
#[async_trait]
pub trait Assets: Send + Sync {
    /// The file at `path` (no leading slash, never with `..`), if there is one.
    async fn get(&self, path: &str) -> Option<Vec<u8>>;
}

/// Why a connection is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    /// The code of the close.
    pub code: CloseCode,
    /// When to come again, if that is known.
    pub retry_after_seconds: Option<u32>,
}

impl From<CloseCode> for Closing {
    fn from(code: CloseCode) -> Self {
        Self {
            code,
            retry_after_seconds: None,
        }
    }
}

impl Closing {
    /// The sentence of the close frame. A client finds there what a header would have said: a browser
    /// shows no page the headers of an upgrade.
    #[must_use]
    pub fn reason(self) -> String {
        let reason = self.code.reason();
        match self.retry_after_seconds {
            Some(seconds) => format!("{reason}; retry-after={seconds}"),
            None => reason.to_owned(),
        }
    }
}

/// How the front hands a WebSocket over to a room, or to a person's shard.
#[async_trait]
pub trait RoomGate: Send + Sync {
    /// Opens a socket to the room of `session` as `principal`. `request` is the upgrade request's
    /// head; whatever only we may say is removed from it.
    async fn open(
        &self,
        session: SessionId,
        principal: &Principal,
        wishes: Wishes,
        request: Parts,
    ) -> Response;

    /// Opens a socket to the shard of `visitor`, for what they are told. `request` as above.
    async fn open_feed(&self, visitor: &FeedVisitor, request: Parts) -> Response;

    /// Accepts the upgrade without waking a room, says why in y-protocols' words, and closes.
    async fn refuse(&self, closing: Closing, request: Parts) -> Response;

    /// Accepts the upgrade of a feed's socket without waking its shard, and closes.
    async fn refuse_feed(&self, closing: Closing, request: Parts) -> Response;
}
