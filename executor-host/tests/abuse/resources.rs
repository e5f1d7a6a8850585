//! A01–A19: time, processes, memory and files without end.

use codecrafter_shared::job::{Outcome, RunOutcome, Verdict};

use crate::host::Process;
use crate::world::{Attack, Case, Program, attacks, ended, fewest, only_run, printed};

pub fn attacks() -> Vec<Attack> {
    attacks![
        a01_a_loop_ends_at_the_cpu_limit_within_a_tenth,
        a02_sleeping_ends_at_the_wall_limit_and_costs_no_cpu_time,
        a03_threads_share_one_cpu_limit,
        a04_an_orphan_ends_with_the_program_and_its_cpu_time_counts,
        a05_a_fork_bomb_of_the_shell_stays_within_the_processes_allowed,
        a06_a_fork_bomb_with_sessions_and_ignored_signals_leaves_nobody,
        a06_a_fork_bomb_that_its_parent_leaves_to_go_on_ends_with_it,
        a07_threads_count_as_processes,
        a07_threads_of_a_runtime_count_as_processes,
        a08_memory_that_is_touched_ends_as_memory_limit,
        a09_memory_that_is_only_reserved_is_free,
        a10_an_array_larger_than_the_machine_is_no_danger_to_it,
        a11_memory_behind_files_counts_and_has_an_end,
        a12_shared_memory_that_is_left_behind_goes_with_the_program,
        a13_endless_recursion_is_a_fault_of_the_program_and_no_memory_limit,
        a14_nothing_is_swapped_out_to_have_more_memory,
        a15_a_child_out_of_memory_counts_though_its_parent_goes_on,
        a15_memory_that_no_process_holds_is_the_memory_limit_whoever_is_killed,
        a16_a_file_larger_than_allowed_ends_its_writer,
        a16_files_fill_their_places_and_not_the_disk,
        a17_a_million_tiny_files_end_at_the_inodes_allowed,
        a18_a_tree_too_deep_to_name_is_cleared_away,
        a19_descriptors_end_at_the_limit,
        a19_terminals_are_not_to_be_had,
    ]
}

async fn a01_a_loop_ends_at_the_cpu_limit_within_a_tenth(case: &mut Case) {
    let program = Program::python("while True: pass")
        .cpu_ms(500)
        .wall_ms(20_000);
    fewest(
        550,
        async || is_over_500_ms(case.run(program.clone()).await),
        cpu_ms,
    )
    .await;
}

fn cpu_ms(run: &RunOutcome) -> u64 {
    run.usage.cpu_ms
}

/// The run of a job that was ended at that limit.
#[track_caller]
fn is_over_500_ms(outcome: Outcome) -> RunOutcome {
    let message = "The program used more than its 500 ms of CPU time.";
    assert_eq!(outcome.message.as_deref(), Some(message));
    let run = only_run(outcome);
    assert_eq!(run.verdict, Verdict::TimeLimit);
    assert!(run.usage.cpu_ms >= 500, "{:?}", run.usage);
    run
}

async fn a02_sleeping_ends_at_the_wall_limit_and_costs_no_cpu_time(case: &mut Case) {
    let code = "import time; print('hi'); time.sleep(1e9)";
    let outcome = case.run(Program::python(code).wall_ms(4_000)).await;
    let message = "The program ran for longer than 4000 ms.";
    assert_eq!(outcome.message.as_deref(), Some(message));
    let run = only_run(outcome);
    assert_eq!(run.verdict, Verdict::TimeLimit);
    assert_eq!(run.stdout.data, "hi\n");
    // What it takes to start Python.
    assert!(run.usage.cpu_ms < 1_500, "{:?}", run.usage);
}

async fn a03_threads_share_one_cpu_limit(case: &mut Case) {
    let code = include_str!("programs/a03_threads.c");
    let program = Program::c(code).cpu_ms(500).wall_ms(20_000);
    fewest(
        600,
        async || is_over_500_ms(case.run(program.clone()).await),
        cpu_ms,
    )
    .await;
}

/// A run ends when its first process does; so an orphan gains nothing, and is not for free.
async fn a04_an_orphan_ends_with_the_program_and_its_cpu_time_counts(case: &mut Case) {
    let code = "
import os, time
ends, begun = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        end = time.process_time() + 0.3
        while time.process_time() < end: pass
        os.write(begun, b'x')
        while True: pass
    os._exit(0)
os.wait()
os.read(ends, 1)
";
    let run = case.run_one(Program::python(code)).await;
    assert_eq!(run.verdict, Verdict::Accepted);
    assert!((300..10_000).contains(&run.usage.cpu_ms), "{:?}", run.usage);
}

async fn a05_a_fork_bomb_of_the_shell_stays_within_the_processes_allowed(case: &mut Case) {
    let code = "
import os
os.execlp('bash', 'bash', '-c', ':(){ :|:& };: ; while true; do sleep 1; done')
";
    let program = Program::python(code).processes(32).wall_ms(4_000);
    let verdict = explodes(case, program, 32).await;
    assert!([Verdict::TimeLimit, Verdict::RuntimeError].contains(&verdict));
}

async fn a06_a_fork_bomb_with_sessions_and_ignored_signals_leaves_nobody(case: &mut Case) {
    let code = "
import os, signal
if os.fork(): signal.pause()
os.setsid()
for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU): signal.signal(s, signal.SIG_IGN)
while True:
    try:
        if os.fork() == 0: os.setsid()
    except OSError: pass
";
    let program = Program::python(code).processes(32).memory_mib(512);
    let program = program.wall_ms(4_000);
    assert_eq!(explodes(case, program, 32).await, Verdict::TimeLimit);
}

/// A program that ends well, so that its container may serve the next job.
async fn a06_a_fork_bomb_that_its_parent_leaves_to_go_on_ends_with_it(case: &mut Case) {
    let code = "
import os, time
if os.fork() == 0:
    os.setsid()
    while True:
        try:
            if os.fork(): os._exit(0)
        except OSError: pass
time.sleep(0.2)
print('done')
";
    let program = Program::python(code).processes(32).inputs(&["", "", ""]);
    let outcome = case.run(program.memory_mib(512)).await;
    assert_eq!(outcome.runs.len(), 3, "{outcome:#?}");
    outcome
        .runs
        .iter()
        .for_each(|run| assert_eq!(printed(run), "done\n"));
}

/// Runs a bomb, looks from outside that it does not grow beyond so many, and gives its verdict.
async fn explodes(case: &mut Case, program: Program, most: usize) -> Verdict {
    let pid_max = || std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
    let before = pid_max();
    let (_progress, _cancel, run) = case.start(program).await;
    let mut seen = 0;
    while !run.is_finished() {
        // Only those that were there before and after are known to have been there together.
        let before = case.world.processes().await;
        let mut alive = case.world.processes().await;
        let was_there = |one: &Process| before.iter().any(|other| other.pid == one.pid);
        alive.retain(|process| process.is_programs() && was_there(process));
        seen = seen.max(alive.iter().map(|process| process.threads).sum());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!((2..=most).contains(&seen), "{seen} at a time");
    assert_eq!(pid_max(), before);
    ended(run).await.verdict
}

async fn a07_threads_count_as_processes(case: &mut Case) {
    let run = case.run_one(Program::python(THREADS).processes(20)).await;
    assert_eq!(printed(&run), "19\n");
}

/// Starts threads until it may not.
pub const THREADS: &str = "
import os, threading
started = 0
try:
    while started < 200:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        started += 1
except RuntimeError: pass
print(started, flush=True)
os._exit(0)
";

async fn a07_threads_of_a_runtime_count_as_processes(case: &mut Case) {
    let code = include_str!("programs/a07_threads.go");
    let run = case.run_one(Program::new("go", code).processes(20)).await;
    assert_eq!(run.verdict, Verdict::RuntimeError);
    let said = "failed to create new OS thread";
    assert!(run.stderr.data.contains(said), "{run:#?}");
}

async fn a08_memory_that_is_touched_ends_as_memory_limit(case: &mut Case) {
    let outcome = case.run(Program::python(HOARD).memory_mib(64)).await;
    let message = "The program needed more than its 64 MiB of memory.";
    assert_eq!(outcome.message.as_deref(), Some(message));
    let run = only_run(outcome);
    assert_eq!(run.verdict, Verdict::MemoryLimit);
    let limit = 64 << 20;
    let peak = limit / 100 * 95..=limit;
    assert!(peak.contains(&run.usage.peak_bytes), "{:?}", run.usage);
}

/// Takes half a gibibyte.
pub const HOARD: &str = "x = bytearray(1 << 29); print('enough')";

async fn a09_memory_that_is_only_reserved_is_free(case: &mut Case) {
    let code = "
import mmap
NORESERVE = 0x4000
x = mmap.mmap(-1, 100 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE)
print(len(x) >> 30)
";
    let run = case.run_one(Program::python(code)).await;
    assert_eq!(printed(&run), "100\n");
    assert!(run.usage.peak_bytes < 64 << 20, "{:?}", run.usage);
}

/// What comes of it depends on how much a machine has: the linker refuses, the kernel does not
/// start it, or it ends when it has touched as much as it may.
async fn a10_an_array_larger_than_the_machine_is_no_danger_to_it(case: &mut Case) {
    let code = include_str!("programs/a10_array.c");
    let outcome = case.run(Program::c(code)).await;
    let expected = [
        Verdict::CompileError,
        Verdict::RuntimeError,
        Verdict::MemoryLimit,
    ];
    assert!(expected.contains(&outcome.verdict), "{outcome:#?}");
}

async fn a11_memory_behind_files_counts_and_has_an_end(case: &mut Case) {
    let fill = "
import errno, os, sys
MIB = bytes(1 << 20)
def fill(f, mebibytes):
    for _ in range(mebibytes): f.write(MIB)
";
    // Each of its own end, where there is enough memory for all.
    let ends = format!(
        "{fill}
for path in ['/dev/shm/x', '/tmp/x']:
    try: fill(open(path, 'wb', buffering=0), 512)
    except OSError as error: print(path, errno.errorcode[error.errno])
"
    );
    let run = case.run_one(Program::python(&ends).memory_mib(256)).await;
    assert_eq!(printed(&run), "/dev/shm/x ENOSPC\n/tmp/x ENOSPC\n");
    assert!(run.usage.peak_bytes > 48 << 20, "{:?}", run.usage);
    // And all of it is the container's memory, also where no file system knows of it.
    let memfd = "
kept = [os.fdopen(os.memfd_create('x'), 'wb', buffering=0) for _ in range(16)]
for f in kept: fill(f, 32)
";
    let tmpfs = "fill(open('/work/x', 'wb', buffering=0), 60)";
    let mapped = "
import mmap
kept = [mmap.mmap(-1, 32 << 20) for _ in range(16)]
for m in kept: m.write(bytes(32 << 20))
";
    for code in [memfd, tmpfs, mapped] {
        let program = Program::python(&format!("{fill}{code}")).memory_mib(48);
        let run = case.run_one(program).await;
        assert_eq!(run.verdict, Verdict::MemoryLimit, "{code}: {run:#?}");
    }
}

/// The control job looks for all of this; here the next run of the same job does.
async fn a12_shared_memory_that_is_left_behind_goes_with_the_program(case: &mut Case) {
    let program = Program::c(include_str!("programs/a12_shared_memory.c"));
    let outcome = case.run(program.inputs(&["", ""])).await;
    assert_eq!(outcome.verdict, Verdict::Accepted, "{outcome:#?}");
    for run in &outcome.runs {
        assert_eq!(printed(run), "found 0\nmade 5\n");
    }
}

async fn a13_endless_recursion_is_a_fault_of_the_program_and_no_memory_limit(case: &mut Case) {
    let code = include_str!("programs/a13_recursion.c");
    let run = case.run_one(Program::c(code).memory_mib(64)).await;
    assert_eq!(run.verdict, Verdict::RuntimeError);
    assert_eq!(run.signal.as_deref(), Some("SIGSEGV"));
    // The usual stack of 8 MiB, and what an idle program has.
    assert!(run.usage.peak_bytes < 32 << 20, "{:?}", run.usage);
}

/// There may be no swap on this machine to evade to, so the program looks at its limit too.
async fn a14_nothing_is_swapped_out_to_have_more_memory(case: &mut Case) {
    let run = case.run_one(Program::python(SWAPPED).memory_mib(64)).await;
    assert_eq!(run.verdict, Verdict::MemoryLimit, "{run:#?}");
    assert_eq!(run.stdout.data, "may not swap\n");
}

/// Says whether it may have more memory by swapping, and tries to.
pub const SWAPPED: &str = "
import mmap
def read(name):
    try: return open('/sys/fs/cgroup/' + name).read().strip()
    except FileNotFoundError: return None
both, memory = read('memory/memory.memsw.limit_in_bytes'), read('memory/memory.limit_in_bytes')
may_not = read('memory.swap.max') == '0' or (both is not None and both == memory)
print('may not swap' if may_not else 'may swap', flush=True)
x = mmap.mmap(-1, 96 << 20)
for page in range(0, len(x), 4096): x[page] = 1
for page in range(0, len(x), 4096): x[page] += 1
";

/// The verdict is by the kernel's counter: what a program prints after that is not its answer.
async fn a15_a_child_out_of_memory_counts_though_its_parent_goes_on(case: &mut Case) {
    let code = "
import os
if os.fork() == 0: x = bytearray(1 << 30)
print(os.wait()[1])
";
    let run = case.run_one(Program::python(code)).await;
    assert_eq!(run.verdict, Verdict::MemoryLimit);
    assert_eq!((run.stdout.data.as_str(), run.exit_code), ("9\n", Some(0)));
}

async fn a15_memory_that_no_process_holds_is_the_memory_limit_whoever_is_killed(case: &mut Case) {
    let code = include_str!("programs/a15_nobodys_memory.c");
    let outcome = case.run(Program::c(code).memory_mib(32)).await;
    assert_eq!(outcome.verdict, Verdict::MemoryLimit, "{outcome:#?}");
}

async fn a16_a_file_larger_than_allowed_ends_its_writer(case: &mut Case) {
    let run = case.run_one(Program::python(SPARSE)).await;
    assert_eq!(run.verdict, Verdict::RuntimeError, "{run:#?}");
    assert_eq!(run.signal.as_deref(), Some("SIGXFSZ"));
}

/// Makes a file of a tebibyte with nothing in it, by the signal's usual action.
pub const SPARSE: &str = "
import os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
os.truncate(os.open('/work/x', os.O_CREAT | os.O_RDWR), 1 << 40)
print(os.stat('/work/x').st_size >> 30)
";

async fn a16_files_fill_their_places_and_not_the_disk(case: &mut Case) {
    let run = case.run_one(Program::python(FILL).memory_mib(256)).await;
    // The work directory is as large as a file may be, so either limit may come first.
    let filled = printed(&run).replace("EFBIG", "ENOSPC");
    let expected = "/work 63 ENOSPC\n/tmp 32 ENOSPC\n/dev/shm 16 ENOSPC\n";
    assert_eq!(filled, expected);
}

/// Fills each place with one file, and says how many mebibytes it took.
pub const FILL: &str = "
import errno, os
for place in ['/work', '/tmp', '/dev/shm']:
    with open(place + '/x', 'wb', buffering=0) as f:
        try:
            for _ in range(100): f.write(bytes(1 << 20))
            print(place, 'has room for more')
        except OSError as error:
            print(place, os.stat(f.name).st_size >> 20, errno.errorcode[error.errno])
    os.remove(f.name)
";

async fn a17_a_million_tiny_files_end_at_the_inodes_allowed(case: &mut Case) {
    let run = case.run_one(Program::python(INODES)).await;
    let expected = "/work ENOSPC\n/tmp ENOSPC\n/dev/shm ENOSPC\n";
    assert_eq!(printed(&run), expected);
}

/// Makes more files than there may be in each place.
pub const INODES: &str = "
import errno
for place in ['/work', '/tmp', '/dev/shm']:
    try:
        for number in range(10_000): open(f'{place}/{number}', 'w').close()
        print(place, 'has no limit')
    except OSError as error: print(place, errno.errorcode[error.errno])
";

/// 4000 levels in each place: so many inodes there are.
async fn a18_a_tree_too_deep_to_name_is_cleared_away(case: &mut Case) {
    let code = "
import os
print(*os.listdir('/work'), *os.listdir('/tmp'), *os.listdir('/dev/shm'))
for place in ['/work', '/tmp', '/dev/shm']:
    os.chdir(place)
    for level in range(4000):
        os.mkdir('d' * 255)
        os.chdir('d' * 255)
    open('leaf', 'w').close()
    os.chmod('.', 0)
";
    let outcome = case
        .run(Program::python(code).inputs(&["", ""]).memory_mib(256))
        .await;
    assert_eq!(outcome.runs.len(), 2, "{outcome:#?}");
    for run in &outcome.runs {
        assert_eq!(printed(run), "main.py\n");
    }
}

async fn a19_descriptors_end_at_the_limit(case: &mut Case) {
    let run = case.run_one(Program::python(DESCRIPTORS)).await;
    assert_eq!(printed(&run), "1024 EMFILE\n");
}

/// Opens files until it may not.
pub const DESCRIPTORS: &str = "
import errno, os
highest = 0
try:
    while highest < 5000: highest = os.open('/dev/null', os.O_RDONLY)
    print('no limit')
except OSError as error: print(highest + 1, errno.errorcode[error.errno])
";

/// The machine has some thousands for all containers together.
async fn a19_terminals_are_not_to_be_had(case: &mut Case) {
    let code = "
import errno, os
for path in ['/dev/ptmx', '/dev/pts/ptmx']:
    try: os.open(path, os.O_RDWR | os.O_NOCTTY); print('opened')
    except OSError as error: print(errno.errorcode[error.errno])
    try: os.chmod(path, 0o666); print('changed')
    except OSError as error: print(errno.errorcode[error.errno])
";
    let run = case.run_one(Program::python(code)).await;
    assert_eq!(printed(&run), "EACCES\nEPERM\nEACCES\nEPERM\n");
}
