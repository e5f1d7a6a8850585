//! `test`: every suite, and what came of it as a table.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::record;
use crate::repo::Repo;
use crate::report::Report;
use crate::step::{Finished, say};
use crate::suites;
use crate::tools;

/// How much is run, and what is kept of it.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// The long forms of the suites too.
    pub full: bool,
    /// A record of each of them.
    pub record: bool,
}

/// Runs the named suites and what they need; all if none is named.
/// False if a case failed; then the table says which suite.
pub fn test(repo: &Repo, only: &[String], extent: Extent) -> Result<bool> {
    let mut plan = suites::steps(repo)?;
    let mut names: Vec<&str> = if only.is_empty() {
        suites::NAMES.to_vec()
    } else {
        only.iter().map(String::as_str).collect()
    };
    if extent.full {
        let long = suites::LONG
            .iter()
            .filter(|long| names.contains(&long.suite));
        let long: Vec<&str> = long.map(|long| long.step).collect();
        names.extend(long);
    }
    ensure!(
        !extent.record || names.iter().any(|name| is_long(name)),
        "only long forms are recorded: add --full, or name one, such as --only 'rooms, long'"
    );
    plan.keep(&names);
    plan.announce()?;
    let begun = Instant::now();
    let finished = plan.run(&repo.state_dir().join("logs"));
    let took = begun.elapsed();
    tools::forget_compiled(repo)?;
    if extent.record {
        record(repo, &finished)?;
    }
    Ok(summarize(&finished, took).failed == 0)
}

fn is_long(step: &str) -> bool {
    suites::LONG.iter().any(|long| long.step == step)
}

/// Writes down what came of the long runs, also of those with a case that failed.
fn record(repo: &Repo, finished: &[Finished]) -> Result<()> {
    for step in finished {
        if let (true, Ok(report)) = (is_long(step.name), &step.result) {
            let file = record::write(repo, step.name, step.took, report)?;
            say(&format!("recorded in {}", file.display()));
        }
    }
    Ok(())
}

/// Prints the table, what determined how long it all took, and as the last line the counts.
fn summarize(finished: &[Finished], took: Duration) -> Report {
    let mut total = Report::default();
    println!(
        "\n{:<24} {:>7} {:>8}  {:<24}  result",
        "step", "start", "seconds", "waited for"
    );
    for step in finished {
        println!(
            "{:<24} {:>7.1} {:>8.1}  {:<24}  {}",
            step.name,
            step.began.as_secs_f32(),
            step.took.as_secs_f32(),
            step.waited_for.unwrap_or("-"),
            word(step)
        );
        match &step.result {
            Ok(report) => {
                total.passed += report.passed;
                total.failed += report.failed;
                total.unsteady += report.unsteady;
                total.skipped += report.skipped;
            }
            // A suite that could not run at all has cases that nobody counted.
            Err(_) => total.failed += 1,
        }
    }
    println!("{:<24} {:>7.1} {:>8.1}", "all", 0.0, took.as_secs_f32());
    let path: Vec<String> = critical_path(finished)
        .iter()
        .map(|step| format!("{} {:.0}", step.name, step.took.as_secs_f32()))
        .collect();
    println!("\nin a row, with seconds: {}", path.join(", "));
    println!("\n{}", total.counts());
    total
}

/// The steps that followed one another from the beginning to the end: only what makes one of these
/// shorter makes the whole shorter.
fn critical_path(finished: &[Finished]) -> Vec<&Finished> {
    let mut path = Vec::new();
    let mut next = finished.iter().max_by_key(|step| step.began + step.took);
    while let Some(step) = next {
        path.push(step);
        next = step
            .waited_for
            .and_then(|name| finished.iter().find(|other| other.name == name))
            // Time only goes back, so this ends.
            .filter(|other| other.began < step.began);
    }
    path.reverse();
    path
}

fn word(step: &Finished) -> String {
    match &step.result {
        Ok(report) if report.cases() == 0 => "done".to_owned(),
        Ok(report) => {
            let verdict = if report.failed > 0 { "FAILED: " } else { "" };
            format!("{verdict}{}", report.counts())
        }
        Err(why) => format!(
            "FAILED: {}",
            format!("{why:#}").lines().next().unwrap_or_default()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_critical_path_goes_back_from_what_ended_last() {
        let step = |name, began, took, waited_for| Finished {
            name,
            began: Duration::from_secs(began),
            took: Duration::from_secs(took),
            waited_for,
            result: Report::done(),
        };
        let finished = [
            step("short", 0, 2, None),
            step("long", 0, 9, None),
            step("aside", 2, 3, Some("short")),
            step("last", 9, 1, Some("long")),
        ];
        let path: Vec<_> = critical_path(&finished)
            .iter()
            .map(|step| step.name)
            .collect();
        assert_eq!(path, ["long", "last"]);
    }
}
