//! The Test Anything Protocol, as Node writes it about its tests.

use std::collections::BTreeSet;
use std::mem;

use anyhow::{Result, ensure};

use crate::report::Report;

/// Of what Node tells about a test that failed, so many lines are shown.
const REASON_LINES: usize = 30;

/// How the line of a test that failed begins.
const NOT_OK: &str = "not ok ";

/// What came of test files.
pub struct Read {
    pub report: Report,
    /// The files that have a test that failed.
    pub failed_in: BTreeSet<String>,
}

impl Read {
    /// What came of it all, once the files with a failure have been run again. What passes then
    /// has not passed: it is unsteady.
    pub fn tried_again(self, again: Report) -> Report {
        let mut report = self.report;
        if again.failed == 0 {
            report.unsteady = mem::take(&mut report.failed);
            report.note = report.note.replace(NOT_OK, "unsteady, failed at first: ");
        } else {
            report.say("tried again:");
            report.say(again.note);
        }
        report
    }
}

/// Reads what Node has written: its totals at the end, the names of tests that failed or were
/// skipped, and why they failed.
pub fn read(output: &str, success: bool) -> Result<Read> {
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
    let mut failed_in = BTreeSet::new();
    let mut lines = output.lines();
    while let Some(line) = lines.next() {
        let line = line.trim_start();
        if line.contains(" # SKIP") {
            report.say(line);
        } else if line.starts_with(NOT_OK) {
            report.say(line);
            let reason = lines.by_ref().take_while(|line| line.trim() != "...");
            let reason: Vec<_> = reason.filter(|line| line.trim() != "---").collect();
            failed_in.extend(reason.iter().find_map(|line| file_of(line)));
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
    Ok(Read { report, failed_in })
}

/// The file in a line `location: 'FILE:LINE:COLUMN'`.
fn file_of(line: &str) -> Option<String> {
    let place = line
        .trim()
        .strip_prefix("location: '")?
        .strip_suffix('\'')?;
    let mut parts = place.rsplitn(3, ':');
    parts.nth(2).map(str::to_owned)
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
      location: '/tests/b.test.mjs:7:1'
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
        let Read { report, failed_in } = read(OUTPUT, false).expect("a report");
        assert_eq!((report.passed, report.failed, report.skipped), (1, 1, 1));
        let note = [
            "not ok 1 - of b",
            "      location: '/tests/b.test.mjs:7:1'",
            "      error: 'one is not two'",
            "not ok 2 - b",
            "ok 3 - c # SKIP needs a browser",
        ];
        assert_eq!(report.note, note.join("\n"));
        assert_eq!(Vec::from_iter(failed_in), ["/tests/b.test.mjs"]);
    }

    #[test]
    fn what_passes_at_the_second_try_is_unsteady_and_not_passed() {
        let first = read(OUTPUT, false).expect("a report");
        let again = read("# pass 2\n# fail 0\n", true).expect("a report");
        let report = first.tried_again(again.report);
        assert_eq!(report.counts(), "1 passed, 0 failed, 1 unsteady, 1 skipped");
        assert!(
            report
                .note
                .starts_with("unsteady, failed at first: 1 - of b")
        );
        assert!(report.note.contains("one is not two"));
    }

    #[test]
    fn what_fails_at_the_second_try_too_has_failed_with_both_reasons() {
        let again = OUTPUT.replace("one is not two", "two is not three");
        let again = read(&again, false).expect("a report").report;
        let report = read(OUTPUT, false).expect("a report").tried_again(again);
        assert_eq!(report.counts(), "1 passed, 1 failed, 1 skipped");
        assert!(report.note.starts_with("not ok 1 - of b"));
        assert!(report.note.contains("one is not two") && report.note.contains("two is not three"));
    }

    #[test]
    fn a_run_that_ends_early_is_an_error() {
        assert!(read("TAP version 13\n", false).is_err());
        assert!(read("TAP version 13\n", true).is_err());
    }
}
