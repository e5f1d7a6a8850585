//! Where limits begin, and hosts that measure by other means. What programs do against limits:
//! `tests/abuse`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use codecrafter_shared::job::{UsageSource, Verdict};
use executor_host::sandbox::Progress;

use crate::world::{World, job, next, only_run, printed, start, timed};

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
    // If they did not count, the wall limit would end them, with many times as much.
    assert!((500..4_000).contains(&run.usage.cpu_ms), "{:?}", run.usage);
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

/// A processor for a tenth of the time, which five busy processes have used up as soon as it is
/// given: what is killed must not wait for the next piece of it. It is compared with processes
/// that need not wait for any, because others use this machine too.
#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn what_has_used_up_its_share_of_the_processor_dies_at_once() {
    let share = World::with("share", |settings| settings.nano_cpus = 100_000_000).await;
    let worlds = [share, World::new("whole").await].map(Arc::new);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..7 {
        for (world, times) in worlds.iter().zip(&mut times) {
            times.push(time_to_die(world).await);
        }
    }
    times.iter_mut().for_each(|times| times.sort());
    let [share, whole] = [&times[0][3], &times[1][3]];
    // A piece comes every 100 ms.
    assert!(*share < *whole + Duration::from_millis(50), "{times:?}");
}

/// How long after it was cancelled a job of five busy processes has ended.
async fn time_to_die(world: &Arc<World>) -> Duration {
    let code = "
import os
for _ in range(4):
    if os.fork() == 0: break
else: print('here', flush=True)
while True: pass
";
    let (mut progress, cancel, task) = start(world, timed(code, 15_000, 30_000));
    while !matches!(next(&mut progress).await, Progress::Output(..)) {}
    let begun = Instant::now();
    cancel.cancel();
    let outcome = task.await.unwrap().unwrap();
    assert_eq!(outcome.verdict, Verdict::Cancelled);
    begun.elapsed()
}
