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
    /// The output is not the expected one.
    pub wrong_answer: bool,
}

/// The verdict, and what else holds; the order is that of [`Verdict`], the last first.
pub fn of_run(stage: Stage, facts: &Facts) -> (Verdict, Vec<Verdict>) {
    let over_output = facts.over_output || facts.limit == Some(Limit::Output);
    let over_time = facts.overdue || matches!(facts.limit, Some(Limit::Cpu | Limit::Wall));
    let was_ended = facts.cancelled || facts.out_of_memory || over_output || over_time;
    let has_failed = match facts.exit {
        Some(Exit::Code(code)) => code != 0,
        // A signal may be how it was ended.
        Some(Exit::Signal(_)) => !was_ended,
        Some(Exit::NotStarted(_)) => true,
        None => !was_ended,
    };
    let failure = match stage {
        Stage::Compile => Verdict::CompileError,
        Stage::Run => Verdict::RuntimeError,
    };
    let facts = [
        (facts.cancelled, Verdict::Cancelled),
        (facts.out_of_memory, Verdict::MemoryLimit),
        (over_output, Verdict::OutputLimit),
        (over_time, Verdict::TimeLimit),
        (has_failed, failure),
        (
            facts.wrong_answer && !was_ended && !has_failed,
            Verdict::WrongAnswer,
        ),
    ];
    let mut hold = facts
        .into_iter()
        .filter_map(|(holds, it)| holds.then_some(it));
    let verdict = hold.next().unwrap_or(Verdict::Accepted);
    (verdict, hold.collect())
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
        Verdict::WrongAnswer => format!("{who} wrote something else than was expected."),
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
        let verdict = |facts| of_run(Stage::Run, &facts).0;
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
            (Verdict::CompileError, vec![])
        );
    }

    /// Each fact is added to those before it, takes over the verdict, and leaves them beside it.
    #[test]
    fn where_several_hold_the_first_of_the_documented_order_is_the_verdict() {
        let mut facts = Facts {
            exit: Some(Exit::Code(0)),
            ..Facts::default()
        };
        let mut seen = vec![of_run(Stage::Run, &facts).0];
        let steps: [fn(&mut Facts); 6] = [
            |facts| facts.wrong_answer = true,
            |facts| facts.exit = Some(Exit::Code(1)),
            |facts| facts.overdue = true,
            |facts| facts.over_output = true,
            |facts| facts.out_of_memory = true,
            |facts| facts.cancelled = true,
        ];
        for step in steps {
            step(&mut facts);
            let (verdict, also) = of_run(Stage::Run, &facts);
            // Whose program failed is not asked for the right answer.
            let mut before = seen.clone();
            before.retain(|it| !matches!(it, Verdict::Accepted | Verdict::WrongAnswer));
            before.reverse();
            assert_eq!(also, before);
            seen.push(verdict);
        }
        assert_eq!(
            seen,
            [
                Verdict::Accepted,
                Verdict::WrongAnswer,
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
