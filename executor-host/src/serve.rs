//! `executor-host serve`: the link and the worker around one queue, until told to stop.
//!
//! Stopping goes with the data: first nothing comes in, then what runs ends or is given back,
//! then what is known is reported. What is not reported by then waits for the next start.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::host::{Host, HostSettings};
use crate::link::client::CallError;
use crate::link::credentials::make_state_dir;
use crate::link::{Client, Credentials, Leasing, Reporting};
use crate::queue::{Embedded, LiveReports, Queue, QueueError};
use crate::sandbox::Sandbox;

/// Time to deliver the last reports in, once everything else has ended.
const LAST_REPORTS: Duration = Duration::from_secs(5);

/// Three times within [`codecrafter_shared::limits::EXECUTOR_LIVE_MS`].
const ANNOUNCE_EVERY: Duration = Duration::from_secs(20);

/// The embedded queue's file in the state folder.
pub const QUEUE_FILE: &str = "queue.db";

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The state folder cannot be made.
    #[error("the state folder cannot be made: {0}")]
    StateDir(#[from] io::Error),
    /// The queue cannot be opened.
    #[error("{}", crate::host::describe(.0))]
    Queue(#[from] QueueError),
    /// The client of the edge cannot be made.
    #[error(transparent)]
    Client(#[from] CallError),
}

/// Serves until `stop` fires and everything has been wound up.
///
/// # Errors
///
/// Only before it has begun: see [`ServeError`].
pub async fn serve(
    state_dir: &Path,
    credentials: Credentials,
    settings: HostSettings,
    sandbox: Arc<dyn Sandbox>,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    make_state_dir(state_dir)?;
    let queue: Arc<dyn Queue> = Arc::new(Embedded::open(&state_dir.join(QUEUE_FILE))?);
    let (edge, executor) = (credentials.edge.clone(), credentials.executor_id);
    let client = Arc::new(Client::new(credentials)?);
    let live = LiveReports::default();
    let slots = settings.slots;
    let host = Arc::new(Host::new(Arc::clone(&queue), sandbox, live.clone(), settings));
    let leasing = Leasing {
        client: Arc::clone(&client),
        queue: Arc::clone(&queue),
        slots,
        offer: host.offer(),
        announce_every: ANNOUNCE_EVERY,
    };
    let reporting = Reporting { client, queue: Arc::clone(&queue), live };
    tracing::info!(edge = %edge, executor.id = %executor, slots, "serving");

    let ended = CancellationToken::new();
    let reporting = tokio::spawn(reporting.run(ended.clone()));
    let leasing = tokio::spawn(leasing.run(stop.clone()));
    host.run(stop).await;
    report_panic("leasing", leasing.await);
    ended.cancel();
    match timeout(LAST_REPORTS, reporting).await {
        Ok(joined) => report_panic("reporting", joined),
        Err(_) => tracing::warn!("the edge has not taken every report; the next start goes on"),
    }
    tracing::info!("stopped");
    Ok(())
}

fn report_panic(task: &str, joined: Result<(), tokio::task::JoinError>) {
    if let Err(error) = joined {
        tracing::error!(%error, "{task} ended early");
    }
}
