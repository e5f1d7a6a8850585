//! The executor-host beside bare processes, `docker run` and Docker's own containers, then the exam
//! bell. What measures the former is a benchmark of its crate, because it looks at a host from
//! inside; the bell rings for a whole stack.

use anyhow::{Context, Result, ensure};

use super::bell;
use crate::artifacts;
use crate::names;
use crate::repo::Repo;
use crate::step::{Plan, all_good};
use crate::up;

/// Measures every language that works here, each figure for so long.
pub fn bench(repo: &Repo, seconds: u64) -> Result<()> {
    run(repo, up::images(repo, &[])?)?;
    let mut plan = up::build_steps(repo)?;
    plan.push(artifacts::executor_bench_step(repo));
    plan.push(artifacts::bell_bench_step(repo));
    plan.keep(&[
        names::WORKER,
        names::PAGE,
        names::PACKAGES,
        names::EXECUTOR,
        names::EXECUTOR_BENCH,
        names::BENCH,
    ]);
    run(repo, plan)?;
    let status = artifacts::executor_bench(repo, &[])
        .args(["--quiet", "--", "--seconds", &seconds.to_string()])
        .status()
        .context("cargo bench")?;
    ensure!(status.success(), "the benchmark broke off: {status}");
    bell::table(repo)
}

fn run(repo: &Repo, plan: Plan<'_>) -> Result<()> {
    plan.announce()?;
    all_good(&plan.run(&repo.state_dir().join("logs")))
}
