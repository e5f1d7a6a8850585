//! One program on this machine, without an edge or a queue: `executor-host run`. For an operator
//! who wants to know what this host makes of a program.

use std::io::Write;
use std::path::Path;

use codecrafter_shared::job::{
    Job, Outcome, OutputFiles, PROTOCOL_VERSION, RunLimits, RunSpec, Stream,
};
use codecrafter_shared::language::LanguageRow;
use codecrafter_shared::time::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::sandbox::{HostFault, Interaction, Progress, Sandbox};

/// Messages between the sandbox and the terminal.
const PROGRESS_MESSAGES: usize = 64;

/// The row whose main file ends as `file` does.
///
/// # Errors
/// If none does, or several do: which of them could be meant.
fn language_of<'a>(rows: &'a [LanguageRow], file: &Path) -> Result<&'a LanguageRow, String> {
    let ending = file.extension();
    let ends_so =
        |row: &&LanguageRow| ending.is_some() && Path::new(&row.main_file).extension() == ending;
    // Of the variants of a language the first is meant.
    rows.iter().find(ends_so).ok_or_else(|| {
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        format!(
            "{}: the name does not tell the language; say --language, one of {}",
            file.display(),
            ids.join(", ")
        )
    })
}

/// A job that nobody but this machine knows of.
#[must_use]
pub fn job(language: &str, code: String, run: RunSpec, limits: RunLimits) -> Job {
    Job {
        schema: PROTOCOL_VERSION,
        execution_id: clock::execution_id(),
        session_id: None,
        tenant: String::new(),
        language: language.to_owned(),
        code,
        files: Vec::new(),
        runs: vec![run],
        limits,
        interactive: None,
        report_token: String::new(),
        deadline: Timestamp::from_millis(i64::MAX),
        traceparent: None,
    }
}

/// Runs the job, and writes what compiler and program write while they do so. Output that cannot
/// be written any more, because its reader has gone, is dropped.
///
/// # Errors
/// [`HostFault`], when the host could not run it.
pub async fn run(
    sandbox: &dyn Sandbox,
    job: &Job,
    interaction: Option<Interaction>,
    cancel: CancellationToken,
    (stdout, stderr): (&mut dyn Write, &mut dyn Write),
) -> Result<Outcome, HostFault> {
    let (progress, mut told) = mpsc::channel(PROGRESS_MESSAGES);
    let show = async {
        while let Some(message) = told.recv().await {
            let Progress::Output(stream, bytes) = message else {
                continue;
            };
            let _ = match stream {
                Stream::Stdout => stdout.write_all(&bytes).and_then(|()| stdout.flush()),
                Stream::Stderr => stderr.write_all(&bytes).and_then(|()| stderr.flush()),
            };
        }
    };
    let run = sandbox.run_with(job, interaction, progress, cancel);
    tokio::join!(run, show).0
}

/// How it ended, in a line, and a second one where there is more to say.
#[must_use]
pub fn summary(outcome: &Outcome) -> String {
    let mut parts = vec![outcome.verdict.as_str().replace('_', " ")];
    if let Some(run) = outcome.deciding_run() {
        parts.extend(run.exit_code.map(|code| format!("exit code {code}")));
        parts.extend(run.signal.clone());
        let usage = &run.usage;
        parts.push(format!("{} ms CPU", usage.cpu_ms));
        parts.push(format!("{} ms", usage.wall_ms));
        let tenths = usage.peak_bytes.saturating_mul(10) >> 20;
        parts.push(format!("{}.{} MiB", tenths / 10, tenths % 10));
    }
    // It would only repeat an exit code.
    let says_more = outcome
        .deciding_run()
        .is_none_or(|run| run.exit_code.is_none());
    let message = outcome.message.iter().filter(|_| says_more);
    let message = message.map(|message| format!("\n{message}"));
    parts.join(", ") + &message.collect::<String>() + &files(outcome)
}

/// The files that the program has left, in a line, which `--json` gives whole.
fn files(outcome: &Outcome) -> String {
    let Some(OutputFiles {
        files,
        left_out_count,
        ..
    }) = outcome.deciding_run().map(|run| &run.files)
    else {
        return String::new();
    };
    let named = files
        .iter()
        .map(|file| format!("{} ({} bytes)", file.name, file.bytes));
    let left_out = (*left_out_count > 0).then(|| format!("{left_out_count} not kept"));
    let all: Vec<_> = named.chain(left_out).collect();
    if all.is_empty() {
        return String::new();
    }
    format!("\nfiles: {}", all.join(", "))
}

/// What the command exits with: the program's own exit code if it came to one, else 1.
#[must_use]
pub fn exit_code(outcome: &Outcome) -> u8 {
    use codecrafter_shared::job::Verdict::{Accepted, RuntimeError};
    let code = outcome.deciding_run().and_then(|run| run.exit_code);
    match (outcome.verdict, code) {
        (Accepted, _) => 0,
        (RuntimeError, Some(code)) => u8::try_from(code).unwrap_or(1),
        _ => 1,
    }
}

/// The language that was named, or else that of the file's name.
///
/// # Errors
/// If there is no such language, which there are.
pub fn choose<'a>(
    rows: &'a [LanguageRow],
    named: Option<&str>,
    file: &Path,
) -> Result<&'a LanguageRow, String> {
    let Some(named) = named else {
        return language_of(rows, file);
    };
    let ids = || rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>();
    rows.iter()
        .find(|row| row.id == named)
        .ok_or_else(|| format!("--language {named}: one of {}", ids().join(", ")))
}

#[cfg(test)]
mod tests {
    use codecrafter_shared::job::{
        Captured, LeftOutReason, OutputFile, RunOutcome, Usage, Verdict,
    };

    use super::*;

    fn rows() -> Vec<LanguageRow> {
        crate::languages::load(None).unwrap()
    }

    #[test]
    fn the_name_of_a_file_tells_its_language_or_what_to_say_instead() {
        let rows = rows();
        for (file, id) in [
            ("a/b.py", "python"),
            ("x.cpp", "cpp"),
            ("Main.java", "java"),
        ] {
            assert_eq!(language_of(&rows, Path::new(file)).unwrap().id, id);
        }
        for file in ["README", "x.cob"] {
            let refused = language_of(&rows, Path::new(file)).unwrap_err();
            assert!(
                refused.contains("--language") && refused.contains("python"),
                "{refused}"
            );
        }
        assert_eq!(
            choose(&rows, Some("go"), Path::new("x.py")).unwrap().id,
            "go"
        );
        assert!(choose(&rows, Some("cobol"), Path::new("x.py")).is_err());
    }

    fn ended(verdict: Verdict, exit_code: Option<i32>) -> Outcome {
        let run = RunOutcome {
            verdict,
            exit_code,
            signal: None,
            stdout: Captured::default(),
            stderr: Captured::default(),
            files: OutputFiles::default(),
            usage: Usage {
                cpu_ms: 15,
                wall_ms: 23,
                peak_bytes: (3 << 20) + (1 << 19),
                ..Default::default()
            },
            also: Vec::new(),
            cached: false,
        };
        Outcome {
            verdict,
            message: None,
            compile: None,
            runs: vec![run],
        }
    }

    #[test]
    fn files_are_told_with_their_size_and_the_others_by_number() {
        let mut outcome = ended(Verdict::Accepted, Some(0));
        assert!(!summary(&outcome).contains("files"));
        let left = &mut outcome.runs[0].files;
        left.files.push(OutputFile {
            name: "plot.png".into(),
            bytes: 12,
            data: String::new(),
        });
        left.leave_out("data.db".into(), LeftOutReason::Type);
        let told = summary(&outcome);
        assert!(
            told.ends_with("\nfiles: plot.png (12 bytes), 1 not kept"),
            "{told}"
        );
    }

    #[test]
    fn the_exit_code_is_the_programs_where_it_has_one() {
        assert_eq!(exit_code(&ended(Verdict::Accepted, Some(0))), 0);
        assert_eq!(exit_code(&ended(Verdict::RuntimeError, Some(3))), 3);
        assert_eq!(exit_code(&ended(Verdict::RuntimeError, None)), 1);
        assert_eq!(exit_code(&ended(Verdict::TimeLimit, None)), 1);
        let refused = Outcome::without_run(Verdict::CompileError, "no".to_owned());
        assert_eq!(exit_code(&refused), 1);
    }

    #[test]
    fn the_summary_says_how_it_ended_and_what_it_took() {
        let summary = summary(&ended(Verdict::RuntimeError, Some(3)));
        assert_eq!(
            summary,
            "runtime error, exit code 3, 15 ms CPU, 23 ms, 3.5 MiB"
        );
    }
}
