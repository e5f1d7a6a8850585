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
use crate::suites::tap;
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
    run(work, || Ok(repo.command("node")), &files)
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
    run(work, || stack.command("node"), &files)
}

/// Our client library against the component, where rooms and feeds are event streams.
pub fn stream(repo: &Repo, work: &Work) -> Result<Report> {
    let files = test_files(&repo.path("tests/interop"), |name| name.starts_with(STREAM))?;
    let mut stack = Stack::of_suite(repo, "stream", Platform::Spin)?;
    stack.start_edge()?;
    run(work, || stack.command("node"), &files)
}

/// The page in Chromium, with programs that run.
pub fn page(repo: &Repo, work: &Work) -> Result<Report> {
    let files = test_files(&repo.path("tests/interop"), |name| name.starts_with(PAGE))?;
    let mut stack = Stack::of_suite(repo, "page", Platform::Workerd)?.with_limits_of_users()?;
    let collector = stack.set_collector()?;
    stack.start_edge()?;
    stack.start_executor(work)?;
    let node = || {
        let mut node = stack.command("node")?;
        node.env("CODECRAFTER_COLLECTOR", &collector);
        Ok(node)
    };
    run(work, node, &files)
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
///
/// Those of [`TIMED`] that have a test that failed are run once more: a browser, an edge and programs
/// share a machine there whose time is not theirs alone. What passes then is counted apart, as
/// unsteady, and stays named with its reason: it is to be mended, but it does not refuse a change.
fn run(work: &Work, node: impl Fn() -> Result<Command>, files: &[OsString]) -> Result<Report> {
    let once = |files: &[OsString]| {
        let mut command = node()?;
        command.args(["--test", "--test-concurrency=1", "--test-reporter=tap"]);
        let (output, success) = work.output_and_success(command.args(files))?;
        tap::read(&output, success)
    };
    let first = once(files)?;
    let failed = &first.failed_in;
    if failed.is_empty() || !failed.iter().all(|file| is_timed(file)) {
        return Ok(first.report);
    }
    work.note("# Once more, what failed")?;
    let failed: Vec<OsString> = failed.iter().map(OsString::from).collect();
    Ok(first.tried_again(once(&failed)?.report))
}

/// How the names of those files begin whose tests hang on how soon something is seen. The others
/// promise that nothing is lost, that all ends equal, and that nobody comes in who must not: that
/// has to hold whenever it is tried.
const TIMED: [&str; 5] = [PAGE, STREAM, "client", "presence", "notifications"];

fn is_timed(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    TIMED.iter().any(|timed| name.starts_with(timed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_promises_that_nothing_is_lost_has_to_hold_at_once() {
        assert!(is_timed("/a/tests/interop/page-chat.test.mjs"));
        assert!(is_timed("/a/tests/interop/client.test.mjs"));
        for file in [
            "access", "converge", "durable", "traces", "undo", "versions",
        ] {
            assert!(!is_timed(&format!("/page/tests/interop/{file}.test.mjs")));
        }
    }
}
