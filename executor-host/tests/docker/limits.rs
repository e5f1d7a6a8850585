//! Every limit ends its program, keeps what was written, and says which it was.

use codecrafter_shared::job::{UsageSource, Verdict};

use crate::world::{World, job, only_run, printed, timed};

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_program_that_sleeps_meets_the_wall_limit_and_keeps_what_it_printed() {
    let world = World::new("wall").await;
    let outcome = world
        .run(&timed(
            "import time; print('hi'); time.sleep(1e6)",
            5000,
            700,
        ))
        .await;
    assert_eq!(
        outcome.message.as_deref(),
        Some("The program ran for longer than 700 ms.")
    );
    let run = only_run(outcome);
    assert_eq!(run.verdict, Verdict::TimeLimit);
    assert_eq!(run.stdout.data, "hi\n");
    assert!((700..1700).contains(&run.usage.wall_ms), "{:?}", run.usage);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_program_that_computes_for_ever_meets_the_cpu_limit() {
    let world = World::new("cpu").await;
    let outcome = world.run(&timed("while True: pass", 500, 20_000)).await;
    assert_eq!(
        outcome.message.as_deref(),
        Some("The program used more than its 500 ms of CPU time.")
    );
    let run = only_run(outcome);
    assert_eq!(run.verdict, Verdict::TimeLimit);
    assert!((500..1000).contains(&run.usage.cpu_ms), "{:?}", run.usage);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn cpu_time_of_children_counts_though_nobody_waits_for_them() {
    let world = World::new("cpu-children").await;
    let code = "
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(4):
    if os.fork() == 0:
        while True: pass
time.sleep(1e6)
";
    let run = only_run(world.run(&timed(code, 500, 20_000)).await);
    assert_eq!(run.verdict, Verdict::TimeLimit);
    assert!((500..1200).contains(&run.usage.cpu_ms), "{:?}", run.usage);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn more_memory_than_allowed_is_the_memory_limit() {
    let world = World::new("memory").await;
    let mut job = job("x = bytearray(1 << 30)");
    job.limits.memory_bytes = 64 << 20;
    let outcome = world.run(&job).await;
    let message = "The program needed more than its 64 MiB of memory.";
    assert_eq!(outcome.message.as_deref(), Some(message));
    let run = only_run(outcome);
    assert_eq!(run.verdict, Verdict::MemoryLimit);
    let used = run.usage.peak_bytes;
    assert!((60 << 20..=64 << 20).contains(&used), "{:?}", run.usage);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_child_that_ran_out_of_memory_counts_though_its_parent_goes_on() {
    let world = World::new("memory-child").await;
    let code = "
import os
if os.fork() == 0: x = bytearray(1 << 30)
print(os.wait()[1])
";
    let run = world.python(code).await;
    assert_eq!(run.verdict, Verdict::MemoryLimit);
    assert_eq!((run.stdout.data.as_str(), run.exit_code), ("9\n", Some(0)));
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn files_count_as_memory_and_their_room_is_limited() {
    let world = World::new("disk").await;
    let code = "
import errno
for path in ['/work/x', '/tmp/x']:
    try:
        with open(path, 'wb', buffering=0) as f:
            while True: f.write(bytes(1 << 20))
    except OSError as error:
        print(path, errno.errorcode[error.errno])
";
    let mut job = job(code);
    job.limits.memory_bytes = 256 << 20;
    let run = only_run(world.run(&job).await);
    // The work directory is as large as a file may be, so either limit may come first.
    assert!(
        ["/work/x ENOSPC\n", "/work/x EFBIG\n"]
            .iter()
            .any(|l| printed(&run).contains(l)),
        "{run:?}"
    );
    assert!(printed(&run).contains("/tmp/x ENOSPC\n"), "{run:?}");
    assert!(run.usage.peak_bytes > 90 << 20, "{:?}", run.usage);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn the_number_of_files_is_limited_everywhere() {
    let world = World::new("inodes").await;
    let code = "
import errno
for place in ['/work', '/tmp', '/dev/shm']:
    try:
        for number in range(10_000): open(f'{place}/{number}', 'w').close()
        print(place, 'has no limit')
    except OSError as error: print(place, errno.errorcode[error.errno])
";
    let expected = "/work ENOSPC\n/tmp ENOSPC\n/dev/shm ENOSPC\n";
    assert_eq!(printed(&world.python(code).await), expected);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_flood_of_output_ends_the_run_and_its_head_and_tail_are_kept() {
    let world = World::new("output").await;
    for (code, floods) in [
        ("while True: print('x' * 99)", [true, false]),
        (
            "import os\nwhile True: os.write(2, b'y' * 4096)",
            [false, true],
        ),
    ] {
        let mut job = job(code);
        job.limits.output_bytes = 5000;
        let outcome = world.run(&job).await;
        let message = "The program wrote more than 80000 bytes to one stream.";
        assert_eq!(outcome.message.as_deref(), Some(message));
        let run = only_run(outcome);
        assert_eq!(run.verdict, Verdict::OutputLimit);
        for (captured, floods) in [&run.stdout, &run.stderr].into_iter().zip(floods) {
            assert_eq!(captured.truncated, floods);
            assert_eq!(captured.data.len(), if floods { 2500 } else { 0 });
            let tail = captured.tail.as_ref().map(String::len);
            assert_eq!(tail, floods.then_some(2500));
            assert_eq!(captured.total_bytes > 80_000, floods);
        }
    }
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn output_beyond_what_is_kept_is_no_fault_up_to_the_factor() {
    let world = World::new("output-factor").await;
    for (written, verdict) in [(16_384, Verdict::Accepted), (16_385, Verdict::OutputLimit)] {
        let code = format!("import os\nfor _ in range({written}): os.write(1, b'x')");
        let mut job = job(&code);
        job.limits.output_bytes = 1024;
        let run = only_run(world.run(&job).await);
        assert_eq!(run.verdict, verdict, "{run:#?}");
        assert_eq!(run.stdout.total_bytes, written);
    }
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn output_of_exactly_the_limit_is_within_it() {
    let world = World::new("output-exact").await;
    let mut job = job("import os; os.write(1, b'x' * 5000)");
    job.limits.output_bytes = 5000;
    let run = only_run(world.run(&job).await);
    assert_eq!((printed(&run).len(), run.stdout.truncated), (5000, false));
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_fork_bomb_stays_inside() {
    let world = World::new("forks").await;
    let code = "
import os, signal
if os.fork(): signal.pause()
os.setsid()
for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(s, signal.SIG_IGN)
while True:
    try: os.fork()
    except OSError: pass
";
    let mut bomb = timed(code, 15_000, 1500);
    bomb.limits.processes = 32;
    bomb.limits.memory_bytes = 512 << 20;
    let run = only_run(world.run(&bomb).await);
    assert_eq!(run.verdict, Verdict::TimeLimit);
    assert_eq!(
        printed(&world.python("print('still here')").await),
        "still here\n"
    );
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn processes_beyond_the_limit_cannot_be_made() {
    let world = World::new("pids").await;
    let code = "
import os, time
n = 0
try:
    while True:
        if os.fork() == 0: time.sleep(1e6)
        n += 1
except BlockingIOError: print(n)
";
    let mut job = job(code);
    job.limits.processes = 10;
    job.limits.memory_bytes = 256 << 20;
    assert_eq!(printed(&only_run(world.run(&job).await)), "9\n");
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn verdicts_are_the_same_for_a_host_that_cannot_see_cgroups() {
    let world = World::with("no-cgroups", |settings| settings.host_cgroups = false).await;
    let hoard = "
import os
if os.fork() == 0: x = bytearray(1 << 30)
os.wait()
";
    for (code, verdict) in [
        ("print('x')", Verdict::Accepted),
        ("x = bytearray(1 << 30)", Verdict::MemoryLimit),
        (hoard, Verdict::MemoryLimit),
        ("while True: pass", Verdict::TimeLimit),
    ] {
        let run = only_run(world.run(&timed(code, 500, 20_000)).await);
        assert_eq!(
            (run.verdict, run.usage.source),
            (verdict, UsageSource::Rusage),
            "{code}"
        );
        assert!(
            run.usage.cpu_ms > 0 && run.usage.peak_bytes > 1 << 20,
            "{:?}",
            run.usage
        );
    }
}
