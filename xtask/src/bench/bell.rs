//! The exam bell, rung for an edge on workerd and an executor-host with the slots that it gives
//! itself on this machine, in both isolation modes.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::artifacts;
use crate::repo::Repo;
use crate::stack::{Platform, Stack};
use crate::step::say;
use crate::work::{Work, answer};

/// The program of the tests' crate that rings.
const DRIVER: &str = "bench-bell";

/// How a host's containers serve jobs.
const ISOLATION: &str = "CODECRAFTER_ISOLATION";

/// Prints the table.
pub fn table(repo: &Repo) -> Result<()> {
    println!(
        "\n### The exam bell\n\n\
         | isolation | submissions | last verdict after s | wait of a submission, p50 s | p95 s \
         | others' runs meanwhile | until the result, p50 s | p95 s |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|"
    );
    for isolation in ["fresh", "reuse"] {
        say(&format!("the exam bell, {isolation}"));
        let rung = ring(repo, isolation)?;
        let count = |name: &str| rung[name].as_u64().unwrap_or_default();
        let seconds = |name: &str| rung[name].as_f64().unwrap_or(f64::NAN) / 1e3;
        println!(
            "| `{isolation}` | {} | {:.1} | {:.2} | {:.2} | {} | {:.2} | {:.2} |",
            count("submissions"),
            seconds("lastVerdict"),
            seconds("waitP50"),
            seconds("waitP95"),
            count("others"),
            seconds("otherP50"),
            seconds("otherP95"),
        );
    }
    println!();
    Ok(())
}

fn ring(repo: &Repo, isolation: &'static str) -> Result<Value> {
    let work = Work::begin(&repo.state_dir().join("logs"), "exam bell")?;
    let mut stack = Stack::of_bench(repo, "bell", Platform::Workerd)?;
    stack.set_executor(ISOLATION, isolation);
    stack.start_edge()?;
    stack.start_executor(&work)?;
    let mut driver = stack.command(artifacts::native_program(repo, DRIVER))?;
    let rung = answer(driver.args(["--url", &stack.url()])).context("the bell did not ring")?;
    Ok(serde_json::from_str(&rung)?)
}
