//! As many runs as possible: `print("hi")` in Python, one begins when another ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use executor_host::docker::harden::Isolation;
use tokio::task::JoinSet;

use crate::Result;
use crate::bare::{self, Pace};
use crate::docker::{CommandLine, Engine};
use crate::meter::{Cpu, Noise};
use crate::ours::{Ours, Setup};
use crate::programs::{Languages, Program};
use crate::report::{Samples, Table, short};
use crate::steps::Steps;

/// Runs at a time.
const PARALLEL: usize = 4;

/// A way of running it that was measured.
struct Measured {
    times: Samples,
    wall: Duration,
    /// For each run.
    cpu: Cpu,
}

impl Measured {
    fn rate(&self) -> f64 {
        self.times.len() as f64 / self.wall.as_secs_f64()
    }
}

/// Measures each way for so long and prints one below the other.
pub async fn table(engine: &Engine, languages: &Languages, each: Duration) -> Result<()> {
    let noise = Noise::begin();
    println!("### `print(\"hi\")` in Python, as often as possible\n");
    let mut rows = Rows::new();
    let hi = Arc::new(languages.hi()?);

    let alone = bare(engine, &hi, 1, each).await?;
    rows.show("bare process", 1, &alone);
    let four = bare(engine, &hi, PARALLEL, each).await?;
    rows.bare = Some(four.rate());
    rows.show("bare process", PARALLEL, &four);

    // Borrowed by every task, and alive until all have ended.
    let shared = Arc::new(Engine::connect().await?);
    let own = {
        let hi = Arc::clone(&hi);
        let cycle = move || {
            let (engine, hi) = (Arc::clone(&shared), Arc::clone(&hi));
            async move { engine.cycle(&hi, inline(&hi)).await }
        };
        again_and_again(engine, PARALLEL, each, cycle).await?
    };
    rows.docker = Some(own.rate());
    rows.show("Docker's own container, by its API", PARALLEL, &own);
    let command = Arc::new(CommandLine::new(engine, &hi)?);
    let run = move || {
        let command = Arc::clone(&command);
        async move { command.run().await.map(drop) }
    };
    let measured = again_and_again(engine, PARALLEL, each, run).await?;
    rows.show("`docker run`", PARALLEL, &measured);

    let mut went = Vec::new();
    for (name, isolation) in [("fresh", Isolation::Fresh), ("reuse", Isolation::Reuse)] {
        let setup = Setup::new(name, vec![hi.row.clone()], isolation).with_slots(PARALLEL);
        let host = Arc::new(Ours::start(engine, setup).await?);
        host.ready().await?;
        for parallel in [1, PARALLEL] {
            let (ours, hi) = (Arc::clone(&host), Arc::clone(&hi));
            let run = move || {
                let (ours, job) = (Arc::clone(&ours), hi.job());
                async move { ours.run_in_sandbox(&job).await }
            };
            let measured = again_and_again(engine, parallel, each, run).await?;
            rows.show(&format!("`{name}`, the sandbox alone"), parallel, &measured);
        }
        let (ours, program) = (Arc::clone(&host), Arc::clone(&hi));
        let steps = Arc::new(Mutex::new(Steps::default()));
        let told = Arc::clone(&steps);
        let run = move || {
            let (ours, job, steps) = (Arc::clone(&ours), program.job(), Arc::clone(&told));
            async move {
                let run = ours.run(&job).await?;
                steps
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(&run);
                Ok(())
            }
        };
        let measured = again_and_again(engine, PARALLEL, each, run).await?;
        rows.show(&format!("`{name}`, the whole host"), PARALLEL, &measured);
        went.push((name, steps));
        Arc::into_inner(host)
            .ok_or("the host is still used")?
            .close()
            .await?;
    }
    println!("\n{}.\n", noise.end());
    println!("Where the time of the whole host goes, {PARALLEL} at a time:\n");
    let table = Table::new(&["how", "queue", "dispatch", "run", "rest", "publish", "all"]);
    for (name, steps) in went {
        let steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
        let Steps {
            queue,
            dispatch,
            inside,
            rest,
            publish,
            total,
            ..
        } = &*steps;
        let cells = [queue, dispatch, inside, rest, publish, total].map(Samples::cell);
        let how = [format!("`{name}`")].into_iter();
        table.row(&how.chain(cells).collect::<Vec<_>>());
    }
    println!();
    Ok(())
}

/// The program as an argument, because there is no file.
fn inline(program: &Program) -> Vec<String> {
    ["python3", "-c", &program.code].map(str::to_owned).to_vec()
}

async fn bare(
    engine: &Engine,
    program: &Program,
    parallel: usize,
    each: Duration,
) -> Result<Measured> {
    let pace = Pace {
        parallel,
        time: each,
        most: usize::MAX,
        pause: Duration::ZERO,
    };
    let mounted = engine.mount(program).await?;
    let before = Cpu::now(engine);
    let bare = bare::measure(&mounted, program, pace).await;
    let after = Cpu::now(engine);
    mounted.unmount().await?;
    let bare = bare?;
    Ok(Measured {
        cpu: after.each(before, bare.run.len()),
        times: bare.run,
        wall: bare.wall,
    })
}

/// Runs so many at a time, for so long; the last ones to their end.
async fn again_and_again<F, R>(
    engine: &Engine,
    parallel: usize,
    each: Duration,
    run: F,
) -> Result<Measured>
where
    F: Fn() -> R + Clone + Send + 'static,
    R: Future<Output = Result<()>> + Send,
{
    // Not counted: the first of each has more to wait for.
    let first = (0..parallel).map(|_| run());
    futures_util::future::try_join_all(first).await?;

    let (before, begun) = (Cpu::now(engine), Instant::now());
    let mut lines = JoinSet::new();
    for _ in 0..parallel {
        let run = run.clone();
        lines.spawn(async move {
            let mut times = Vec::new();
            while begun.elapsed() < each {
                let started = Instant::now();
                run().await?;
                times.push(started.elapsed());
            }
            Result::Ok(times)
        });
    }
    let mut times = Samples::default();
    while let Some(line) = lines.join_next().await {
        line??.into_iter().for_each(|time| times.push(time));
    }
    let wall = begun.elapsed();
    Ok(Measured {
        cpu: Cpu::now(engine).each(before, times.len()),
        times,
        wall,
    })
}

/// The table, and what later rows are compared with.
struct Rows {
    table: Table,
    bare: Option<f64>,
    docker: Option<f64>,
}

impl Rows {
    fn new() -> Self {
        let table = Table::new(&[
            "how",
            "at a time",
            "n",
            "per second",
            "p50 ms",
            "p95 ms",
            "of bare",
            "of Docker's own",
            "CPU ms each",
            "of it the program",
            "host or client",
            "engine",
            "rest",
        ]);
        Self {
            table,
            bare: None,
            docker: None,
        }
    }

    fn show(&self, name: &str, parallel: usize, measured: &Measured) {
        let share = |of: Option<f64>| match of {
            Some(rate) if parallel == PARALLEL => {
                format!("{:.0} %", 100.0 * measured.rate() / rate)
            }
            _ => "–".to_owned(),
        };
        let cpu = &measured.cpu;
        // A bare process is a child of ours, and so is a client of the engine.
        let is_bare = self.docker.is_none() && name.starts_with("bare");
        let (program, client) = match is_bare {
            true => (cpu.children, cpu.own),
            false => (cpu.containers, cpu.own + cpu.children),
        };
        self.table.row(&[
            name.to_owned(),
            parallel.to_string(),
            measured.times.len().to_string(),
            short(measured.rate()),
            short(measured.times.percentile(50)),
            short(measured.times.percentile(95)),
            share(self.bare),
            share(self.docker),
            short(cpu.machine),
            short(program),
            short(client),
            short(cpu.engine),
            short(cpu.rest()),
        ]);
    }
}
