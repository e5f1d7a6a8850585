//! `cargo xtask`: the one entry to everything that can be done with a clone.
//!
//! A command makes a plan of [`step`]s and runs it. What steps there are, in the order in which a
//! new machine meets them: [`tools`], [`node`] and [`docker`] set up, [`artifacts`] and [`images`]
//! build, [`stack`] runs, [`check`] and [`suites`] test.

mod evidence;
mod record;
mod repo;
mod report;
mod step;
mod work;

mod amqp;
mod apt;
mod arm;
mod docker;
mod node;
mod tools;

mod artifacts;
mod base_image;
mod fetch;
mod images;
mod inputs;
mod names;

mod http;
mod ports;
mod process;
mod stack;

mod bench;
mod demo;
mod dist;
mod preparing;
mod up;

mod check;
mod suites;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};

use repo::Repo;
use stack::Stack;
use stack::queue::Queue;
use step::Plan;

/// Sets up, builds, runs, checks and tests CodeCrafter.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set up what is missing, run everything on this machine, and print the page's address.
    /// Harmless to repeat: only what changed or died is started again.
    Up {
        /// The port of the page and the API, on 127.0.0.1.
        #[arg(long, default_value_t = up::PORT)]
        port: u16,
        /// What carries the jobs [default: the RabbitMQ that AMQP_URL names or this machine has,
        /// else the queue in the executor-host]. Asked for and not found, RabbitMQ is set up.
        #[arg(long, value_enum)]
        queue: Option<Queue>,
    },
    /// Stop what `up` started. Data stays in .codecrafter.
    Down,
    /// Show two people writing a program and running it, and one in every language: on the running
    /// stack, or on one for the time of the demo.
    Demo {
        /// Print one line of JSON on standard output, and nothing else.
        #[arg(long)]
        json: bool,
        /// The queue that the programs must go through [default: that of the running stack, else
        /// what `up` would use]. RabbitMQ is set up where it is asked for and not there.
        #[arg(long, value_enum)]
        queue: Option<Queue>,
    },
    /// Run every suite, each on a stack of its own that no running `up` notices.
    Test {
        /// Run only this suite, or this long form, and what it needs; may be repeated.
        #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(suites::names()))]
        only: Vec<String>,
        /// Run the long forms of the suites too: they take from minutes to an hour each.
        #[arg(long)]
        full: bool,
        /// Write what came of each long run to docs/evidence.
        #[arg(long)]
        record: bool,
    },
    /// Measure, beside a reference in the same run.
    Bench {
        /// What.
        #[arg(value_enum)]
        what: bench::What,
        /// Seconds for each figure.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Check format, lints on every target, documentation and dependencies.
    Check,
    /// Build everything: the edge for both platforms, the page, the executor-host, the agent.
    Build,
    /// Build what is deployed: the edge for workerd and Spin, a static executor-host, and container
    /// images of both for deploy/compose.yaml.
    Dist,
    /// Build the images that programs run in.
    Images {
        /// Only this language's; may be repeated.
        #[arg(long, value_name = "LANGUAGE")]
        only: Vec<String>,
    },
    /// Run the short storm of the suite `faults` alone, on what was built last: to have one of a
    /// seed again. With "containers" or "long", that storm; with "upgrade", the replacement of
    /// everything in both orders, from the version that CODECRAFTER_UPGRADE_FROM names.
    #[command(hide = true)]
    Storm {
        /// Which.
        which: Option<String>,
    },
    /// Kill the edge of a suite's stack, start it again, and return when it answers.
    #[command(hide = true)]
    CrashEdge {
        /// The stack's folder.
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command; false if it has already said what failed.
fn run(command: Command) -> Result<bool> {
    ensure!(
        cfg!(target_os = "linux"),
        "the executor-host needs Linux's containers: please use a Linux machine or a virtual one"
    );
    let repo = Repo::find()?;
    match command {
        Command::Up { port, queue } => {
            let url = up::up(&repo, port, queue)?;
            println!("{url}");
        }
        Command::Down => up::down(&repo)?,
        Command::Demo { json, queue } => demo::demo(&repo, queue, json)?,
        Command::Test { only, full, record } => {
            return test::test(&repo, &only, test::Extent { full, record });
        }
        Command::Bench { what, seconds } => bench::bench(&repo, what, seconds)?,
        Command::Check => run_steps(&repo, check::steps(&repo))?,
        Command::Build => run_steps(&repo, up::build_steps(&repo)?)?,
        Command::Dist => {
            run_steps(&repo, dist::plan(&repo)?)?;
            println!("{}", dist::folder(&repo).display());
        }
        Command::Images { only } => run_steps(&repo, up::images(&repo, &only)?)?,
        Command::Storm { which } => suites::storm(&repo, which.as_deref())?,
        Command::CrashEdge { folder } => {
            let mut stack = Stack::found(&repo, &folder)?;
            stack.kill_edge()?;
            stack.start_edge()?;
        }
    }
    Ok(true)
}

/// Runs a plan; an error if any of it failed.
fn run_steps(repo: &Repo, plan: Plan<'_>) -> Result<()> {
    plan.announce()?;
    step::all_good(&plan.run(&repo.state_dir().join("logs")))
}
