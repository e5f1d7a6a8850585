//! One program, from the order to start it to what became of it.

use std::time::{Duration, Instant};

use agent_protocol::{Ended, Event, Exit, Order};
use codecrafter_shared::job::{
    OutputFiles, RunLimits, RunOutcome, Stage, Stream, Usage, UsageSource, Verdict,
};

use super::Attempt;
use crate::docker::answer::Answer;
use crate::docker::cgroup::{Cgroup, Counters};
use crate::docker::container::Next;
use crate::docker::output::Capture;
use crate::docker::verdict::{self, Facts};
use crate::docker::{permanent, retryable};
use crate::sandbox::{HostFault, Input, Interaction};

/// How long after a run's wall limit the host stops to believe that the agent will end it.
const GRACE: Duration = Duration::from_secs(3);

/// A run that has ended.
pub struct Run {
    pub verdict: Verdict,
    pub message: Option<String>,
    pub not_started: bool,
    /// It exited by itself, within its limits: for a compiler that means, always so.
    pub would_end_the_same: bool,
    /// There may be files to collect.
    pub left_files: bool,
    pub outcome: RunOutcome,
}

impl Attempt<'_> {
    /// Sends the orders, the last of which starts a program, and sees that program to its end.
    pub async fn stage(
        &mut self,
        stage: Stage,
        limits: &RunLimits,
        orders: &[Order],
        expected: Option<&str>,
    ) -> Result<Run, HostFault> {
        if let Some(cgroup) = self.container.cgroup() {
            cgroup.reset_peak();
        }
        let before = counters(self.container.cgroup());
        let started = Instant::now();
        let mut stdout = Capture::new(limits.output_bytes);
        let mut stderr = Capture::new(limits.output_bytes);
        let mut answer = expected.map(Answer::expected);
        let written = (&mut stdout, &mut stderr, &mut answer);
        let end = self.watch(limits, orders, written).await?;
        let wall = started.elapsed();
        let after = counters(self.container.cgroup());

        let mut facts = Facts {
            over_output: stdout.is_over() || stderr.is_over(),
            ..Facts::default()
        };
        if let (Some(before), Some(after)) = (&before, &after) {
            facts.out_of_memory = after.oom_kills > before.oom_kills;
        }
        let mut ended = None;
        match end {
            End::Reported(report) => {
                (facts.exit, facts.limit) = (Some(report.exit), report.limit);
                // The same counter, for a host that cannot see the container's cgroup.
                facts.out_of_memory = facts.out_of_memory || report.oom_kills > 0;
                ended = Some(report);
            }
            End::Cancelled => facts.cancelled = true,
            End::Overdue => facts.overdue = true,
            End::Flooded => facts.over_output = true,
            End::Vanished => {
                // Memory is the one thing of the program's that can take the agent with it.
                facts.out_of_memory =
                    facts.out_of_memory || self.container.was_out_of_memory().await?;
                if !facts.out_of_memory {
                    return Err(retryable("the container ended by itself"));
                }
            }
        }
        let has_exited = matches!(facts.exit, Some(Exit::Code(_))) && facts.limit.is_none();
        facts.out_of_memory |= stage == Stage::Run && self.gave_up_for_memory(&facts, &stderr);
        let is_usual = has_exited && !facts.out_of_memory && !facts.over_output;
        if !is_usual {
            self.container.suspect();
        }
        facts.wrong_answer = answer.is_some_and(|answer| !answer.is_right());
        let (verdict, also) = verdict::of_run(stage, &facts);
        let (seen_out, seen_err) = ended
            .as_ref()
            .map_or((0, 0), |e| (e.stdout_bytes, e.stderr_bytes));
        let exit_and_signal = match facts.exit {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal(signal)) => (None, Some(verdict::signal_name(signal))),
            Some(Exit::NotStarted(_)) | None => (None, None),
        };
        Ok(Run {
            verdict,
            message: verdict::sentence(stage, verdict, &facts, limits),
            not_started: matches!(facts.exit, Some(Exit::NotStarted(_))),
            would_end_the_same: is_usual,
            left_files: ended.as_ref().is_some_and(|ended| ended.left_files),
            outcome: RunOutcome {
                verdict,
                also,
                exit_code: exit_and_signal.0,
                signal: exit_and_signal.1,
                stdout: stdout.finish(seen_out),
                stderr: stderr.finish(seen_err),
                files: OutputFiles::default(),
                usage: usage(before.zip(after), ended.as_ref(), wall),
                cached: false,
            },
        })
    }

    /// Whether the program ended badly, and its runtime's last words are that it had no memory
    /// left. A runtime with a heap of its own ends by itself before the kernel has to.
    fn gave_up_for_memory(&self, facts: &Facts, stderr: &Capture) -> bool {
        let ended_badly = matches!(facts.exit, Some(Exit::Signal(_) | Exit::Code(1..)));
        let said = |word: &String| stderr.ends_with_word(word);
        ended_badly && facts.limit.is_none() && self.row.out_of_memory.iter().any(said)
    }

    /// Sends the orders and passes on what the agent reports, until it reports the end or
    /// something else ends the run.
    async fn watch(
        &mut self,
        limits: &RunLimits,
        orders: &[Order],
        (stdout, stderr, answer): (&mut Capture, &mut Capture, &mut Option<Answer>),
    ) -> Result<End, HostFault> {
        let deadline = Duration::from_millis(u64::from(limits.wall_ms)) + GRACE;
        let due = tokio::time::Instant::now() + deadline;
        let deadline = tokio::time::sleep_until(due);
        tokio::pin!(deadline);
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Ok(End::Cancelled),
            () = &mut deadline => return Ok(End::Overdue),
            sent = self.container.send(orders) => sent?,
        }
        let mut keeps_input = matches!(orders.last(), Some(Order::Exec(exec)) if exec.keeps_input);
        loop {
            // Nobody is waited for any more then. What the agent has said already is heard first: it
            // may have ended the program in time, and this host have stood still since.
            let is_due = tokio::time::Instant::now() >= due;
            let takes_input = keeps_input && self.container.has_sent_all() && !is_due;
            let next = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Ok(End::Cancelled),
                () = self.relay.room(), if self.relay.is_waiting() && !is_due => continue,
                input = next_input(&mut self.interaction), if takes_input => {
                    keeps_input = input.is_some();
                    self.container.send_meanwhile(&input.unwrap_or(Order::CloseInput));
                    continue;
                }
                next = self.container.next() => next?,
                () = &mut deadline => return Ok(End::Overdue),
            };
            let event = match next {
                Next::Event(event) => event,
                Next::Sent => continue,
                Next::End => return Ok(End::Vanished),
            };
            match event {
                Event::Output { stream, bytes } => {
                    let (stream, capture) = match stream {
                        agent_protocol::Stream::Stdout => (Stream::Stdout, &mut *stdout),
                        agent_protocol::Stream::Stderr => (Stream::Stderr, &mut *stderr),
                    };
                    if let (Stream::Stdout, Some(answer)) = (stream, &mut *answer) {
                        answer.push(&bytes);
                    }
                    self.relay.output(stream, capture.push(&bytes));
                    if capture.is_over() {
                        return Ok(End::Flooded);
                    }
                }
                Event::Ended(ended) => return Ok(End::Reported(ended)),
                Event::Failed { reason } => {
                    return Err(permanent(format!("the agent could not go on: {reason}")));
                }
                event => {
                    return Err(permanent(format!("nobody asked the agent for {event:?}")));
                }
            }
        }
    }
}

/// The next that somebody at the keyboard does, as an order; none once nobody is there.
async fn next_input(interaction: &mut Option<Interaction>) -> Option<Order> {
    Some(match interaction.as_mut()?.input.recv().await? {
        Input::Bytes(bytes) => Order::Input { bytes },
        Input::End => Order::CloseInput,
        Input::Signal(number) => Order::Signal { number },
        Input::Resize(size) => Order::Resize(size),
    })
}

/// What ended a run, as the host sees it. After all but the first the container is of no more
/// use, and whoever holds it removes it.
enum End {
    /// The agent has ended it and reports.
    Reported(Ended),
    /// The job's owner ended it.
    Cancelled,
    /// The agent has not ended it in time.
    Overdue,
    /// The agent has passed on more than it may.
    Flooded,
    /// The container is no more.
    Vanished,
}

/// The counters, if they can be read; a container that has gone has none.
fn counters(cgroup: Option<&Cgroup>) -> Option<Counters> {
    cgroup.and_then(|cgroup| cgroup.counters().ok())
}

/// What the run used: by the host's counters where there are any, else by the agent's.
fn usage(counted: Option<(Counters, Counters)>, ended: Option<&Ended>, watched: Duration) -> Usage {
    let wall_ms = match ended {
        Some(ended) => ended.wall_us / 1000,
        None => watched.as_millis() as u64,
    };
    match (counted, ended) {
        (Some((before, after)), _) => Usage {
            cpu_ms: after.cpu.saturating_sub(before.cpu).as_millis() as u64,
            wall_ms,
            peak_bytes: after.peak_bytes,
            source: UsageSource::Cgroup,
        },
        (None, Some(ended)) => Usage {
            cpu_ms: ended.cpu_us / 1000,
            wall_ms,
            peak_bytes: ended.peak_bytes,
            source: UsageSource::Rusage,
        },
        (None, None) => Usage {
            wall_ms,
            ..Usage::default()
        },
    }
}
