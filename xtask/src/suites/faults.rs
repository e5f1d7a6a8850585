//! What crashes must not lose: each case kills something between a request and its result, and a
//! storm kills and cuts everything at random points.

mod clients;
mod engine;
mod hosts;
mod proxy;
mod random;
mod storm;
mod turns;
mod upgrade;
mod version;

use anyhow::{Result, ensure};
use serde_json::Value;

pub use self::hosts::ECHO_HOST;
use self::storm::{Size, storm};
use self::upgrade::{Order, upgrade};
use super::programs::{LIMIT, accepted, execution, sign_up, submit, until};
use crate::evidence::Evidence;
use crate::http::{expect, wait_for};
use crate::repo::Repo;
use crate::report::Report;
use crate::stack::queue::Carrier;
use crate::stack::{Platform, Stack};
use crate::work::Work;

/// Runs long enough to be interrupted, on a machine that is slow itself as well.
const SLOW: &str = "import time\ntime.sleep(12)\nprint('survived')\n";

/// All cases, each on a stack of its own.
pub fn faults(repo: &Repo, work: &Work) -> Result<Report> {
    let mut report = Report::default();
    let stormy = storm(repo, work, &SHORT).map(|met| met.lines().for_each(|line| report.say(line)));
    report.case(
        "a short storm: one final row for each accepted execution",
        stormy,
    );
    for (name, order) in ORDERS {
        let replaced = upgrade(repo, work, order);
        let replaced = replaced.map(|met| met.lines().for_each(|line| report.say(line)));
        report.case(name, replaced);
    }
    report.case(
        "an executor that is killed while it runs a job runs it again after its restart",
        executor_is_killed(repo, work),
    );
    report.case(
        "a result reaches an edge that was killed and restarted while the job ran",
        edge_is_killed(repo, work),
    );
    report.case(
        "a job is run, and its result arrives, although its broker was killed while it ran",
        broker_is_killed(repo, work),
    );
    for carrier in [Carrier::Embedded, Carrier::private()?] {
        let queue = carrier.queue();
        let name =
            format!("many jobs of one user keep another's from no more than slots, by {queue}");
        report.case(&name, self::turns::turns(repo, work, carrier));
    }
    report.case(
        "an execution waits while no executor has joined, and runs when one does",
        executor_joins_late(repo, work),
    );
    Ok(report)
}

/// The long storms: thousands of jobs, and hundreds in real containers of an engine that dies too.
pub fn long(repo: &Repo, work: &Work) -> Result<Report> {
    let mut report = Report::default();
    let mut evidence = Evidence::default();
    for (name, size) in [
        (
            "a long storm: one final row for each accepted execution",
            LONG,
        ),
        (
            "a storm over real containers, in which their engine dies too",
            CONTAINERS,
        ),
    ] {
        let stormy = storm(repo, work, &size).map(|met| evidence.extend(met));
        report.case(name, stormy);
    }
    report.evidence = Some(evidence);
    Ok(report)
}

/// Whoever is replaced first, nobody's execution suffers.
const ORDERS: [(&str, Order); 2] = [
    (
        "everything is replaced under load, the edge first",
        Order::EdgeFirst,
    ),
    (
        "everything is replaced under load, the hosts first",
        Order::HostsFirst,
    ),
];

/// One storm alone: the short one unless another is named.
pub fn one(repo: &Repo, work: &Work, which: Option<&str>) -> Result<Evidence> {
    let size = match which {
        None => SHORT,
        Some("long") => LONG,
        Some("containers") => CONTAINERS,
        Some("upgrade") => {
            let mut evidence = Evidence::default();
            for (_, order) in ORDERS {
                evidence.extend(upgrade(repo, work, order)?);
            }
            return Ok(evidence);
        }
        Some(other) => anyhow::bail!("there is no storm `{other}`"),
    };
    storm(repo, work, &size)
}

/// A couple of minutes, in each test run.
const SHORT: Size = Size {
    name: "storm",
    jobs: 300,
    slots: 6,
    pause_ms: 1_500,
    faulty: true,
    containers: false,
};
const LONG: Size = Size {
    name: "storm-long",
    jobs: 3_000,
    slots: 8,
    pause_ms: 800,
    faulty: true,
    containers: false,
};
const CONTAINERS: Size = Size {
    name: "storm-containers",
    jobs: 300,
    slots: 1,
    pause_ms: 2_500,
    faulty: true,
    containers: true,
};

fn executor_is_killed(repo: &Repo, work: &Work) -> Result<()> {
    let mut stack = Stack::of_suite(repo, "executor-killed", Platform::Workerd)?;
    stack.start_edge()?;
    stack.start_executor(work)?;
    let user = sign_up(&stack.client())?;
    let id = submit(&user, SLOW)?;
    let first = until(&user, &id, "running", |execution| {
        execution["attemptId"].is_string()
    })?;
    let queue = stack.queue()?;
    ensure!(
        depth(&queue, "ready") + depth(&queue, "running") > 0,
        "not in the queue: {queue}"
    );
    stack.kill_executor()?;
    stack.start_executor(work)?;
    let end = accepted(&user, &id)?;
    ensure!(
        end["attemptId"] != first["attemptId"],
        "the same attempt ended: {end}"
    );
    ensure!(
        end["attempts"].as_u64() >= Some(2),
        "one attempt only: {end}"
    );
    // The first attempt's container is gone or not: whatever it still says must not count.
    wait_for("the queue is empty", LIMIT, || {
        let queue = stack.queue()?;
        let empty = ["ready", "running", "results"]
            .iter()
            .all(|state| depth(&queue, state) == 0);
        Ok(empty.then_some(()))
    })?;
    ensure!(
        accepted(&user, &id)? == end,
        "the result changed after it was final"
    );
    Ok(())
}

fn edge_is_killed(repo: &Repo, work: &Work) -> Result<()> {
    let mut stack = Stack::of_suite(repo, "edge-killed", Platform::Workerd)?;
    stack.start_edge()?;
    stack.start_executor(work)?;
    let user = sign_up(&stack.client())?;
    let id = submit(&user, SLOW)?;
    until(&user, &id, "running", |_| true)?;
    stack.kill_edge()?;
    // The job ends while nobody can be told.
    wait_for("a result that waits for the edge", LIMIT, || {
        let queue = stack.queue()?;
        Ok((depth(&queue, "running") == 0 && depth(&queue, "results") > 0).then_some(()))
    })?;
    stack.start_edge()?;
    accepted(&user, &id).map(drop)
}

fn broker_is_killed(repo: &Repo, work: &Work) -> Result<()> {
    let carrier = Carrier::private()?;
    let mut stack = Stack::of_suite_on(repo, "broker-killed", Platform::Workerd, carrier)?;
    stack.start_edge()?;
    stack.start_executor(work)?;
    let user = sign_up(&stack.client())?;
    let running = submit(&user, SLOW)?;
    until(&user, &running, "running", |_| true)?;
    stack.kill_broker()?;
    // Asked for while there is no broker to put it into.
    let waiting = submit(&user, "print('survived')\n")?;
    stack.start_broker()?;
    accepted(&user, &running)?;
    accepted(&user, &waiting).map(drop)
}

fn executor_joins_late(repo: &Repo, work: &Work) -> Result<()> {
    let mut stack = Stack::of_suite(repo, "executor-late", Platform::Workerd)?;
    stack.start_edge()?;
    let user = sign_up(&stack.client())?;
    let id = submit(&user, "print('survived')\n")?;
    let ready = expect(200, stack.client().get("/ready")?)?;
    ensure!(
        ready["liveExecutors"] == 0 && ready["waitingExecutions"] == 1,
        "not waiting: {ready}"
    );
    let waiting = execution(&user, &id)?;
    ensure!(waiting["status"] == "queued", "not queued: {waiting}");
    stack.start_executor(work)?;
    let end = accepted(&user, &id)?;
    ensure!(end["attempts"] == 1, "more than one attempt: {end}");
    Ok(())
}

fn depth(queue: &Value, state: &str) -> u64 {
    queue[state].as_u64().unwrap_or(0)
}
