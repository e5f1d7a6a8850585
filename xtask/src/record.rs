//! Records of long runs, in `docs/evidence/`: what ran, on what, and what came of it. Written only
//! where that was asked for, because a record is committed and read by others.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::repo::Repo;
use crate::report::Report;
use crate::work::answer;

/// What other long runs have written is no change of what ran.
const EXCEPT_RECORDS: &str = ":!docs/evidence";

/// Writes the record of a long run, in place of the one before, and returns where it is.
///
/// # Errors
///
/// When it cannot be written. A run without evidence is an error too: somebody wanted some.
pub fn write(repo: &Repo, step: &str, took: Duration, report: &Report) -> Result<PathBuf> {
    let evidence = report.evidence.as_ref();
    let evidence = evidence.with_context(|| format!("{step} says nothing to be recorded"))?;
    let file = repo.path(format!("docs/evidence/{}.md", file_name(step)));
    let mut facts = surroundings(repo);
    facts.push(("took".into(), format!("{} s", took.as_secs())));
    let cases = format!(
        "{} passed, {} failed, {} skipped",
        report.passed, report.failed, report.skipped
    );
    facts.push(("cases".into(), cases));
    facts.extend(evidence.facts().cloned());
    let folder = file.parent().context("a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(&file, written(step, &facts, &report.note))
        .with_context(|| file.display().to_string())?;
    Ok(file)
}

fn written(step: &str, facts: &[(String, String)], note: &str) -> String {
    let mut text = format!(
        "# {step}\n\nWritten by `cargo xtask test --only '{step}' --record`; run again, it replaces this.\n\n\
         | | |\n|---|---|\n"
    );
    for (what, value) in facts {
        let value = value.replace('|', "\\|").replace('\n', "<br>");
        let _ = writeln!(text, "| {what} | {value} |");
    }
    if !note.is_empty() {
        let _ = write!(text, "\n```text\n{note}\n```\n");
    }
    text
}

/// `faults, long` is in `faults-long.md`.
fn file_name(step: &str) -> String {
    let words = step.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("-")
}

/// When, of which sources and on which machine.
fn surroundings(repo: &Repo) -> Vec<(String, String)> {
    let said = |command: &mut Command| answer(command).unwrap_or_else(|| "?".to_owned());
    let git = |arguments: &[&str]| said(repo.command("git").args(arguments));
    let mut commit = git(&["rev-parse", "HEAD"]);
    let changes = ["status", "--porcelain", "--", ".", EXCEPT_RECORDS];
    if answer(repo.command("git").args(changes)).is_some_and(|s| !s.is_empty()) {
        commit.push_str(", and changes that are not committed");
    }
    let line_of = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or_else(|| "?".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let machine = format!(
        "{cores} × {}, {} of memory, Linux {}",
        line_of("/proc/cpuinfo", "model name"),
        line_of("/proc/meminfo", "MemTotal"),
        said(Command::new("uname").arg("-r")),
    );
    vec![
        (
            "when".into(),
            said(Command::new("date").args(["-u", "+%FT%TZ"])),
        ),
        ("commit".into(), commit),
        ("machine".into(), machine),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_table_and_what_was_said() {
        let facts = [("seed".to_owned(), "7 | 8".to_owned())];
        let text = written("faults, long", &facts, "one line");
        assert!(text.starts_with("# faults, long\n"), "{text}");
        assert!(text.contains("| seed | 7 \\| 8 |\n"), "{text}");
        assert!(text.ends_with("```text\none line\n```\n"), "{text}");
        assert_eq!(file_name("faults, long"), "faults-long");
    }
}
