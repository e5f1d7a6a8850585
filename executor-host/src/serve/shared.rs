//! The service around a queue that hosts share: a link, a worker, or both. What goes from one
//! part to the other in memory elsewhere goes over the broker here, since the other part may be
//! anywhere.

use std::path::Path;
use std::sync::Arc;

use codecrafter_shared::job::Verdict;
use codecrafter_shared::{language, limits};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{LAST_REPORTS, ServeError, client_for, start_link};
use crate::clock;
use crate::crew;
use crate::health::Monitor;
use crate::host::{self, Host, HostSettings, describe};
use crate::link::Credentials;
use crate::link::credentials::make_state_dir;
use crate::metrics::Metrics;
use crate::queue::{LiveBatch, LiveReports, Queue, QueueError, RabbitMq};
use crate::retry::Retry;
use crate::sandbox::Sandbox;
use crate::shutdown::Stop;

/// The worker's name and its lock in the state folder.
pub const WORKER_FILE: &str = "worker";

/// A worker of a shared queue.
pub struct Worker {
    /// Tells it from other workers.
    pub name: String,
    /// How it works.
    pub settings: HostSettings,
    /// What jobs run in.
    pub sandbox: Arc<dyn Sandbox>,
}

/// A worker's place on this machine. While it is there, no other process can have it.
pub struct Place {
    /// The worker's name, which it keeps.
    pub name: String,
    _lock: std::fs::File,
}

/// Takes the worker's place in a state folder: a second process there would take the first one's
/// containers for leftovers.
///
/// # Errors
///
/// [`ServeError::StateDir`], and [`ServeError::Taken`] when another process has it.
pub fn take_place(state_dir: &Path) -> Result<Place, ServeError> {
    let unusable = |error| ServeError::StateDir(state_dir.into(), error);
    make_state_dir(state_dir).map_err(unusable)?;
    let path = state_dir.join(WORKER_FILE);
    let lock = crate::queue::embedded::lock(&path).map_err(ServeError::Taken)?;
    let mut name = std::fs::read_to_string(&path).map_err(unusable)?;
    if name.is_empty() {
        name = format!("worker-{}", clock::attempt_id());
        std::fs::write(&path, &name).map_err(unusable)?;
    }
    Ok(Place { name, _lock: lock })
}

/// Serves as a link if there are credentials, and as a worker if there is one, until `stop` fires
/// and everything has been wound up.
///
/// # Errors
///
/// [`ServeError::Client`] before it has begun, [`ServeError::Ended`] after it was wound up.
pub async fn serve_shared(
    queue: RabbitMq,
    credentials: Option<Credentials>,
    worker: Option<Worker>,
    monitor: Monitor,
    stop: impl Into<Stop>,
) -> Result<(), ServeError> {
    let stop = stop.into();
    let live = LiveReports::default();
    let queue = Arc::new(match &credentials {
        Some(_) => queue,
        None => queue.sending_first(live.clone()),
    });
    let mut background = tokio::task::JoinSet::new();
    let is_link = credentials.is_some();
    let link = match credentials {
        Some(credentials) => {
            for language in language::KNOWN {
                monitor.metrics.may_give_up(language.id);
            }
            let (offer, slots) = (watch::Sender::new(None), watch::Sender::new(0));
            let shared = Arc::clone(&queue) as Arc<dyn Queue>;
            let from = (offer.subscribe(), slots.subscribe());
            let client = client_for(credentials)?;
            let link = start_link(client, shared, live.clone(), from, &monitor, &stop);
            let shared = Arc::clone(&queue);
            background.spawn(async move { crew::follow(&shared, &offer, &slots).await });
            background.spawn(receive_live(Arc::clone(&queue), live.clone()));
            background.spawn(end_given_up(Arc::clone(&queue), monitor.metrics.clone()));
            Some(link)
        }
        None => None,
    };

    let mut worked = Ok(());
    if let Some(worker) = worker {
        let shared = Arc::clone(&queue) as Arc<dyn Queue>;
        let slots = worker.settings.slots;
        tracing::info!(worker = worker.name, slots, "working");
        let (sandbox, metrics) = (Arc::clone(&worker.sandbox), monitor.metrics.clone());
        let host = Host::new(shared, sandbox, live.clone(), worker.settings, metrics);
        let host = Arc::new(host.traced(monitor.spans.clone()));
        monitor.worker(host.offer(), host.listening(), worker.sandbox);
        monitor.queue(Arc::clone(&queue) as Arc<dyn Queue>);
        monitor.started();
        // A link finishes what is in the queue before it ends, so its worker stays till then; a
        // worker alone finishes what it runs, and leaves the rest to others.
        let ends = match is_link {
            true => Stop::from(stop.now.clone()),
            false => stop.clone(),
        };
        let leaves = stop.now.child_token();
        let leaving = {
            let (ends, leaves) = (ends.clone(), leaves.clone());
            async move {
                ends.either().await;
                leaves.cancel();
            }
        };
        background.spawn(leaving);
        let announcing = {
            let (queue, stop) = (Arc::clone(&queue), leaves.clone());
            let (offer, mut listening) = (host.offer(), host.listening());
            async move {
                // A link that knows of the worker may at once have a control message for it.
                let listens = listening.wait_for(|listening| *listening);
                if stop.run_until_cancelled(listens).await.is_some() {
                    crew::announce(&queue, &worker.name, slots, offer, stop).await;
                }
            }
        };
        let announcing = tokio::spawn(announcing);
        if !is_link {
            background.spawn(send_live(Arc::clone(&queue), live.clone()));
        }
        worked = super::spawn(host.run(ends), &stop.now).await;
        let _ = announcing.await;
        if !is_link {
            let last = live.drain();
            let _ = timeout(LAST_REPORTS, queue.send_live(&last.reports, last.urgent)).await;
        }
    } else {
        monitor.started();
        stop.now.cancelled().await;
    }
    let linked = match link {
        Some(link) => link.wind_up().await,
        None => Ok(()),
    };
    background.shutdown().await;
    queue.close().await;
    worked.map_err(|error| ServeError::Ended("the worker", error))?;
    linked?;
    tracing::info!("stopped");
    Ok(())
}

/// Sends what a worker has to say while jobs run, for ever.
async fn send_live(queue: Arc<RabbitMq>, live: LiveReports) {
    let mut retry = Retry::new("pass live reports on");
    loop {
        live.due().await;
        let LiveBatch { reports, urgent } = live.drain();
        for reports in reports.chunks(limits::REPORTS_MAX) {
            match queue.send_live(reports, urgent).await {
                Ok(()) => retry.succeeded(),
                // They are lost, which shows as a gap. Those that come meanwhile are kept, up to
                // the limit of the buffer.
                Err(error) => sleep(retry.failed(&describe(&error))).await,
            }
        }
    }
}

/// Ends the jobs that no worker has ended, however often they had it, for ever.
async fn end_given_up(queue: Arc<RabbitMq>, metrics: Metrics) {
    let mut retry = Retry::new("end jobs that came back too often");
    loop {
        let ended = async {
            let mut given_up = queue.given_up().await?;
            retry.succeeded();
            loop {
                let delivery = given_up.next().await?;
                let execution = delivery.job.execution_id;
                tracing::error!(execution.id = %execution, "a job came back too often; it is given up");
                queue.store_result(&host::given_up(&delivery.job)).await?;
                metrics.ended(&delivery.job, Verdict::InternalError);
                delivery.ack().await?;
            }
        };
        let lost: Result<std::convert::Infallible, QueueError> = ended.await;
        let Err(error) = lost;
        sleep(retry.failed(&describe(&error))).await;
    }
}

/// Takes in what workers elsewhere have to say, for ever.
async fn receive_live(queue: Arc<RabbitMq>, live: LiveReports) {
    let mut retry = Retry::new("hear live reports");
    loop {
        let heard = async {
            let mut reports = queue.live().await?;
            retry.succeeded();
            loop {
                live.push_all(reports.next().await?);
            }
        };
        let lost: Result<std::convert::Infallible, QueueError> = heard.await;
        let Err(error) = lost;
        sleep(retry.failed(&describe(&error))).await;
    }
}
