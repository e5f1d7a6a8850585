//! `test`: every suite, and what came of it as a table.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::repo::Repo;
use crate::report::Report;
use crate::step::Finished;
use crate::suites;
use crate::tools;

/// Runs the named suites and what they need; all if none is named.
/// False if a case failed; then the table says which suite.
pub fn test(repo: &Repo, only: &[String]) -> Result<bool> {
    let mut plan = suites::steps(repo)?;
    let names: Vec<&str> = if only.is_empty() {
        suites::NAMES.to_vec()
    } else {
        only.iter().map(String::as_str).collect()
    };
    plan.keep(&names);
    plan.announce()?;
    let begun = Instant::now();
    let finished = plan.run(&repo.state_dir().join("logs"));
    let took = begun.elapsed();
    tools::forget_compiled(repo)?;
    Ok(summarize(&finished, took).failed == 0)
}

/// Prints the table, and as the last line the counts.
fn summarize(finished: &[Finished], took: Duration) -> Report {
    let mut total = Report::default();
    println!("\n{:<20} {:>8}  result", "step", "seconds");
    for step in finished {
        let seconds = step.took.as_secs_f32();
        println!("{:<20} {seconds:>8.1}  {}", step.name, word(step));
        match &step.result {
            Ok(report) => {
                total.passed += report.passed;
                total.failed += report.failed;
                total.skipped += report.skipped;
            }
            // A suite that could not run at all has cases that nobody counted.
            Err(_) => total.failed += 1,
        }
    }
    println!("{:<20} {:>8.1}  steps overlap", "all", took.as_secs_f32());
    println!(
        "\n{} passed, {} failed, {} skipped",
        total.passed, total.failed, total.skipped
    );
    total
}

fn word(step: &Finished) -> String {
    match &step.result {
        Ok(Report {
            passed: 0,
            failed: 0,
            skipped: 0,
            ..
        }) => "done".to_owned(),
        Ok(Report {
            passed,
            failed,
            skipped,
            ..
        }) => {
            let verdict = if *failed > 0 { "FAILED: " } else { "" };
            format!("{verdict}{passed} passed, {failed} failed, {skipped} skipped")
        }
        Err(why) => format!(
            "FAILED: {}",
            format!("{why:#}").lines().next().unwrap_or_default()
        ),
    }
}
