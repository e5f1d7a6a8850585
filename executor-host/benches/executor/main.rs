//! `cargo xtask bench executor`: what a run costs here, beside what the same machine does in the
//! same minutes without us: the bare process, `docker run`, and Docker's own containers.
//!
//! [`programs`] is what is run. It is run by [`bare`], [`docker`] and [`ours`], a whole host with
//! its queue. [`languages`], [`sustained`], [`kill`] and [`memory`] are the tables,
//! [`meter`], [`steps`] and [`report`] count and print. Prints Markdown that `docs/benchmarks.md` can quote.

mod bare;
mod docker;
mod kill;
mod languages;
mod memory;
mod meter;
mod ours;
mod programs;
mod report;
mod steps;
mod sustained;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use executor_host::docker::harden::Isolation;
use executor_host::sandbox::Sandbox as _;

use crate::docker::Engine;
use crate::meter::Noise;
use crate::ours::{Ours, Setup};
use crate::programs::{Languages, Program};

/// Any failure ends the benchmark: half a table misleads.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Measures this machine's executor-host. Needs root, Docker and the language images.
#[derive(Debug, Parser)]
struct Cli {
    /// Seconds that each figure is measured for, 1 and more.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,

    /// Only this table; may be repeated.
    #[arg(long, value_enum, value_name = "NAME")]
    table: Vec<Which>,

    /// Only this language in the tables by language; may be repeated.
    #[arg(long, value_name = "ID")]
    language: Vec<String>,

    /// The language table [default: the one that comes with the program].
    #[arg(long, value_name = "FILE")]
    languages: Option<PathBuf>,

    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,

    /// Be the process that starts bare processes.
    #[arg(long, hide = true)]
    bare: bool,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// One run at a time of every language, and the memory of what waits.
    Languages,
    /// As many runs as possible.
    Sustained,
    /// From cancelling to dead.
    Kill,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if cli.bare {
        // Before there is any other thread.
        return bare::child();
    }
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(bench(&cli))
}

async fn bench(cli: &Cli) -> Result<()> {
    let engine = Engine::connect().await?;
    let languages = Languages::load(cli.languages.as_deref())?;
    println!("{}\n", engine.describe().await?);
    let each = Duration::from_secs(cli.seconds);
    let begun = Noise::begin();

    let is_asked = |which| cli.table.is_empty() || cli.table.contains(&which);
    if is_asked(Which::Languages) {
        let idle = idle(&engine, &languages).await?;
        let chosen = |one: &Program| cli.language.is_empty() || cli.language.contains(&one.row.id);
        let programs: Vec<_> = idle.programs.into_iter().filter(chosen).collect();
        let pooled = languages::table(&engine, &programs, each / 2).await?;
        memory::table(idle.memory, &pooled);
    }
    if is_asked(Which::Sustained) {
        sustained::table(&engine, &languages, each).await?;
    }
    if is_asked(Which::Kill) {
        kill::table(&engine, &languages, each).await?;
    }

    println!("Over all of it: {}.", begun.end());
    engine.forget_cgroup();
    Ok(())
}

/// A host of which nobody has wanted anything yet.
struct Idle {
    /// What it takes.
    memory: memory::Process,
    /// The program for each language that works here.
    programs: Vec<Program>,
}

async fn idle(engine: &Engine, languages: &Languages) -> Result<Idle> {
    let setup = Setup::new("idle", languages.rows.clone(), Isolation::Fresh);
    let host = Ours::start(engine, setup).await?;
    host.ready().await?;
    let memory = memory::of_process("self")?;
    let works = host.sandbox.languages().await?;
    host.close().await?;
    let rows = languages.rows.iter();
    let programs = rows
        .filter(|row| works.iter().any(|language| language.id == row.id))
        .map(|row| Program::hello(row.clone()))
        .collect::<Result<_>>()?;
    Ok(Idle { memory, programs })
}
