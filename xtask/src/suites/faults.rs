//! What crashes must not lose: each case kills something between a request and its result.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::http::{Client, expect, wait_for};
use crate::repo::Repo;
use crate::report::Report;
use crate::stack::{Platform, Stack};
use crate::work::Work;

/// How long an execution may take to come to its next state, crashes included.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs long enough to be interrupted.
const SLOW: &str = "import time\ntime.sleep(4)\nprint('survived')\n";

/// All cases, each on a stack of its own.
pub fn faults(repo: &Repo, work: &Work) -> Result<Report> {
    let mut report = Report::default();
    report.case(
        "an executor that is killed while it runs a job runs it again after its restart",
        executor_is_killed(repo, work),
    );
    report.case(
        "a result reaches an edge that was killed and restarted while the job ran",
        edge_is_killed(repo, work),
    );
    report.case(
        "an execution waits while no executor has joined, and runs when one does",
        executor_joins_late(repo, work),
    );
    Ok(report)
}

fn executor_is_killed(repo: &Repo, work: &Work) -> Result<()> {
    let mut stack = Stack::of_suite(repo, "executor-killed", Platform::Workerd)?;
    stack.start_edge()?;
    stack.start_executor(work)?;
    let user = sign_up(&stack)?;
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
    let user = sign_up(&stack)?;
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

fn executor_joins_late(repo: &Repo, work: &Work) -> Result<()> {
    let mut stack = Stack::of_suite(repo, "executor-late", Platform::Workerd)?;
    stack.start_edge()?;
    let user = sign_up(&stack)?;
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

/// A new account, signed in.
fn sign_up(stack: &Stack<'_>) -> Result<Client> {
    let account = json!({
        "username": "fault-finder",
        "email": "fault-finder@example.org",
        "password": "correct horse battery staple",
    });
    let signed_in = expect(201, stack.client().post("/api/v1/auth/register", &account)?)?;
    let token = signed_in["accessToken"]
        .as_str()
        .context("no access token")?;
    Ok(stack.client().with_bearer(token))
}

/// Asks for a Python program to be run; gives the execution's id.
fn submit(user: &Client, code: &str) -> Result<String> {
    let request = json!({ "language": "python", "code": code, "limits": { "wallMs": 10_000 } });
    let execution = expect(202, user.post("/api/v1/executions", &request)?)?;
    Ok(execution["id"]
        .as_str()
        .context("an execution without an id")?
        .to_owned())
}

fn execution(user: &Client, id: &str) -> Result<Value> {
    let execution = expect(200, user.get(&format!("/api/v1/executions/{id}"))?)?;
    ensure!(execution["id"] == id, "another execution: {execution}");
    Ok(execution)
}

/// Waits until the execution is in `status` and what is asked of it holds.
fn until(user: &Client, id: &str, status: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
    wait_for(&format!("execution {id} is {status}"), LIMIT, || {
        let execution = execution(user, id)?;
        let reached = execution["status"] == status && holds(&execution);
        let passed = execution["status"] == "finished" && status != "finished";
        ensure!(!passed, "ended before: {execution}");
        Ok(reached.then_some(execution))
    })
}

/// Waits for the final result, which must be that the program ran to its end once.
fn accepted(user: &Client, id: &str) -> Result<Value> {
    let end = until(user, id, "finished", |_| true)?;
    ensure!(
        end["verdict"] == "accepted" && end["stdout"] == "survived\n",
        "ended badly: {end}"
    );
    Ok(end)
}

fn depth(queue: &Value, state: &str) -> u64 {
    queue[state].as_u64().unwrap_or(0)
}
