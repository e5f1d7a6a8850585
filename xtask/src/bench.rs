//! `bench`: figures beside a reference in the same run, as Markdown that a document can quote.

mod bell;
mod cold;
mod edge;
mod executor;
mod relay;

use std::fs;
use std::thread;

use anyhow::Result;
use clap::ValueEnum;

use crate::repo::Repo;

/// What can be measured.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum What {
    /// Requests, cold starts, sizes and costs of the edge, on workerd and as a Spin component.
    Edge,
    /// Runs of every language in Docker, beside bare processes and Docker itself, and a class that
    /// hands in at once: 25 minutes.
    Executor,
    /// Rooms beside other relays for Yjs documents: 6 minutes, or 4 with `--seconds 3`.
    Relay,
}

/// Measures, and prints what was measured on which machine.
pub fn bench(repo: &Repo, what: What, seconds: u64) -> Result<()> {
    println!("{}\n", machine());
    match what {
        What::Edge => edge::bench(repo, seconds),
        What::Executor => executor::bench(repo, seconds),
        What::Relay => relay::bench(repo, seconds),
    }
}

/// What ran the benchmark, and what else ran: a figure means nothing without it.
fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("an unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?");
    format!(
        "{cores} cores of {model}, Linux {}; load before the run {load}. The driver runs on the \
         same cores.",
        kernel.trim()
    )
}
