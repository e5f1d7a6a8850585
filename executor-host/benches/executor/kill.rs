//! From the wish to end a run until nothing of it is left.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use codecrafter_shared::job::Verdict;
use executor_host::docker::harden::Isolation;
use executor_host::sandbox::{Progress, Sandbox as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::docker::Engine;
use crate::meter::Noise;
use crate::ours::{Ours, Setup};
use crate::programs::{Languages, Program};
use crate::report::{Samples, Table, short};

/// A program of several processes, all of which are at work.
const BUSY: &str = "import os\nfor _ in range(4):\n    if os.fork() == 0:\n        break\nelse:\n    print('here')\nwhile True:\n    pass\n";

/// Fewer runs have no p95.
const LEAST: usize = 30;

/// A process that is not dead by then is reported as alive.
const DEAD_MAX: Duration = Duration::from_secs(10);

/// Measures and prints.
pub async fn table(engine: &Engine, languages: &Languages, each: Duration) -> Result<()> {
    let noise = Noise::begin();
    println!("### From cancelling to dead\n");
    let program = languages.program("python", BUSY)?;
    let setup = Setup::new("kill", vec![program.row.clone()], Isolation::Fresh);
    let host = Ours::start(engine, setup).await?;
    let (mut dead, mut returned) = (Samples::default(), Samples::default());
    // A figure of ten seconds is one of thirty runs: at a container each, that is what there is
    // time for.
    let most = LEAST.max(usize::try_from(each.as_secs())? * LEAST / 10);
    while dead.len() < most {
        host.ready().await?;
        let (to_dead, to_returned) = once(engine, &host, &program).await?;
        dead.push(to_dead);
        returned.push(to_returned);
    }
    host.close().await?;
    let table = Table::new(&["five busy processes", "n", "p50 ms", "p95 ms", "max ms"]);
    for (name, samples) in [
        ("no process is left in the container", dead),
        ("the outcome is there", returned),
    ] {
        table.row(&[
            name.to_owned(),
            samples.len().to_string(),
            short(samples.percentile(50)),
            short(samples.percentile(95)),
            short(samples.greatest()),
        ]);
    }
    println!("\n{}.\n", noise.end());
    Ok(())
}

async fn once(engine: &Engine, host: &Ours, program: &Program) -> Result<(Duration, Duration)> {
    let waiting = host.containers().await?;
    let container = waiting.into_iter().find_map(|container| container.id);
    let pid = engine.pid(&container.ok_or("no container waits")?).await?;
    let processes = processes_of(pid)?;

    let (progress, mut told) = mpsc::channel(64);
    let cancel = CancellationToken::new();
    let (sandbox, job) = (Arc::clone(&host.sandbox), program.job());
    let token = cancel.clone();
    let run = tokio::spawn(async move { sandbox.run(&job, progress, token).await });
    loop {
        match told.recv().await {
            Some(Progress::Output(..)) => break,
            Some(_) => {}
            None => return Err(format!("it has not started: {:?}", run.await?).into()),
        }
    }
    if alive(&processes) < 6 {
        return Err("that is not the container of the run".into());
    }
    let begun = Instant::now();
    // On a thread of its own, because it must not wait for a turn.
    let watch = thread::spawn(move || {
        while alive(&processes) > 0 && begun.elapsed() < DEAD_MAX {
            thread::sleep(Duration::from_micros(200));
        }
        begun.elapsed()
    });
    cancel.cancel();
    let outcome = run.await??;
    let returned = begun.elapsed();
    let dead = watch.join().map_err(|_| "the watch panicked")?;
    if outcome.verdict != Verdict::Cancelled || dead >= DEAD_MAX {
        return Err(format!("not cancelled, or not dead after {dead:?}: {outcome:?}").into());
    }
    Ok((dead, returned))
}

/// The file that lists the processes of the container that this one is the first of.
fn processes_of(pid: i64) -> Result<PathBuf> {
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let found = cgroups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let folder = match controllers {
            "pids" => format!("/sys/fs/cgroup/pids{path}"),
            "" => format!("/sys/fs/cgroup{path}"),
            _ => return None,
        };
        let file = PathBuf::from(folder).join("cgroup.procs");
        file.exists().then_some(file)
    });
    found.ok_or_else(|| "the container's cgroup cannot be seen".into())
}

/// How many processes are in it; none once it is no more.
fn alive(processes: &PathBuf) -> usize {
    fs::read_to_string(processes).map_or(0, |text| text.lines().count())
}
