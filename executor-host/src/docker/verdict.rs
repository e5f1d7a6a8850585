//! From facts about a run to its verdict. Pure.

use agent_protocol::{Exit, Limit};
use codecrafter_shared::job::{RunLimits, Stage, Verdict};

use super::output::written_most;

/// What is known about how a run ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts {
    /// How its first process ended, if the agent could say.
    pub exit: Option<Exit>,
    /// The limit that the agent saw exceeded.
    pub limit: Option<Limit>,
    /// The job was cancelled meanwhile.
    pub cancelled: bool,
    /// The kernel killed something in the container because of the memory limit, or the runtime
    /// gave up because of it. It counts even when that was a child and the program went on: what
    /// it then printed is not its answer.
    pub out_of_memory: bool,
    /// More output arrived than the limit allows.
    pub over_output: bool,
    /// The host's own deadline passed.
    pub overdue: bool,
}

/// The verdict; where several hold, the order is that of [`Verdict`].
pub fn of_run(stage: Stage, facts: &Facts) -> Verdict {
    if facts.cancelled {
        Verdict::Cancelled
    } else if facts.out_of_memory {
        Verdict::MemoryLimit
    } else if facts.over_output || facts.limit == Some(Limit::Output) {
        Verdict::OutputLimit
    } else if facts.overdue || facts.limit.is_some() {
        Verdict::TimeLimit
    } else if facts.exit == Some(Exit::Code(0)) {
        Verdict::Accepted
    } else {
        match stage {
            Stage::Compile => Verdict::CompileError,
            Stage::Run => Verdict::RuntimeError,
        }
    }
}

/// A sentence for a person about a run that was not accepted.
pub fn sentence(
    stage: Stage,
    verdict: Verdict,
    facts: &Facts,
    limits: &RunLimits,
) -> Option<String> {
    let who = match stage {
        Stage::Compile => "The compiler",
        Stage::Run => "The program",
    };
    Some(match verdict {
        Verdict::MemoryLimit => {
            format!(
                "{who} needed more than its {} MiB of memory.",
                limits.memory_bytes >> 20
            )
        }
        Verdict::OutputLimit => {
            format!(
                "{who} wrote more than {} bytes to one stream.",
                written_most(limits.output_bytes)
            )
        }
        Verdict::TimeLimit if facts.limit == Some(Limit::Cpu) => {
            format!("{who} used more than its {} ms of CPU time.", limits.cpu_ms)
        }
        Verdict::TimeLimit => format!("{who} ran for longer than {} ms.", limits.wall_ms),
        Verdict::RuntimeError | Verdict::CompileError => match facts.exit? {
            Exit::Code(code) => format!("{who} exited with code {code}."),
            Exit::Signal(signal) => format!("{who} was ended by {}.", signal_name(signal)),
            Exit::NotStarted(errno) => {
                format!(
                    "{who} could not be started: {}.",
                    std::io::Error::from_raw_os_error(errno)
                )
            }
        },
        Verdict::Cancelled => "The execution was cancelled.".to_owned(),
        Verdict::Accepted | Verdict::Expired | Verdict::InternalError => return None,
    })
}

/// The name of a signal of Linux, by its number on x86-64 and AArch64.
pub fn signal_name(signal: i32) -> String {
    /// From 1 on, without their SIG.
    const NAMES: &str = "
        HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD
        CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS
    ";
    let index = usize::try_from(signal)
        .ok()
        .and_then(|number| number.checked_sub(1));
    match index.and_then(|index| NAMES.split_whitespace().nth(index)) {
        Some(name) => format!("SIG{name}"),
        None => format!("signal {signal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_gives_its_verdict() {
        let verdict = |facts| of_run(Stage::Run, &facts);
        let exit = |exit| Facts {
            exit: Some(exit),
            ..Facts::default()
        };
        let limit = |limit| Facts {
            exit: Some(Exit::Signal(9)),
            limit: Some(limit),
            ..Facts::default()
        };
        assert_eq!(verdict(exit(Exit::Code(0))), Verdict::Accepted);
        assert_eq!(verdict(exit(Exit::Code(1))), Verdict::RuntimeError);
        assert_eq!(verdict(exit(Exit::Signal(11))), Verdict::RuntimeError);
        assert_eq!(verdict(exit(Exit::NotStarted(2))), Verdict::RuntimeError);
        assert_eq!(verdict(limit(Limit::Cpu)), Verdict::TimeLimit);
        assert_eq!(verdict(limit(Limit::Wall)), Verdict::TimeLimit);
        assert_eq!(verdict(limit(Limit::Output)), Verdict::OutputLimit);
        assert_eq!(
            of_run(Stage::Compile, &exit(Exit::Code(1))),
            Verdict::CompileError
        );
    }

    /// Each fact is added to those before it and takes over the verdict.
    #[test]
    fn where_several_hold_the_first_of_the_documented_order_is_the_verdict() {
        let mut facts = Facts {
            exit: Some(Exit::Code(0)),
            ..Facts::default()
        };
        let mut seen = vec![of_run(Stage::Run, &facts)];
        let steps: [fn(&mut Facts); 5] = [
            |facts| facts.exit = Some(Exit::Code(1)),
            |facts| facts.overdue = true,
            |facts| facts.over_output = true,
            |facts| facts.out_of_memory = true,
            |facts| facts.cancelled = true,
        ];
        for step in steps {
            step(&mut facts);
            seen.push(of_run(Stage::Run, &facts));
        }
        assert_eq!(
            seen,
            [
                Verdict::Accepted,
                Verdict::RuntimeError,
                Verdict::TimeLimit,
                Verdict::OutputLimit,
                Verdict::MemoryLimit,
                Verdict::Cancelled,
            ]
        );
    }

    #[test]
    fn signals_have_their_names() {
        assert_eq!(signal_name(9), "SIGKILL");
        assert_eq!(signal_name(11), "SIGSEGV");
        assert_eq!(signal_name(31), "SIGSYS");
        assert_eq!(signal_name(34), "signal 34");
        assert_eq!(signal_name(0), "signal 0");
    }
}
