//! The compiler's part of an attempt, or what an equal one has left.

use agent_protocol::{Exec, Order};
use codecrafter_shared::job::{Encoding, Outcome, RunLimits, RunOutcome, Stage, Stream, Verdict};

use super::stage::Run;
use super::{Attempt, agent_limits, run_budget, soon};
use crate::docker::command::Values;
use crate::docker::compiled::{Compiled, Key, PROGRAM_BYTES_MAX};
use crate::docker::retryable;
use crate::sandbox::HostFault;

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

impl Attempt<'_> {
    /// Has the files compiled, or finds that they were before. The work directory holds what the
    /// compiler leaves.
    pub async fn compiled(
        &mut self,
        compiler: &[String],
        files: Vec<Order>,
    ) -> Result<Run, HostFault> {
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
            left_files: false,
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
}

impl Run {
    /// The job's outcome, when this is its compiler's run and it was not accepted.
    pub fn into_outcome_of_compiler(self) -> Outcome {
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
