//! One attempt at a job inside a container that is ready: compile once, then run after run.

mod compile;
mod stage;

use std::time::Duration;

use agent_protocol::{Exec, Limits, Order};
use codecrafter_shared::job::{Job, Outcome, OutputFiles, RunLimits, RunSpec, Stage, Verdict};
use codecrafter_shared::language::LanguageRow;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::command::Values;
use super::compiled::Compilations;
use super::container::Container;
use super::harden::Budget;
use super::output::{Relay, written_most};
use super::output_files::{Allowance, unreadable};
use super::retryable;
use crate::sandbox::{HostFault, Interaction};

/// How long the agent may take for files, of which there are some megabytes at the most.
const AGENT_MAX: Duration = Duration::from_secs(5);

/// What it may use for that beside what the job's files take already.
const AGENT_BYTES: u64 = 32 << 20;

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
        let mut allowance = Allowance::default();
        for (number, spec) in self.job.runs.iter().enumerate() {
            if number > 0 {
                orders.push(Order::Restore);
            }
            orders.push(Order::Exec(self.program(spec)));
            let orders = std::mem::take(&mut orders);
            let mut run = self
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
            if run.left_files {
                run.outcome.files = self.collect(&mut allowance).await;
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

    /// The files that the last program has left. It is judged already: what goes wrong here is
    /// said where they are listed, and the container is of no more use.
    async fn collect(&mut self, allowance: &mut Allowance) -> OutputFiles {
        let budget = run_budget(&self.job.limits, self.row);
        // The program's files may take all the memory that it has.
        let raised = Budget {
            memory_bytes: budget.memory_bytes.saturating_add(AGENT_BYTES),
            ..budget
        };
        let collected = async {
            self.container.resize(raised).await?;
            let files = self.container.collect(allowance.wanted()).await?;
            // Of no use without it only to a run that follows.
            self.container.resize(budget).await?;
            Ok(files)
        };
        match soon(collected).await {
            Ok(files) => {
                allowance.spend(&files);
                files
            }
            Err(fault) => {
                warn!(%fault, "the files of a program could not be collected");
                self.container.suspect();
                unreadable()
            }
        }
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
            tells_files: true,
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
}

/// What the agent does by itself, without a program that could keep it: one that takes longer hangs.
async fn soon<T>(work: impl Future<Output = Result<T, HostFault>>) -> Result<T, HostFault> {
    let done = tokio::time::timeout(AGENT_MAX, work).await;
    done.unwrap_or_else(|_| Err(retryable("the agent hangs")))
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
