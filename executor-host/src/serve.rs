//! `executor-host serve`: the link and the worker around one queue, until told to stop.
//!
//! Stopping goes with the data: first nothing comes in, then what runs ends or is given back,
//! then what is known is reported. What is not reported by then waits for the next start.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::host::{Host, HostSettings, describe};
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

/// Why there is no service, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The state folder cannot be made.
    #[error("the state folder {0} cannot be made: {1}")]
    StateDir(PathBuf, io::Error),
    /// The queue cannot be opened.
    #[error("{}", describe(.0))]
    Queue(#[from] QueueError),
    /// The client of the edge cannot be made.
    #[error(transparent)]
    Client(#[from] CallError),
    /// A part of the service ended by itself, which none should. Nothing is lost.
    #[error("{0} ended by itself: {1}")]
    Ended(&'static str, JoinError),
}

/// Opens the queue of a state folder. It is this process's from then on: first of all this keeps
/// a second one from taking the first one's containers for leftovers.
///
/// # Errors
///
/// [`ServeError::StateDir`] and [`ServeError::Queue`].
pub fn open_queue(state_dir: &Path) -> Result<Embedded, ServeError> {
    make_state_dir(state_dir).map_err(|error| ServeError::StateDir(state_dir.into(), error))?;
    Ok(Embedded::open(&state_dir.join(QUEUE_FILE))?)
}

/// Serves until `stop` fires and everything has been wound up.
///
/// # Errors
///
/// [`ServeError::Client`] before it has begun, [`ServeError::Ended`] after it was wound up.
pub async fn serve(
    queue: Arc<dyn Queue>,
    credentials: Credentials,
    settings: HostSettings,
    sandbox: Arc<dyn Sandbox>,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let (edge, executor) = (credentials.edge.clone(), credentials.executor_id);
    let client = Arc::new(Client::new(credentials)?);
    let live = LiveReports::default();
    let slots = settings.slots;
    let host = Arc::new(Host::new(
        Arc::clone(&queue),
        sandbox,
        live.clone(),
        settings,
    ));
    let leasing = Leasing {
        client: Arc::clone(&client),
        queue: Arc::clone(&queue),
        slots,
        offer: host.offer(),
        announce_every: ANNOUNCE_EVERY,
    };
    let reporting = Reporting {
        client,
        queue,
        live,
    };
    tracing::info!(edge = %edge, executor.id = %executor, slots, "serving");

    let ended = CancellationToken::new();
    // Should one of them panic, everything is wound up.
    let leasing = spawn(leasing.run(stop.clone()), &stop);
    let reporting = spawn(reporting.run(ended.clone()), &stop);
    let working = spawn(host.run(stop.clone()), &stop);
    let worked = working.await;
    let leased = leasing.await;
    ended.cancel();
    let reported = timeout(LAST_REPORTS, reporting).await.unwrap_or_else(|_| {
        tracing::warn!("the edge has not taken every report; the next start goes on");
        Ok(())
    });
    worked.map_err(|error| ServeError::Ended("the worker", error))?;
    leased.map_err(|error| ServeError::Ended("leasing", error))?;
    reported.map_err(|error| ServeError::Ended("reporting", error))?;
    tracing::info!("stopped");
    Ok(())
}

/// Runs `part`; whatever its end, `stop` has fired by then.
fn spawn(
    part: impl Future<Output = ()> + Send + 'static,
    stop: &CancellationToken,
) -> JoinHandle<()> {
    let stop = stop.clone().drop_guard();
    tokio::spawn(async move {
        part.await;
        drop(stop);
    })
}
