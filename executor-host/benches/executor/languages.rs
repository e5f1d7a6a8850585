//! One run after the other, by language: the bare process, ours warm and cold, `docker run`.

use std::time::{Duration, Instant};

use executor_host::docker::harden::Isolation;

use crate::Result;
use crate::bare::{self, Bare, Pace};
use crate::docker::{CommandLine, Engine};
use crate::memory::{self, Pooled};
use crate::meter::Noise;
use crate::ours::{Ours, PAUSE, Setup};
use crate::programs::Program;
use crate::report::{Samples, Table, short};
use crate::steps::Steps;

/// More runs than this tell nothing new.
const MOST: usize = 200;

/// Fewer are no median.
const LEAST: usize = 3;

/// All that was measured of a language.
struct Measured {
    id: String,
    bare: Bare,
    fresh: Steps,
    fresh_cached: Option<Steps>,
    reuse: Steps,
    reuse_cached: Option<Steps>,
    cold: Steps,
    command_line: Samples,
    pooled: Pooled,
}

/// Measures every program, each figure for so long, and prints two tables. Returns what the
/// containers take that wait.
pub async fn table(
    engine: &Engine,
    programs: &[Program],
    each: Duration,
) -> Result<Vec<(String, Pooled)>> {
    let noise = Noise::begin();
    println!("### One run at a time\n");
    let table = Table::new(&[
        "language",
        "bare process",
        "`reuse`",
        "`fresh`",
        "cold",
        "`docker run`",
    ]);
    let mut all = Vec::new();
    for program in programs {
        let measured = measure(engine, program, each).await?;
        table.row(&[
            measured.id.clone(),
            measured.bare.total.cell(),
            measured.reuse.total.cell(),
            measured.fresh.total.cell(),
            measured.cold.total.cell(),
            measured.command_line.cell(),
        ]);
        all.push(measured);
    }
    println!("\n{}.\n", noise.end());

    println!("### Where the time goes, p50\n");
    let table = Table::new(&[
        "language",
        "how",
        "queue",
        "dispatch",
        "compile",
        "run",
        "rest",
        "publish",
        "all",
        "bare compile",
        "bare run",
        "over bare",
    ]);
    for measured in &all {
        let rows = [
            ("`reuse`", Some(&measured.reuse), false),
            (
                "`reuse`, compiled before",
                measured.reuse_cached.as_ref(),
                true,
            ),
            ("`fresh`", Some(&measured.fresh), false),
            (
                "`fresh`, compiled before",
                measured.fresh_cached.as_ref(),
                true,
            ),
        ];
        for (how, steps, is_cached) in rows {
            if let Some(steps) = steps {
                table.row(&cells(measured, how, steps, is_cached));
            }
        }
    }
    println!();
    Ok(all.into_iter().map(|one| (one.id, one.pooled)).collect())
}

fn cells(measured: &Measured, how: &str, steps: &Steps, is_cached: bool) -> [String; 12] {
    let Bare {
        compile,
        run,
        total,
        ..
    } = &measured.bare;
    let bare = if is_cached { run } else { total };
    [
        measured.id.clone(),
        how.to_owned(),
        steps.queue.median_cell(),
        steps.dispatch.median_cell(),
        steps.compile.median_cell(),
        steps.inside.median_cell(),
        steps.rest.median_cell(),
        steps.publish.median_cell(),
        steps.total.median_cell(),
        compile.median_cell(),
        run.median_cell(),
        short(steps.total.median() - bare.median()),
    ]
}

async fn measure(engine: &Engine, program: &Program, each: Duration) -> Result<Measured> {
    let pace = Pace {
        parallel: 1,
        time: each,
        most: MOST,
        pause: PAUSE,
    };
    let mounted = engine.mount(program).await?;
    let bare = bare::measure(&mounted, program, pace).await;
    mounted.unmount().await?;

    let setup =
        |name, isolation| Setup::new(name, vec![program.row.clone()], isolation).with_slots(1);
    let is_compiled = program.row.compile.is_some();

    let host = Ours::start(engine, setup("reuse", Isolation::Reuse)).await?;
    let reuse = steps(&host, each, |number| program.new_job(number)).await?;
    let reuse_cached = match is_compiled {
        true => Some(steps(&host, each, |_| program.job()).await?),
        false => None,
    };
    host.close().await?;

    let host = Ours::start(engine, setup("fresh", Isolation::Fresh)).await?;
    let fresh = steps(&host, each, |number| program.new_job(number)).await?;
    let fresh_cached = match is_compiled {
        true => Some(steps(&host, each, |_| program.job()).await?),
        false => None,
    };
    host.ready().await?;
    let pooled = memory::of_pooled(engine, &host).await?;
    host.close().await?;

    let none_waits = Setup {
        warm: 0,
        ..setup("cold", Isolation::Fresh)
    };
    let host = Ours::start(engine, none_waits).await?;
    let cold = steps(&host, each, |number| program.new_job(number)).await?;
    host.close().await?;

    Ok(Measured {
        id: program.row.id.clone(),
        bare: bare?,
        fresh,
        fresh_cached,
        reuse,
        reuse_cached,
        cold,
        command_line: by_command_line(engine, program, each).await?,
        pooled,
    })
}

/// Runs job after job, each once the pool is ready for it.
async fn steps(
    host: &Ours,
    each: Duration,
    job: impl Fn(usize) -> codecrafter_shared::job::Job,
) -> Result<Steps> {
    let mut steps = Steps::default();
    // Not counted: the files have to come from the disk, and the compiler has to have run once.
    host.ready().await?;
    host.run(&job(0)).await?;
    let begun = Instant::now();
    let mut count = 0;
    while count < LEAST || (begun.elapsed() < each && count < MOST) {
        host.ready().await?;
        count += 1;
        steps.push(&host.run(&job(count)).await?);
    }
    Ok(steps)
}

async fn by_command_line(engine: &Engine, program: &Program, each: Duration) -> Result<Samples> {
    let command = CommandLine::new(engine, program)?;
    let mut samples = Samples::default();
    command.run().await?;
    let begun = Instant::now();
    while samples.len() < LEAST || (begun.elapsed() < each && samples.len() < MOST) {
        tokio::time::sleep(PAUSE).await;
        samples.push(command.run().await?);
    }
    Ok(samples)
}
