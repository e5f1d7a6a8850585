//! The suites that are `cargo test`: the workspace's own, and the executor's with real containers,
//! with attacks on them, and with a real broker.

use anyhow::{Result, ensure};

use crate::evidence::Evidence;
use crate::repo::Repo;
use crate::report::Report;
use crate::stack::queue::Carrier;
use crate::stack::{Platform, Stack};
use crate::work::Work;

/// What needs neither root nor a service.
pub fn unit(repo: &Repo, work: &Work) -> Result<Report> {
    test(repo, work, &[], &[], &[])
}

/// What needs Docker and the language images.
pub fn docker(repo: &Repo, work: &Work) -> Result<Report> {
    // The whole workspace again, so that nothing is compiled for another selection of features.
    test(repo, work, &["--test", "docker"], &["--ignored"], &[])
}

/// What attacks the sandbox. It says itself which cases it leaves out, and why.
pub fn abuse(repo: &Repo, work: &Work) -> Result<Report> {
    test(repo, work, &["--test", "abuse"], &["--ignored"], &[])
}

/// Jobs of the abuse suite's long form, in each isolation mode (A70).
const SOAK_JOBS: u32 = 2_000;

/// The abuse suite's long form: good and bad jobs by the thousand, after which the host is as it
/// was before.
pub fn soak(repo: &Repo, work: &Work) -> Result<Report> {
    let jobs = SOAK_JOBS.to_string();
    let settings = [("CODECRAFTER_ABUSE_JOBS", jobs.as_str())];
    let arguments = ["--ignored", "soak::"];
    let mut report = test(repo, work, &["--test", "abuse"], &arguments, &settings)?;
    let mut evidence = Evidence::default();
    evidence.fact("jobs in each isolation mode", jobs);
    evidence.fact(
        "looked at after them",
        "an innocent job; containers, processes, descriptors and memory of the host, memory, logs \
         and volumes of the engine",
    );
    report.evidence = Some(evidence);
    Ok(report)
}

/// What needs RabbitMQ: the queue's promises, on a node of the suite's own that was killed before,
/// and what cuts or restarts a broker, on nodes that those tests start themselves.
pub fn rabbitmq(repo: &Repo, work: &Work) -> Result<Report> {
    let carrier = Carrier::private()?;
    let url = carrier.url();
    let mut stack = Stack::of_suite_on(repo, "rabbitmq", Platform::Workerd, carrier)?;
    stack.start_broker()?;
    stack.kill_broker()?;
    stack.start_broker()?;
    let broker = [("CODECRAFTER_TEST_AMQP_URL", url.as_str())];
    test(
        repo,
        work,
        &["--test", "rabbitmq"],
        &["--include-ignored"],
        &broker,
    )
}

fn test(
    repo: &Repo,
    work: &Work,
    selection: &[&str],
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> Result<Report> {
    let mut command = repo.cargo(["test", "--locked", "--workspace", "--no-fail-fast"]);
    command.args(selection).arg("--").args(arguments);
    command.envs(settings.iter().copied());
    let (output, success) = work.output_and_success(&mut command)?;
    report(&output, success)
}

/// Adds up the lines `test result: …`, names the tests that failed, and passes on why others were
/// left out: lines `skipped NAME: WHY`.
fn report(output: &str, success: bool) -> Result<Report> {
    let mut report = Report::default();
    let mut ignored = 0;
    for line in output
        .lines()
        .filter_map(|line| line.strip_prefix("test result: "))
    {
        report.passed += count(line, "passed");
        report.failed += count(line, "failed");
        ignored += count(line, "ignored");
    }
    for line in output
        .lines()
        .filter(|line| line.starts_with("test ") && line.ends_with("FAILED"))
    {
        report.say(line);
    }
    for line in output.lines().filter(|line| line.starts_with("skipped ")) {
        report.skipped += 1;
        report.say(line);
    }
    let ignored = ignored.saturating_sub(report.skipped);
    if ignored > 0 {
        report.say(format!(
            "{ignored} ignored here, because they need a service"
        ));
    }
    ensure!(success || report.failed > 0, "cargo test failed");
    ensure!(report.passed + report.failed > 0, "cargo test ran no test");
    Ok(report)
}

/// The number before `word` in `ok. 12 passed; 0 failed; 3 ignored; …`.
fn count(line: &str, word: &str) -> usize {
    let mut words = line.split([' ', ';']).filter(|word| !word.is_empty());
    let mut before = None;
    words
        .find_map(|next| {
            let number = (next == word).then_some(before).flatten();
            before = next.parse().ok();
            number
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 3 tests
test a::b ... ok
test a::c ... FAILED
test a::d ... ignored, needs Docker

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.10s
";

    #[test]
    fn the_counts_of_all_test_programs_are_added_up() {
        let report = report(OUTPUT, false).expect("a report");
        assert_eq!((report.passed, report.failed, report.skipped), (13, 1, 0));
        assert!(report.note.contains("test a::c ... FAILED"));
    }

    #[test]
    fn what_a_test_program_leaves_out_is_skipped_with_its_reason() {
        let output = format!("skipped a::b: there is no swap\n\n{OUTPUT}");
        let report = report(&output, false).expect("a report");
        assert_eq!((report.passed, report.failed, report.skipped), (13, 1, 1));
        assert!(report.note.contains("skipped a::b: there is no swap"));
        assert!(!report.note.contains("ignored here"));
    }

    #[test]
    fn a_failure_without_a_failed_test_is_an_error() {
        assert!(report("error: could not compile", false).is_err());
        assert!(report("", true).is_err());
    }
}
