//! The long form of undo in rooms: sessions of stock Yjs in which people undo and redo over maps,
//! lists and texts. The gate must take every update, and everybody end with the same.

use anyhow::{Context, Result, ensure};

use crate::evidence::Evidence;
use crate::repo::Repo;
use crate::report::Report;
use crate::work::Work;

/// Sessions, each of a few people and about 75 updates.
const SESSIONS: u32 = 5_000;

/// One case.
pub fn long(repo: &Repo, work: &Work) -> Result<Report> {
    let mut report = Report::default();
    let mut evidence = Evidence::default();
    let played = play(repo, work);
    if let Ok(counts) = &played {
        evidence.fact("undo", counts.clone());
    }
    report.case("sessions of Yjs with undo and redo", played.map(drop));
    report.evidence = Some(evidence);
    Ok(report)
}

fn play(repo: &Repo, work: &Work) -> Result<String> {
    let mut build = repo.cargo(["build", "--locked", "-p", "codecrafter-edge"]);
    work.run(build.args(["--features", "probes", "--example", "gate"]))?;
    let gate = repo.target().join("debug/examples/gate");
    let mut node = repo.command("node");
    node.arg(repo.path("tests/undo/undo.mjs")).arg(gate);
    let (output, success) = work.output_and_success(node.arg(SESSIONS.to_string()))?;
    ensure!(success, "{}", first_failure(&output));
    let from = output.find("sessions: ").context("no counts")?;
    let counts: Vec<&str> = output.get(from..).unwrap_or_default().lines().collect();
    Ok(counts.join("; "))
}

/// Failures name their seed.
fn first_failure(output: &str) -> &str {
    let mut lines = output.lines();
    lines
        .find(|line| line.starts_with("seed "))
        .unwrap_or("no sessions were played")
}
