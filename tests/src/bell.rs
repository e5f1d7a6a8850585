//! The exam bell: a class hands in within a minute what each has written, while somebody else goes
//! on working, and all wait for the same few slots. Entered where they enter, by the API; so what
//! is measured is the whole path, the order in which the edge gives jobs away included.

mod class;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use codecrafter_shared::api::{Execution, ExecutionStatus};
use codecrafter_shared::job::Verdict;
use codecrafter_shared::time::Timestamp;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::Client;
use class::Submission;

/// Submissions of one person: fewer than may wait.
const SUBMISSIONS_EACH: usize = 5;

/// How often somebody runs something meanwhile.
const WORK_EVERY: Duration = Duration::from_secs(2);

/// What came of it, in milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rung {
    /// Submissions, every one of which was accepted.
    pub submissions: usize,
    /// From the bell until the last of them had its verdict.
    pub last_verdict: i64,
    /// From handing in until an executor began, half of them at most so long.
    pub wait_p50: i64,
    /// Of 95 in a hundred.
    pub wait_p95: i64,
    /// What somebody else ran meanwhile.
    pub others: usize,
    /// From the request until they had the result, half of them at most so long.
    pub other_p50: i64,
    /// Of 95 in a hundred.
    pub other_p95: i64,
}

/// Rings once: `submissions` are handed in within `window`.
///
/// # Errors
/// If a request is refused, or a program is not accepted: what refuses is not fast.
pub async fn ring(url: &str, submissions: usize, window: Duration) -> Result<Rung> {
    let people = people(url, submissions.div_ceil(SUBMISSIONS_EACH)).await?;
    let other = registered(url, "other").await?;
    // The first run of a language finds nothing prepared, and is not what is measured.
    for (language, code, expected) in class::PROGRAMS {
        let warm = class::request(language, code.to_owned(), expected);
        judged(ended(&other, other.execute(&warm).await?).await?)?;
    }

    let (bell, is_over) = (Instant::now(), watch::Sender::new(false));
    let working = tokio::spawn(work(other, is_over.subscribe()));
    let mut handing_in = JoinSet::new();
    for (number, submission) in class::submissions(submissions, window)
        .into_iter()
        .enumerate()
    {
        let person = people
            .get(number % people.len().max(1))
            .context("nobody hands in")?
            .clone();
        handing_in.spawn(hand_in(person, bell + submission.after, submission));
    }
    let (mut last_verdict, mut waits) = (0, Vec::new());
    while let Some(handed_in) = handing_in.join_next().await {
        let (execution, finished_after) = handed_in??;
        let started = execution.started_at.context("it has never started")?;
        waits.push(started.since(execution.created_at));
        last_verdict = last_verdict.max(finished_after);
    }
    is_over.send_replace(true);
    let mut others = working.await??;
    Ok(Rung {
        submissions,
        last_verdict,
        wait_p50: percentile(&mut waits, 50),
        wait_p95: percentile(&mut waits, 95),
        others: others.len(),
        other_p50: percentile(&mut others, 50),
        other_p95: percentile(&mut others, 95),
    })
}

/// Hands in when it is time, and returns what came of it and when, in milliseconds.
async fn hand_in(person: Client, at: Instant, submission: Submission) -> Result<(Execution, i64)> {
    let Submission { after, request } = submission;
    tokio::time::sleep_until(at.into()).await;
    let execution = ended(&person, person.execute(&request).await?).await?;
    let finished = execution.finished_at.context("it has not finished")?;
    let took = after + since(execution.created_at, finished);
    Ok((judged(execution)?, millis(took)))
}

/// Runs something now and then, whether the run before has ended or not, until it is over; how
/// long each took, in milliseconds.
async fn work(person: Client, is_over: watch::Receiver<bool>) -> Result<Vec<i64>> {
    let mut runs = JoinSet::<Result<i64>>::new();
    let mut ticks = tokio::time::interval(WORK_EVERY);
    while !*is_over.borrow() {
        ticks.tick().await;
        let person = person.clone();
        runs.spawn(async move {
            let begun = Instant::now();
            let request = class::work();
            judged(ended(&person, person.execute(&request).await?).await?)?;
            Ok(millis(begun.elapsed()))
        });
    }
    let mut times = Vec::new();
    while let Some(run) = runs.join_next().await {
        times.push(run??);
    }
    Ok(times)
}

/// Waits for the end of an execution as clients do.
async fn ended(person: &Client, mut execution: Execution) -> Result<Execution> {
    let path = format!("/api/v1/executions/{}?wait=true", execution.id);
    while execution.status != ExecutionStatus::Finished {
        execution = person.get(&path).await?.expect(200)?;
    }
    Ok(execution)
}

fn judged(execution: Execution) -> Result<Execution> {
    ensure!(
        execution.verdict == Some(Verdict::Accepted),
        "not accepted: {execution:?}"
    );
    Ok(execution)
}

/// New accounts. One after the other: each costs the edge a password hash.
async fn people(url: &str, count: usize) -> Result<Vec<Client>> {
    let mut people = Vec::with_capacity(count);
    for number in 0..count {
        people.push(registered(url, &format!("pupil-{number}")).await?);
    }
    Ok(people)
}

async fn registered(url: &str, name: &str) -> Result<Client> {
    let mut person = Client::new(url);
    person.register(name).await?;
    Ok(person)
}

fn since(begun: Timestamp, ended: Timestamp) -> Duration {
    Duration::from_millis(ended.since(begun).max(0).unsigned_abs())
}

fn millis(time: Duration) -> i64 {
    time.as_millis().try_into().unwrap_or(i64::MAX)
}

/// The least of them that so many of a hundred do not exceed; 0 if there is none.
fn percentile(times: &mut [i64], percent: usize) -> i64 {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    times.get(last * percent / 100).copied().unwrap_or_default()
}
