//! The suites that run in Node: the page's own logic, stock Yjs clients, the page in a browser, and
//! the demo.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::demo;
use crate::repo::Repo;
use crate::report::Report;
use crate::stack::queue::Carrier;
use crate::stack::{Platform, Stack};
use crate::work::Work;

/// How the names of those interop tests begin that need a browser and an executor.
const PAGE: &str = "page";
/// And of those that are about rooms and feeds without WebSockets.
const STREAM: &str = "stream";

/// Languages that the demo shows.
const LANGUAGES: usize = 7;

/// The page's own logic.
pub fn web(repo: &Repo, work: &Work) -> Result<Report> {
    let files = test_files(&repo.path("web/test"), |_| true)?;
    run(work, &mut repo.command("node"), &files)
}

/// Who opens their feed more often than any test but one meets the limit.
const FEW_FEEDS: &str = "off,feeds=60/1m";

/// Stock clients against workerd.
pub fn interop(repo: &Repo, work: &Work) -> Result<Report> {
    let others = |name: &str| !name.starts_with(PAGE) && !name.starts_with(STREAM);
    let files = test_files(&repo.path("tests/interop"), others)?;
    let stack = Stack::of_suite(repo, "interop", Platform::Workerd)?;
    let mut stack = stack.with_limits(FEW_FEEDS)?;
    stack.start_edge()?;
    run(work, &mut stack.command("node")?, &files)
}

/// Our client library against the component, where rooms and feeds are event streams.
pub fn stream(repo: &Repo, work: &Work) -> Result<Report> {
    let files = test_files(&repo.path("tests/interop"), |name| name.starts_with(STREAM))?;
    let mut stack = Stack::of_suite(repo, "stream", Platform::Spin)?;
    stack.start_edge()?;
    run(work, &mut stack.command("node")?, &files)
}

/// The page in Chromium, with programs that run.
pub fn page(repo: &Repo, work: &Work) -> Result<Report> {
    let files = test_files(&repo.path("tests/interop"), |name| name.starts_with(PAGE))?;
    let mut stack = Stack::of_suite(repo, "page", Platform::Workerd)?.with_limits_of_users()?;
    let collector = stack.set_collector()?;
    stack.start_edge()?;
    stack.start_executor(work)?;
    let mut node = stack.command("node")?;
    run(work, node.env("CODECRAFTER_COLLECTOR", collector), &files)
}

/// The demo through each queue, and what it prints for other programs.
pub fn demo(repo: &Repo, work: &Work) -> Result<Report> {
    let mut report = Report::default();
    for carrier in [Carrier::Embedded, Carrier::private()?] {
        let queue = carrier.queue();
        let name = format!("two people write, and every language runs, through {queue}");
        report.case(&name, demo_through(repo, work, carrier));
    }
    Ok(report)
}

fn demo_through(repo: &Repo, work: &Work, carrier: Carrier) -> Result<()> {
    let queue = carrier.queue();
    let suite = format!("demo-{queue}");
    let stack = Stack::of_suite_on(repo, &suite, Platform::Workerd, carrier)?;
    let mut stack = stack.with_limits_of_users()?;
    stack.start_edge()?;
    stack.start_executor(work)?;
    let output = work.output(demo::driver(&stack)?.arg("--json"))?;
    let result: Value = serde_json::from_str(demo::result_line(&output)?)?;
    ensure!(result["queue"] == queue.name(), "another queue: {result}");
    let ran = result["languages"].as_object().map_or(0, |ran| ran.len());
    ensure!(
        ran == LANGUAGES,
        "{ran} languages, not {LANGUAGES}: {result}"
    );
    Ok(())
}

fn test_files(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<OsString>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<OsString> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            (name.ends_with(".test.mjs") && wanted(name)).then(|| path.clone().into_os_string())
        })
        .collect();
    files.sort();
    ensure!(!files.is_empty(), "no tests in {}", folder.display());
    Ok(files)
}

/// Runs test files one after the other, because they share one edge.
fn run(work: &Work, node: &mut Command, files: &[OsString]) -> Result<Report> {
    node.args(["--test", "--test-concurrency=1", "--test-reporter=tap"])
        .args(files);
    let (output, success) = work.output_and_success(node)?;
    report(&output, success)
}

/// Of what Node tells about a test that failed, so many lines are shown.
const REASON_LINES: usize = 30;

/// Reads the Test Anything Protocol as Node writes it: its totals at the end, the names of tests
/// that failed or were skipped, and why they failed.
fn report(output: &str, success: bool) -> Result<Report> {
    let total = |word: &str| -> usize {
        let prefix = format!("# {word} ");
        let mut lines = output.lines().filter_map(|line| line.strip_prefix(&prefix));
        lines
            .next_back()
            .and_then(|count| count.trim().parse().ok())
            .unwrap_or(0)
    };
    let mut report = Report {
        passed: total("pass"),
        failed: total("fail") + total("cancelled"),
        skipped: total("skipped") + total("todo"),
        ..Report::default()
    };
    let mut lines = output.lines();
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        if line.contains(" # SKIP") {
            report.say(line);
        } else if line.starts_with("not ok ") {
            report.say(line);
            let reason = lines.by_ref().take_while(|line| line.trim() != "...");
            let reason: Vec<_> = reason.filter(|line| line.trim() != "---").collect();
            // A suite fails because a test in it did, which says more.
            if !reason.iter().any(|line| line.contains("subtestsFailed")) {
                for line in reason.into_iter().take(REASON_LINES) {
                    report.say(line);
                }
            }
        }
    }
    ensure!(success || report.failed > 0, "node failed");
    ensure!(
        report.passed + report.failed + report.skipped > 0,
        "node ran no test"
    );
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
TAP version 13
# Subtest: a
ok 1 - a
# Subtest: b
    # Subtest: of b
    not ok 1 - of b
      ---
      error: 'one is not two'
      ...
    1..1
not ok 2 - b
  ---
  failureType: 'subtestsFailed'
  error: '1 subtest failed'
  ...
# Subtest: c
ok 3 - c # SKIP needs a browser
1..3
# tests 3
# suites 0
# pass 1
# fail 1
# cancelled 0
# skipped 1
# todo 0
";

    #[test]
    fn totals_are_read_and_what_did_not_pass_is_named_with_its_reason() {
        let report = report(OUTPUT, false).expect("a report");
        assert_eq!((report.passed, report.failed, report.skipped), (1, 1, 1));
        let note = [
            "not ok 1 - of b",
            "      error: 'one is not two'",
            "not ok 2 - b",
            "ok 3 - c # SKIP needs a browser",
        ];
        assert_eq!(report.note, note.join("\n"));
    }

    #[test]
    fn a_run_that_ends_early_is_an_error() {
        assert!(report("TAP version 13\n", false).is_err());
        assert!(report("TAP version 13\n", true).is_err());
    }
}
