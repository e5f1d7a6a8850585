//! A host whose pool is used up: every slot or every container that the machine can have is taken.
//! What comes then is late, and never called a failure of its program.

use std::sync::Arc;
use std::time::Duration;

use codecrafter_shared::job::{Event, Job, Report, Verdict};
use executor_host::docker::harden::Isolation;
use executor_host::host::{Host, HostSettings};
use executor_host::metrics::Metrics;
use executor_host::queue::contract::{cancel, execution};
use executor_host::queue::{Embedded, LiveReports, Queue as _};
use executor_host::sandbox::Sandbox as _;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::refusing_engine::RefusingEngine;
use crate::world::{PATIENCE, World, job, only_run, printed, timed};

/// What an engine says that cannot have another process.
const NO_MORE: &str = "fork/exec /usr/bin/runc: resource temporarily unavailable";

fn numbered(number: u64, code: &str) -> Job {
    Job {
        execution_id: execution(number),
        ..job(code)
    }
}

/// One that says something and then stays.
fn endless(number: u64) -> Job {
    let code = "import time\nprint('on', flush=True)\ntime.sleep(3600)";
    Job {
        execution_id: execution(number),
        ..timed(code, 1_000, 120_000)
    }
}

/// A host at work on the jobs of a queue.
struct Working {
    queue: Arc<Embedded>,
    live: LiveReports,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
    _folder: TempDir,
}

impl Working {
    fn on(world: World, slots: u32) -> Self {
        let folder = TempDir::new().unwrap();
        let queue = Arc::new(Embedded::open(&folder.path().join("queue.db")).unwrap());
        let (live, stop) = (LiveReports::default(), CancellationToken::new());
        let settings = HostSettings {
            slots,
            grace: Duration::from_secs(20),
            // So long that what is free again is noticed between the first try and the second.
            retry_delay: Duration::from_secs(3),
        };
        let sandbox = Arc::new(world.sandbox);
        let host = Host::new(
            queue.clone(),
            sandbox,
            live.clone(),
            settings,
            Metrics::default(),
        );
        let ended = tokio::spawn(Arc::new(host).run(stop.clone()));
        Self {
            queue,
            live,
            stop,
            ended,
            _folder: folder,
        }
    }

    /// Waits until a program of the execution has written something.
    async fn until_written(&self, number: u64) {
        let written = |report: &Report| {
            report.execution_id == execution(number) && matches!(report.event, Event::Output { .. })
        };
        let wait = async {
            loop {
                self.live.due().await;
                if self.live.drain().reports.iter().any(written) {
                    return;
                }
            }
        };
        timeout(PATIENCE, wait).await.expect("it never runs");
    }

    /// The next final result.
    async fn result(&self) -> Report {
        let taken = timeout(PATIENCE, self.queue.take_results(1)).await;
        let stored = taken.expect("no result").unwrap().remove(0);
        let report = stored.report.clone();
        stored.confirm().await.unwrap();
        report
    }

    async fn end(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.ended).await.unwrap().unwrap();
    }
}

fn verdict(report: &Report) -> (u64, Verdict) {
    let number = (1..=9).find(|number| execution(*number) == report.execution_id);
    match &report.event {
        Event::Finished { outcome } => (number.unwrap(), outcome.verdict),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn what_the_machine_has_no_container_for_is_run_when_it_has() {
    let engine = RefusingEngine::new();
    let socket = engine.socket.clone();
    let world = World::with("exhausted", |settings| settings.socket = Some(socket)).await;
    let working = Working::on(world, 2);
    // One slot and the last container that can be had.
    working.queue.publish(&endless(1)).await.unwrap();
    working.until_written(1).await;
    engine.refuse_more(NO_MORE);
    let late = numbered(2, "print('late')");
    working.queue.publish(&late).await.unwrap();
    engine.refused(1).await;
    engine.allow_more();
    let result = working.result().await;
    assert_eq!(verdict(&result), (2, Verdict::Accepted), "{result:?}");
    working.queue.send_control(&cancel(1)).await.unwrap();
    let result = working.result().await;
    assert_eq!(verdict(&result), (1, Verdict::Cancelled), "it went on");
    working.end().await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn what_finds_every_slot_taken_waits_for_one() {
    let world = World::new("no-slot").await;
    let working = Working::on(world, 1);
    working.queue.publish(&endless(1)).await.unwrap();
    working.until_written(1).await;
    for number in 2..=3 {
        let late = numbered(number, "print('late')");
        working.queue.publish(&late).await.unwrap();
    }
    let depth = working.queue.depth().await.unwrap();
    assert_eq!((depth.running, depth.ready), (1, 2));
    working.queue.send_control(&cancel(1)).await.unwrap();
    let mut verdicts = Vec::new();
    for _ in 1..=3 {
        verdicts.push(verdict(&working.result().await));
    }
    let late = Verdict::Accepted;
    assert_eq!(verdicts, [(1, Verdict::Cancelled), (2, late), (3, late)]);
    working.end().await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn more_jobs_than_the_pool_has_containers_are_all_run() {
    let world = World::with("pool-used-up", |settings| {
        settings.isolation = Isolation::Reuse;
        settings.warm = 1;
        // One container's.
        settings.warm_bytes = 16 << 20;
    })
    .await;
    let world = Arc::new(world);
    let runs = (1..=5).map(|number| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let job = numbered(number, &format!("print({number})"));
            let (sender, _receiver) = mpsc::channel(1);
            let never = CancellationToken::new();
            world.sandbox.run(&job, sender, never).await
        })
    });
    for (number, run) in (1..).zip(runs.collect::<Vec<_>>()) {
        let outcome = run.await.unwrap().expect("no fault of the host either");
        assert_eq!(printed(&only_run(outcome)), format!("{number}\n"));
    }
    world.sandbox.close().await;
    assert_eq!(world.containers().await.len(), 0);
}
