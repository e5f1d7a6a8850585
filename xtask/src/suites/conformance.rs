//! The same promises on both platforms: those of the ports, and those of the HTTP API.
//!
//! Both suites end in a matrix, a row for each promise and a column for each platform. A promise
//! that a platform does not even report counts as broken there.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::artifacts::test_program;
use crate::http::expect;
use crate::repo::Repo;
use crate::report::Report;
use crate::stack::{Platform, Stack};
use crate::work::Work;

const PLATFORMS: [Platform; 2] = [Platform::Workerd, Platform::Spin];

/// The contract of the ports, run inside of each platform.
pub fn contract(repo: &Repo) -> Result<Report> {
    let mut matrix = Matrix::default();
    for platform in PLATFORMS {
        let results = || {
            let mut stack = Stack::of_suite(repo, "contract", platform)?;
            stack.start_edge()?;
            let answer = expect(200, stack.client().get("/internal/contract")?)?;
            let results = answer.as_array().context("no list of results")?;
            results
                .iter()
                .map(|result| case(result, |result| broken(&result["broken"])))
                .collect()
        };
        matrix.column(platform.name(), results());
    }
    Ok(matrix.report())
}

/// The conformance suite of the HTTP API, against each platform. It plays the executors itself.
pub fn conformance(repo: &Repo, work: &Work) -> Result<Report> {
    let mut matrix = Matrix::default();
    for platform in PLATFORMS {
        let results = || {
            let mut stack = Stack::of_suite(repo, "conformance", platform)?.behind_a_proxy()?;
            let collector = stack.set_collector()?;
            stack.start_edge()?;
            let mut program = stack.command(test_program(repo, "conformance"))?;
            program.args(["--url", &stack.url(), "--json"]);
            program.args(["--collector", &collector]);
            let (lines, success) = work.output_and_success(&mut program)?;
            let results = lines
                .lines()
                .map(|line| {
                    let result = serde_json::from_str(line).with_context(|| line.to_owned())?;
                    case(&result, |result| {
                        (result["ok"] != true).then(|| text(&result["why"]))
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            let failed = results.iter().any(|case| case.why.is_some());
            anyhow::ensure!(success || failed, "the suite failed without a failed case");
            Ok(results)
        };
        matrix.column(platform.name(), results());
    }
    Ok(matrix.report())
}

/// One promise, and why it is broken.
struct Case {
    name: String,
    why: Option<String>,
}

fn case(result: &Value, why: impl Fn(&Value) -> Option<String>) -> Result<Case> {
    let name = result["name"]
        .as_str()
        .with_context(|| format!("a case without a name: {result}"))?;
    Ok(Case {
        name: name.to_owned(),
        why: why(result),
    })
}

fn broken(why: &Value) -> Option<String> {
    (!why.is_null()).then(|| text(why))
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// By promise, why it is broken.
type Column = BTreeMap<String, Option<String>>;

/// Promises by platforms.
#[derive(Default)]
struct Matrix {
    columns: Vec<(&'static str, Result<Column>)>,
}

impl Matrix {
    fn column(&mut self, platform: &'static str, cases: Result<Vec<Case>>) {
        let cases = cases.map(|cases| {
            cases
                .into_iter()
                .map(|case| (case.name, case.why))
                .collect()
        });
        self.columns.push((platform, cases));
    }

    /// Counts every cell, and draws the matrix.
    fn report(self) -> Report {
        let mut report = Report::default();
        let mut names: Vec<&String> = self
            .columns
            .iter()
            .flat_map(|(_, cases)| cases.iter().flat_map(BTreeMap::keys))
            .collect();
        names.sort();
        names.dedup();
        let width = names
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0);
        let heads: String = self
            .columns
            .iter()
            .map(|(name, _)| format!("  {name:<8}"))
            .collect();
        let mut rows = vec![format!("{:width$}{heads}", "").trim_end().to_owned()];
        for name in &names {
            let mut row = format!("{name:width$}");
            for (platform, cases) in &self.columns {
                let (word, result) = match cases.as_ref().map(|cases| cases.get(*name)) {
                    Ok(Some(None)) => ("ok", Ok(())),
                    Ok(Some(Some(why))) => ("FAILED", Err(anyhow::anyhow!("{why}"))),
                    Ok(None) => ("MISSING", Err(anyhow::anyhow!("not reported"))),
                    Err(_) => ("-", Err(anyhow::anyhow!("not run"))),
                };
                row.push_str(&format!("  {word:<8}"));
                report.case(&format!("{name} on {platform}"), result);
            }
            rows.push(row.trim_end().to_owned());
        }
        for (platform, cases) in self.columns {
            match cases {
                Ok(cases) if cases.is_empty() => {
                    report.case(platform, Err(anyhow::anyhow!("reported no case")));
                }
                Ok(_) => {}
                Err(why) => report.case(platform, Err(why)),
            }
        }
        let reasons = std::mem::take(&mut report.note);
        report.say(rows.join("\n"));
        if !reasons.is_empty() {
            report.say(reasons);
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(cases: &[(&str, Option<&str>)]) -> Result<Vec<Case>> {
        let case = |(name, why): &(&str, Option<&str>)| Case {
            name: (*name).to_owned(),
            why: why.map(str::to_owned),
        };
        Ok(cases.iter().map(case).collect())
    }

    #[test]
    fn a_promise_that_one_platform_does_not_report_is_a_failure_there() {
        let mut matrix = Matrix::default();
        matrix.column("workerd", cases(&[("keeps", None), ("rolls back", None)]));
        matrix.column("spin", cases(&[("keeps", None)]));
        let report = matrix.report();
        assert_eq!((report.passed, report.failed), (3, 1));
        assert!(
            report.note.contains("rolls back  ok        MISSING"),
            "{}",
            report.note
        );
    }

    #[test]
    fn a_broken_promise_is_a_failure_with_its_reason() {
        let mut matrix = Matrix::default();
        matrix.column("workerd", cases(&[("keeps", Some("lost a row"))]));
        let report = matrix.report();
        assert_eq!((report.passed, report.failed), (0, 1));
        assert!(
            report.note.contains("keeps on workerd: lost a row"),
            "{}",
            report.note
        );
    }

    #[test]
    fn a_platform_that_did_not_run_or_reports_nothing_is_a_failure() {
        let mut matrix = Matrix::default();
        matrix.column("workerd", Err(anyhow::anyhow!("did not start")));
        matrix.column("spin", cases(&[]));
        let report = matrix.report();
        assert_eq!((report.passed, report.failed), (0, 2));
        assert!(report.note.contains("did not start"), "{}", report.note);
    }
}
