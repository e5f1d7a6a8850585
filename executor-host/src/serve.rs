//! `executor-host serve`: the link and the worker around one queue, until told to stop.
//!
//! Stopping goes with the data: first nothing comes in, then what runs ends or is given back,
//! then what is known is reported. What is not reported by then waits for the next start.

mod shared;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::health::Monitor;
use crate::host::{Host, HostSettings, Offer, describe};
use crate::link::client::CallError;
use crate::link::credentials::make_state_dir;
use crate::link::{Client, Credentials, Leasing, Reporting};
use crate::queue::{Embedded, LiveReports, Queue, QueueError};
use crate::sandbox::Sandbox;
use crate::shutdown::Stop;

pub use shared::{Place, WORKER_FILE, Worker, serve_shared, take_place};

/// Time to deliver the last reports in, once everything else has ended.
const LAST_REPORTS: Duration = Duration::from_secs(5);

/// An edge that holds no request open hears of this host three times within
/// [`codecrafter_shared::limits::EXECUTOR_LIVE_MS`].
const ANNOUNCE_EVERY: Duration = Duration::from_secs(20);

/// How often a service that drains looks into its queue.
const DRAIN_LOOK: Duration = Duration::from_millis(500);

/// The embedded queue's file in the state folder.
pub const QUEUE_FILE: &str = "queue.db";

/// Why there is no service, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The state folder cannot be made.
    #[error("the state folder {0} cannot be made: {1}")]
    StateDir(PathBuf, io::Error),
    /// Another process is the worker of this state folder.
    #[error("{0}")]
    Taken(String),
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
    monitor: Monitor,
    stop: impl Into<Stop>,
) -> Result<(), ServeError> {
    let stop = stop.into();
    let client = client_for(credentials)?;
    let live = LiveReports::default();
    tracing::info!(slots = settings.slots, "working");
    let slots = watch::Sender::new(settings.slots).subscribe();
    let shared = Arc::clone(&queue);
    let host = Host::new(
        shared,
        Arc::clone(&sandbox),
        live.clone(),
        settings,
        monitor.metrics.clone(),
    )
    .traced(monitor.spans.clone());
    let host = Arc::new(host);
    let (offer, mut listening) = (host.offer(), host.listening());
    monitor.worker(offer.clone(), listening.clone(), sandbox);
    // Told to drain, it goes on until the queue is empty.
    let working = spawn(host.run(stop.now.clone()), &stop.now);
    // A control message that is passed on before the worker listens is lost.
    let listens = listening.wait_for(|listening| *listening);
    let _ = stop.now.run_until_cancelled(listens).await;
    let link = start_link(client, queue, live, (offer, slots), &monitor, &stop);
    monitor.started();
    let worked = working.await;
    let linked = link.wind_up().await;
    worked.map_err(|error| ServeError::Ended("the worker", error))?;
    linked?;
    tracing::info!("stopped");
    Ok(())
}

/// The tasks of a link.
struct Link {
    leasing: JoinHandle<()>,
    reporting: JoinHandle<()>,
    /// Fires once no job goes on any more.
    ended: CancellationToken,
}

/// The client of the edge that these credentials are for.
fn client_for(credentials: Credentials) -> Result<Arc<Client>, ServeError> {
    let (edge, executor) = (credentials.edge.clone(), credentials.executor_id);
    let client = Client::new(credentials)?;
    tracing::info!(edge = %edge, executor.id = %executor, "serving");
    Ok(Arc::new(client))
}

/// Starts a link that offers what `from` says: languages, and slots.
fn start_link(
    client: Arc<Client>,
    queue: Arc<dyn Queue>,
    live: LiveReports,
    from: (watch::Receiver<Offer>, watch::Receiver<u32>),
    monitor: &Monitor,
    stop: &Stop,
) -> Link {
    let (offer, slots) = from;
    monitor.link(Arc::clone(&client));
    monitor.queue(Arc::clone(&queue));
    let queue_to_drain = Arc::clone(&queue);
    let leasing = Leasing {
        client: Arc::clone(&client),
        queue: Arc::clone(&queue),
        slots,
        offer,
        announce_every: ANNOUNCE_EVERY,
        metrics: monitor.metrics.clone(),
    };
    let reporting = Reporting {
        client,
        queue,
        live,
        metrics: monitor.metrics.clone(),
    };
    let ended = CancellationToken::new();
    let full = stop.now.child_token();
    tokio::spawn(drain(
        stop.clone(),
        full.clone(),
        Arc::clone(&queue_to_drain),
    ));
    // Should one of them panic, everything is wound up.
    Link {
        leasing: spawn(leasing.run(full, ended.clone()), &stop.now),
        reporting: spawn(reporting.run(ended.clone()), &stop.now),
        ended,
    }
}

/// Told to drain, leases nothing more from then on, and stops the service once its queue is empty
/// and the edge has every result.
async fn drain(stop: Stop, full: CancellationToken, queue: Arc<dyn Queue>) {
    stop.either().await;
    full.cancel();
    let is_empty = async || {
        let depth = queue.depth().await;
        depth.is_ok_and(|depth| depth.ready + depth.running + depth.results == 0)
    };
    let emptied = async {
        // Seen twice in a row: what was leased last may be on its way into the queue.
        let mut seen = 0;
        while seen < 2 {
            seen = if is_empty().await { seen + 1 } else { 0 };
            sleep(DRAIN_LOOK).await;
        }
    };
    stop.now.run_until_cancelled(emptied).await;
    stop.now.cancel();
}

impl Link {
    /// Ends what comes in, and waits until what is known is reported, if that takes no longer
    /// than [`LAST_REPORTS`]. None of its tasks is left then.
    async fn wind_up(mut self) -> Result<(), ServeError> {
        self.ended.cancel();
        let leased = self.leasing.await;
        let reported = match timeout(LAST_REPORTS, &mut self.reporting).await {
            Ok(reported) => reported,
            Err(_) => {
                tracing::warn!("the edge has not taken every report; the next start goes on");
                self.reporting.abort();
                match self.reporting.await {
                    Err(error) if error.is_cancelled() => Ok(()),
                    ended => ended,
                }
            }
        };
        leased.map_err(|error| ServeError::Ended("leasing", error))?;
        reported.map_err(|error| ServeError::Ended("reporting", error))
    }
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
