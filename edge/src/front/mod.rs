//! The public HTTP surface as one table: method, path, use-case. Stateless: whatever lasts is in
//! a shard.
//!
//! A request passes [`finish::answer`] first, which strips what only we may say, and last, which
//! writes refusals as problem documents. [`extract`] takes it apart, [`validate`] collects what
//! is wrong with it.

pub mod extract;
mod finish;
mod page;
mod rooms;
mod service;
pub mod validate;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use codecrafter_shared::error::ErrorCode;
pub use rooms::ROOMS_PATH;

use crate::config::Config;
use crate::directory::outbox::{self, Committed, Delivered};
use crate::error::Refusal;
use crate::ports::{Assets, Cache, Clock, Hasher, Rng, RoomGate, Shard, Shards};
use crate::shard::{Call, call};
use crate::{accounts, executions, executors, sessions};

/// The ports that the front needs, and the settings. Cheap to clone.
#[derive(Clone)]
pub struct Edge {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub rng: Arc<dyn Rng>,
    /// The cache.
    pub cache: Arc<dyn Cache>,
    /// The way to shards.
    pub shards: Arc<dyn Shards>,
    /// Password hashing.
    pub hasher: Arc<dyn Hasher>,
    /// The files of the page.
    pub assets: Arc<dyn Assets>,
    /// The way of sockets into rooms; none on platforms without WebSockets.
    pub rooms: Option<Arc<dyn RoomGate>>,
    /// Settings.
    pub config: Config,
}

impl Edge {
    /// Asks the tenant's Directory.
    ///
    /// # Errors
    /// What it refused with, or that it did not answer.
    pub async fn directory<C: Call>(&self, question: &C) -> Result<C::Answer, Refusal> {
        let directory = Shard::Directory {
            tenant: self.config.tenant.to_string(),
        };
        call(&*self.shards, &directory, question).await
    }

    /// Sends what a transaction left in the outbox, and gives what the transaction gave. What
    /// does not arrive now is sent again by the Directory (E9).
    pub async fn deliver<T>(&self, committed: Committed<T>) -> T {
        let mut ids = Vec::new();
        for message in &committed.outbox {
            if outbox::send(&*self.shards, message).await.is_ok() {
                ids.push(message.id);
            }
        }
        if !ids.is_empty() && self.directory(&Delivered { ids }).await.is_err() {
            tracing::warn!("delivered messages will be sent again");
        }
        committed.value
    }
}

/// Every route.
pub fn router(edge: Edge) -> Router {
    let api = api();
    Router::new()
        .nest("/api/v1", api.clone())
        // The older name of the same.
        .nest("/api", api)
        .route("/internal/executors", post(executors::routes::enrol))
        .route("/internal/leases", post(executors::routes::lease))
        .route("/internal/leases/ack", post(executors::routes::acknowledge))
        .route("/internal/reports", post(executors::routes::reports))
        .route("/internal/contract", get(service::contract))
        .route("/.well-known/jwks.json", get(service::jwks))
        .route("/health", get(service::health))
        .route("/ready", get(service::ready))
        .fallback(page::serve)
        .method_not_allowed_fallback(|| async { Refusal::new(ErrorCode::MethodNotAllowed) })
        .layer(axum::middleware::from_fn_with_state(
            edge.clone(),
            finish::answer,
        ))
        .with_state(edge)
}

fn api() -> Router<Edge> {
    use accounts::routes as accounts;
    use executions::routes as executions;
    use sessions::routes as sessions;
    Router::new()
        .route("/auth/register", post(accounts::register))
        .route("/auth/login", post(accounts::login))
        .route("/auth/refresh", post(accounts::refresh))
        .route("/auth/logout", post(accounts::logout))
        .route("/auth/me", get(accounts::me))
        .route("/sessions", post(sessions::create).get(sessions::list))
        .route(
            "/sessions/{id}",
            get(sessions::get)
                .put(sessions::update)
                .patch(sessions::update)
                .delete(sessions::delete),
        )
        .route("/sessions/{id}/join", post(sessions::join))
        .route("/rooms/{id}", get(rooms::open))
        .route("/executions", post(executions::create))
        .route("/executions/{id}", get(executions::get))
        .route("/languages", get(service::languages))
        .route("/health", get(service::health))
        .route("/ready", get(service::ready))
        .fallback(|| async { Refusal::new(ErrorCode::RouteNotFound) })
}
