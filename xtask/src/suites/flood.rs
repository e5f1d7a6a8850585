//! The long form of the rooms' flood: hostile frames through the whole pipeline, in each build that
//! there is, until a million were sent in each.

use anyhow::{Context, Result, ensure};

use crate::evidence::Evidence;
use crate::repo::Repo;
use crate::report::Report;
use crate::tools::WORKERD_TARGET;
use crate::work::Work;

/// Frames in each build.
const FRAMES: u32 = 1_000_000;

/// One step, a case for each build.
pub fn long(repo: &Repo, work: &Work) -> Result<Report> {
    let mut report = Report::default();
    let mut evidence = Evidence::default();
    for (build, run) in [
        (
            "debug",
            native as fn(&Repo, &Work, &[&str]) -> Result<String>,
        ),
        ("release", |repo, work, _| {
            native(repo, work, &["--release"])
        }),
        ("WebAssembly", |repo, work, _| wasm(repo, work)),
    ] {
        let flooded = run(repo, work, &[]);
        if let Ok(output) = &flooded {
            evidence.fact(build, counts(output)?);
        }
        report.case(&format!("a flood of rooms, {build}"), flooded.map(drop));
    }
    report.evidence = Some(evidence);
    Ok(report)
}

fn native(repo: &Repo, work: &Work, profile: &[&str]) -> Result<String> {
    let mut flood = repo.cargo(["run", "--locked", "-p", "codecrafter-edge"]);
    flood.args(["--features", "probes", "--example", "flood"]);
    flood.args(profile).arg("--").arg(FRAMES.to_string());
    output(work, &mut flood)
}

/// The core as it is compiled for workerd.
fn wasm(repo: &Repo, work: &Work) -> Result<String> {
    let mut build = repo.cargo(["build", "--locked", "--lib", "-p", "codecrafter-edge"]);
    build.args([
        "--features",
        "probes",
        "--release",
        "--target",
        WORKERD_TARGET,
    ]);
    let target = repo.path("target").join("flood");
    work.run(build.arg("--target-dir").arg(&target))?;
    let core = target
        .join(WORKERD_TARGET)
        .join("release/codecrafter_edge.wasm");
    let mut flood = repo.command("node");
    flood.arg(repo.path("tests/flood/flood.mjs")).arg(core);
    output(work, flood.arg(FRAMES.to_string()))
}

fn output(work: &Work, command: &mut std::process::Command) -> Result<String> {
    let (output, success) = work.output_and_success(command)?;
    ensure!(success, "{}", output.lines().last().unwrap_or("no output"));
    Ok(output)
}

/// What a flood printed: its counts on one line.
fn counts(output: &str) -> Result<String> {
    let from = output.find("frames: ").context("no counts")?;
    let lines = output.get(from..).unwrap_or_default().lines();
    let lines: Vec<&str> = lines.filter(|line| line.contains(": ")).collect();
    Ok(lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_on_one_line() {
        let output = "   Compiling x\nframes: 60\nrooms: 1, seeds from 1\napplied: 21\n";
        assert_eq!(
            counts(output).unwrap(),
            "frames: 60; rooms: 1, seeds from 1; applied: 21"
        );
        assert!(counts("nothing").is_err());
    }
}
