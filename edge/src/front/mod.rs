//! The stateless side: whatever lasts is in a shard. [`Edge`] is what every use-case of
//! [`crate::router`] works with.
//!
//! A request passes [`finish::answer`] first, which strips what only we may say, and last, which
//! writes refusals as problem documents. [`limit`] counts it, [`extract`] takes it apart, [`validate`] collects what
//! is wrong with it. [`page`], [`rooms`], [`streams`], [`service`],
//! [`metrics`] and [`openapi`] are routes of no other domain.

pub mod extract;
pub mod finish;
pub mod limit;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod rooms;
pub mod service;
pub mod streams;
pub mod trace;
pub mod validate;

use std::ops::Deref;
use std::sync::Arc;

use codecrafter_shared::id::OutboxId;
use futures_util::{StreamExt as _, future, stream};

use crate::config::Config;
use crate::directory::outbox::{self, Committed, Delivered};
use crate::error::Refusal;
use crate::ports::{Assets, Clock, Hasher, Rng, RoomGate, Shard, Shards};
use crate::room::stream::StreamedRooms;
use crate::shard::{Call, call};
use crate::spans::Exporter;

/// Messages of the outbox that are under way at a time; a Worker has six connections.
const SENT_AT_ONCE: usize = 6;

/// The ports that the front needs, and the settings.
pub struct Ports {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub rng: Arc<dyn Rng>,
    /// The way to shards.
    pub shards: Arc<dyn Shards>,
    /// Password hashing.
    pub hasher: Arc<dyn Hasher>,
    /// The files of the page.
    pub assets: Arc<dyn Assets>,
    /// The way of sockets into rooms; none on platforms without WebSockets.
    pub rooms: Option<Arc<dyn RoomGate>>,
    /// The rooms, on platforms without WebSockets.
    pub streamed_rooms: Option<Arc<StreamedRooms>>,
    /// Where spans go; none if they go nowhere.
    pub spans: Option<Arc<Exporter>>,
    /// What this instance remembers of limits.
    pub limit_memory: Arc<limit::Memory>,
    /// Settings.
    pub config: Config,
}

/// What every route has of this deployment. Cheap to clone, as each route holds one.
#[derive(Clone)]
pub struct Edge(Arc<Ports>);

impl From<Ports> for Edge {
    fn from(ports: Ports) -> Self {
        Self(Arc::new(ports))
    }
}

impl Deref for Edge {
    type Target = Ports;

    fn deref(&self) -> &Ports {
        &self.0
    }
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
        let sent = committed.outbox.into_iter().map(|message| {
            let shards = self.shards.clone();
            async move {
                let sent = outbox::send(&*shards, &message).await;
                sent.is_ok().then_some(message.id)
            }
        });
        let ids: Vec<OutboxId> = stream::iter(sent)
            .buffer_unordered(SENT_AT_ONCE)
            .filter_map(future::ready)
            .collect()
            .await;
        if !ids.is_empty() && self.directory(&Delivered { ids }).await.is_err() {
            tracing::warn!("delivered messages will be sent again");
        }
        committed.value
    }
}
