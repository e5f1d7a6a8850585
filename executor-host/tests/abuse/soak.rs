//! A70, the short form: thousands of good and bad jobs, several at a time, and a host that is as
//! before. Minutes long, so it runs only where [`JOBS`] says how many.

use codecrafter_shared::job::Verdict;
use futures_util::{StreamExt, stream};

use crate::world::{Attack, Case, Program, attacks};

/// The setting with the number of jobs.
const JOBS: &str = "CODECRAFTER_ABUSE_JOBS";

/// Jobs at a time.
const AT_A_TIME: usize = 4;

pub fn attacks() -> Vec<Attack> {
    attacks![a70_thousands_of_good_and_bad_jobs_leave_the_host_as_it_was]
}

/// Why a case of this name is not run, if it is one of these.
pub fn skipped(name: &str) -> Option<&'static str> {
    let is_asked_for = std::env::var_os(JOBS).is_some();
    (name.starts_with("soak::") && !is_asked_for)
        .then_some("takes minutes; CODECRAFTER_ABUSE_JOBS=2000 runs it with so many jobs")
}

/// Jobs of every kind, and what comes of each.
fn mixture() -> Vec<(Program, Verdict)> {
    let bomb = "
import os
while True:
    try: os.fork()
    except OSError: pass
";
    let leave = "
import os
for number in range(100): open(f'/tmp/{number}', 'w').write('x')
if os.fork() == 0:
    os.setsid()
    while True: pass
";
    let flood = "import os\nwhile True: os.write(1, b'x' * 4096)";
    vec![
        (Program::python("print('hello')"), Verdict::Accepted),
        (
            Program::c("int main(void) { return 0; }"),
            Verdict::Accepted,
        ),
        (
            Program::python("raise SystemExit(3)"),
            Verdict::RuntimeError,
        ),
        (Program::python(leave), Verdict::Accepted),
        (
            Program::python("while True: pass").cpu_ms(100),
            Verdict::TimeLimit,
        ),
        (
            Program::python("x = bytearray(1 << 30)"),
            Verdict::MemoryLimit,
        ),
        (Program::python(flood), Verdict::OutputLimit),
        (
            Program::c("int main(void) { return }"),
            Verdict::CompileError,
        ),
        (
            Program::python(bomb).cpu_ms(200).memory_mib(512),
            Verdict::TimeLimit,
        ),
        (
            Program::python("import os; os.abort()"),
            Verdict::RuntimeError,
        ),
    ]
}

async fn a70_thousands_of_good_and_bad_jobs_leave_the_host_as_it_was(case: &mut Case) {
    let jobs = std::env::var(JOBS)
        .unwrap()
        .parse()
        .expect("a number of jobs");
    let mixture = mixture();
    for (program, verdict) in mixture.clone() {
        assert_eq!(case.run(program).await.verdict, verdict);
    }
    let world = &case.world;
    let jobs = mixture.iter().cycle().take(jobs);
    let runs = jobs.map(|(program, verdict)| async move {
        let outcome = world.run(&program.0).await;
        assert_eq!(outcome.verdict, *verdict, "{outcome:#?}");
    });
    stream::iter(runs)
        .buffer_unordered(AT_A_TIME)
        .collect::<Vec<_>>()
        .await;
}
