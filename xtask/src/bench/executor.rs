//! The executor-host beside bare processes, `docker run` and Docker's own containers. What measures
//! is a benchmark of its crate, because it looks at a host from inside.

use anyhow::{Context, Result, ensure};

use crate::artifacts;
use crate::repo::Repo;
use crate::step::all_good;
use crate::up;

/// Measures every language that works here, each figure for so long.
pub fn bench(repo: &Repo, seconds: u64) -> Result<()> {
    let mut plan = up::images(repo, &[])?;
    plan.push(artifacts::executor_bench_step(repo));
    plan.announce()?;
    all_good(&plan.run(&repo.state_dir().join("logs")))?;
    let status = artifacts::executor_bench(repo, &[])
        .args(["--quiet", "--", "--seconds", &seconds.to_string()])
        .status()
        .context("cargo bench")?;
    ensure!(status.success(), "the benchmark broke off: {status}");
    Ok(())
}
