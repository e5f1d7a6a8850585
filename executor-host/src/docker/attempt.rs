//! One attempt at a job inside a container that is ready: compile once, then run after run.

use std::time::{Duration, Instant};

use agent_protocol::{Ended, Event, Exec, Exit, Limits, Order};
use codecrafter_shared::job::{
    Encoding, Job, Outcome, RunLimits, RunOutcome, RunSpec, Stage, Stream, Usage, UsageSource,
    Verdict,
};
use codecrafter_shared::language::LanguageRow;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::cgroup::{Cgroup, Counters};
use super::command::Values;
use super::compiled::{Compilations, Compiled, Key, PROGRAM_BYTES_MAX};
use super::container::{Container, Next};
use super::harden::Budget;
use super::output::{Capture, Relay, written_most};
use super::verdict::{self, Facts};
use super::{permanent, retryable};
use crate::sandbox::{HostFault, Input, Interaction};

/// How long after a run's wall limit the host stops to believe that the agent will end it.
const GRACE: Duration = Duration::from_secs(3);

/// How long the agent may take for files, of which there are some megabytes at the most.
const AGENT_MAX: Duration = Duration::from_secs(5);

/// What a compiler may use. Not part of a job's limits: they are for the program.
pub const COMPILE_LIMITS: RunLimits = RunLimits {
    // An honest megabyte of source needs a few seconds; templates and macros that compute have
    // no end of their own.
    cpu_ms: 20_000,
    // The same on a machine that is busy with others.
    wall_ms: 40_000,
    // What a large translation unit of C++ or Rust takes, with room.
    memory_bytes: 1 << 30,
    // The first and the last errors; nobody reads more.
    output_bytes: 32 * 1024,
    // Go's compiler starts one of itself for each package.
    processes: 256,
};

/// What a job's programs may use, with the floors of their language.
pub fn run_budget(limits: &RunLimits, row: &LanguageRow) -> Budget {
    Budget {
        memory_bytes: limits.memory_bytes.max(row.memory_floor_bytes),
        processes: limits.processes.max(row.processes_floor),
    }
}

/// An attempt.
pub struct Attempt<'a> {
    pub container: &'a mut Container,
    pub row: &'a LanguageRow,
    pub job: &'a Job,
    pub relay: &'a mut Relay,
    pub cancel: &'a CancellationToken,
    pub compilations: &'a Compilations,
    /// Until its sender is gone.
    pub interaction: Option<Interaction>,
}

impl Attempt<'_> {
    /// Sees the job through, from its files to its last run.
    pub async fn run(mut self, files: Vec<Order>) -> Result<Outcome, HostFault> {
        let mut orders = files;
        let compile = match &self.row.compile {
            None => None,
            Some(compiler) => {
                let compiled = self.compiled(compiler, std::mem::take(&mut orders)).await?;
                if compiled.verdict != Verdict::Accepted {
                    return Ok(compiled.into_outcome_of_compiler());
                }
                Some(compiled.outcome)
            }
        };

        let budget = run_budget(&self.job.limits, self.row);
        if !self.container.resize(budget).await? {
            let mebibytes = budget.memory_bytes >> 20;
            let message = format!("The files alone need more than {mebibytes} MiB of memory.");
            return Ok(Outcome {
                compile,
                ..Outcome::without_run(Verdict::MemoryLimit, message)
            });
        }
        self.relay.stage(Stage::Run);
        if self.job.runs.len() > 1 {
            orders.push(Order::Save);
        }
        let mut outcome = Outcome {
            verdict: Verdict::Accepted,
            message: None,
            compile,
            runs: Vec::new(),
        };
        for (number, spec) in self.job.runs.iter().enumerate() {
            if number > 0 {
                orders.push(Order::Restore);
            }
            orders.push(Order::Exec(self.program(spec)));
            let orders = std::mem::take(&mut orders);
            let run = self
                .stage(
                    Stage::Run,
                    &self.effective_limits(),
                    &orders,
                    spec.expected.as_deref(),
                )
                .await?;
            if run.not_started && !self.may_fail_to_start(spec) {
                return Err(retryable(format!(
                    "the image {} cannot start {:?}: {}",
                    self.row.image,
                    self.row.run,
                    run.message.unwrap_or_default()
                )));
            }
            outcome.runs.push(run.outcome);
            if run.verdict != Verdict::Accepted {
                outcome.verdict = run.verdict;
                outcome.message = run.message;
                break;
            }
        }
        Ok(outcome)
    }

    /// Has the files compiled, or finds that they were before. The work directory holds what the
    /// compiler leaves.
    async fn compiled(&mut self, compiler: &[String], files: Vec<Order>) -> Result<Run, HostFault> {
        let values = Values::new(self.job, self.row, COMPILE_LIMITS.memory_bytes);
        let compiler = Exec {
            argv: values.command(compiler),
            env: values.environment(self.row),
            limits: agent_limits(&COMPILE_LIMITS),
            ..Exec::default()
        };
        self.relay.stage(Stage::Compile);
        let key = Key::new(&self.job.tenant, self.container.image(), &files, &compiler);
        if let Some(kept) = self.compilations.get(&key)
            && self.has_room_for(&kept.program)
        {
            return self.compiled_before(&kept).await;
        }
        let run = self.compile(files, compiler).await?;
        if run.would_end_the_same {
            let program = match run.verdict {
                Verdict::Accepted => soon(self.container.pack(PROGRAM_BYTES_MAX)).await?,
                _ => Some(Vec::new()),
            };
            if let Some(program) = program {
                let mut outcome = run.outcome.clone();
                outcome.cached = true;
                let message = run.message.clone();
                let compiled = Compiled {
                    outcome,
                    message,
                    program,
                };
                self.compilations.put(key, compiled);
            }
        }
        Ok(run)
    }

    /// Whether the agent can unpack it within the memory of the run: it is there as a file, in the
    /// agent, and in the process that writes it.
    fn has_room_for(&self, program: &[u8]) -> bool {
        let budget = run_budget(&self.job.limits, self.row);
        program.len() as u64 <= budget.memory_bytes / 4
    }

    async fn compiled_before(&mut self, kept: &Compiled) -> Result<Run, HostFault> {
        let RunOutcome { stdout, stderr, .. } = &kept.outcome;
        for (stream, written) in [(Stream::Stdout, stdout), (Stream::Stderr, stderr)] {
            if written.encoding == Encoding::Utf8 {
                self.relay.output(stream, written.data.as_bytes());
            }
        }
        if !kept.program.is_empty() {
            soon(self.container.unpack(&kept.program)).await?;
        }
        Ok(Run {
            verdict: kept.outcome.verdict,
            message: kept.message.clone(),
            not_started: false,
            would_end_the_same: true,
            outcome: kept.outcome.clone(),
        })
    }

    async fn compile(&mut self, files: Vec<Order>, compiler: Exec) -> Result<Run, HostFault> {
        self.container
            .resize(run_budget(&COMPILE_LIMITS, self.row))
            .await?;
        let mut orders = files;
        orders.push(Order::Exec(compiler));
        let run = self
            .stage(Stage::Compile, &COMPILE_LIMITS, &orders, None)
            .await?;
        if run.not_started {
            return Err(retryable(format!(
                "the image {} cannot start its compiler",
                self.row.image
            )));
        }
        Ok(run)
    }

    fn program(&self, spec: &RunSpec) -> Exec {
        let values = Values::new(self.job, self.row, self.effective_limits().memory_bytes);
        let mut argv = values.command(&self.row.run);
        argv.extend(spec.args.iter().cloned());
        Exec {
            argv,
            env: values.environment(self.row),
            stdin: spec.stdin.clone().into_bytes(),
            keeps_input: self.interaction.is_some(),
            terminal: self.interaction.as_ref().and_then(|person| person.terminal),
            limits: agent_limits(&self.job.limits),
        }
    }

    /// The limits with the language's floor on memory, as they are reported.
    fn effective_limits(&self) -> RunLimits {
        let budget = run_budget(&self.job.limits, self.row);
        RunLimits {
            memory_bytes: budget.memory_bytes,
            ..self.job.limits
        }
    }

    /// Whether a program that cannot be started is the job's doing: what a compiler made may be
    /// no program, and an argument may be none to the kernel. An interpreter always starts.
    fn may_fail_to_start(&self, spec: &RunSpec) -> bool {
        self.row.compile.is_some() || spec.args.iter().any(|argument| argument.contains('\0'))
    }

    /// Sends the orders, the last of which starts a program, and sees that program to its end.
    async fn stage(
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
            outcome: RunOutcome {
                verdict,
                also,
                exit_code: exit_and_signal.0,
                signal: exit_and_signal.1,
                stdout: stdout.finish(seen_out),
                stderr: stderr.finish(seen_err),
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
        let deadline = tokio::time::sleep(deadline);
        tokio::pin!(deadline);
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Ok(End::Cancelled),
            () = &mut deadline => return Ok(End::Overdue),
            sent = self.container.send(orders) => sent?,
        }
        let mut keeps_input = matches!(orders.last(), Some(Order::Exec(exec)) if exec.keeps_input);
        loop {
            let takes_input = keeps_input && self.container.has_sent_all();
            let next = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Ok(End::Cancelled),
                () = &mut deadline => return Ok(End::Overdue),
                () = self.relay.room(), if self.relay.is_waiting() => continue,
                input = next_input(&mut self.interaction), if takes_input => {
                    keeps_input = input != Order::CloseInput;
                    self.container.send_meanwhile(&input);
                    continue;
                }
                next = self.container.next() => next?,
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

/// What the agent does by itself, without a program that could keep it: one that takes longer hangs.
async fn soon<T>(work: impl Future<Output = Result<T, HostFault>>) -> Result<T, HostFault> {
    let done = tokio::time::timeout(AGENT_MAX, work).await;
    done.unwrap_or_else(|_| Err(retryable("the agent hangs")))
}

/// The next that somebody at the keyboard does, as an order.
async fn next_input(interaction: &mut Option<Interaction>) -> Order {
    let input = match interaction {
        Some(person) => person.input.recv().await,
        None => None,
    };
    match input {
        Some(Input::Bytes(bytes)) => Order::Input { bytes },
        Some(Input::Signal(number)) => Order::Signal { number },
        Some(Input::Resize(size)) => Order::Resize(size),
        None => Order::CloseInput,
    }
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

/// A run that has ended.
struct Run {
    verdict: Verdict,
    message: Option<String>,
    not_started: bool,
    /// It exited by itself, within its limits: for a compiler that means, always so.
    would_end_the_same: bool,
    outcome: RunOutcome,
}

impl Run {
    /// The job's outcome, when this is its compiler's run and it was not accepted.
    fn into_outcome_of_compiler(self) -> Outcome {
        // Whatever limit a compiler runs into, there is nothing to run.
        let verdict = match self.verdict {
            Verdict::Cancelled => Verdict::Cancelled,
            _ => Verdict::CompileError,
        };
        Outcome {
            verdict,
            message: self.message,
            compile: Some(self.outcome),
            runs: Vec::new(),
        }
    }
}

fn agent_limits(limits: &RunLimits) -> Limits {
    let RunLimits {
        cpu_ms,
        wall_ms,
        output_bytes,
        ..
    } = *limits;
    Limits {
        cpu_ms,
        wall_ms,
        output_bytes: written_most(output_bytes),
    }
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
