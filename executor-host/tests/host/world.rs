//! A host with a real queue and a sandbox that follows orders.

use std::sync::Arc;
use std::time::Duration;

use codecrafter_shared::job::{Event, Job, Outcome, Report};
use executor_host::host::{Host, HostSettings, Offer};
use executor_host::metrics::Metrics;
use executor_host::queue::contract::job;
use executor_host::queue::{Delivery, Embedded, LiveReports, Queue};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::common::{Faulty, Flaky, PATIENCE};

/// A host at work.
pub struct World {
    pub queue: Arc<Faulty>,
    pub sandbox: Arc<Flaky>,
    pub live: LiveReports,
    pub settings: HostSettings,
    _folder: TempDir,
}

pub struct Running {
    pub offer: watch::Receiver<Offer>,
    pub stop: CancellationToken,
    pub ended: JoinHandle<()>,
}

impl World {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let queue = Embedded::open(&folder.path().join("queue.db")).unwrap();
        Self {
            queue: Faulty::new(Arc::new(queue)),
            sandbox: Arc::default(),
            live: LiveReports::default(),
            settings: HostSettings {
                slots: 2,
                grace: Duration::from_secs(20),
                retry_delay: Duration::from_millis(10),
            },
            _folder: folder,
        }
    }

    pub fn start(&self) -> Running {
        let (queue, sandbox) = (Arc::clone(&self.queue), Arc::clone(&self.sandbox));
        let host = Host::new(
            queue,
            sandbox,
            self.live.clone(),
            self.settings.clone(),
            Metrics::default(),
        );
        let (offer, stop) = (host.offer(), CancellationToken::new());
        let ended = tokio::spawn(Arc::new(host).run(stop.clone()));
        Running { offer, stop, ended }
    }

    /// Waits for a job, as another worker does.
    pub async fn taken(&self) -> Delivery {
        timeout(PATIENCE, self.queue.take())
            .await
            .expect("it is kept from others")
            .unwrap()
    }

    pub async fn publish(&self, number: u64, code: &str) {
        self.queue
            .publish(&Job {
                code: code.into(),
                ..job(number)
            })
            .await
            .unwrap();
    }

    /// Waits for the next final result and takes it out of the queue.
    pub async fn result(&self) -> Report {
        let mut taken = timeout(PATIENCE, self.queue.take_results(1))
            .await
            .unwrap()
            .unwrap();
        let stored = taken.remove(0);
        let report = stored.report.clone();
        stored.confirm().await.unwrap();
        report
    }

    pub async fn live_until(&self, mut seen: impl FnMut(&Report) -> bool) -> Vec<Report> {
        let mut all = Vec::new();
        while !all.iter().any(&mut seen) {
            timeout(PATIENCE, self.live.due())
                .await
                .expect("it is never reported");
            all.extend(self.live.drain().reports);
        }
        all
    }
}

impl Running {
    pub async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.ended)
            .await
            .expect("it does not stop")
            .unwrap();
    }
}

pub fn outcome(report: &Report) -> &Outcome {
    match &report.event {
        Event::Finished { outcome } => outcome,
        other => panic!("not final: {other:?}"),
    }
}

pub fn message(report: &Report) -> &str {
    outcome(report).message.as_deref().unwrap()
}

/// Waits until so many executions have started, since the last look.
pub async fn started(world: &World, count: usize) {
    let mut started = 0;
    world
        .live_until(|report| {
            started += usize::from(report.event == Event::Started);
            started == count
        })
        .await;
}
