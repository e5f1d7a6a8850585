//! An execution's row and outcome as its owner sees them. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codecrafter_shared::api::{Execution, ExecutionFile, ExecutionStatus};
use codecrafter_shared::interaction::Interactive;
use codecrafter_shared::job::{
    Captured, Encoding, MediaType, Outcome, OutputFile, RunOutcome, Verdict,
};

use crate::error::Refusal;
use crate::ports::Row;

/// A row of `execution`, with its outcome if it has ended and the outcome is still kept.
///
/// # Errors
/// Only if the row is broken.
pub fn execution(row: &Row, outcome: Option<Outcome>) -> Result<Execution, Refusal> {
    let limits: String = row.get("limits")?;
    let mut execution = Execution {
        id: row.get("id")?,
        session_id: row.get("session_id")?,
        user_id: row.get("user_id")?,
        language: row.get("language")?,
        status: row.parse("status", ExecutionStatus::from_name)?,
        limits: serde_json::from_str(&limits).map_err(Refusal::internal)?,
        interactive: interactive_of(row)?,
        verdict: row
            .get::<Option<String>>("verdict")?
            .and_then(|verdict| Verdict::from_name(&verdict)),
        message: None,
        stdout: None,
        stdout_tail: None,
        stderr: None,
        stderr_tail: None,
        stdout_bytes: None,
        stderr_bytes: None,
        encoding: Encoding::Utf8,
        truncated: false,
        compile_output: None,
        result_expired: false,
        exit_code: row.get("exit_code")?,
        signal: None,
        also: Vec::new(),
        files: Vec::new(),
        files_left_out: Vec::new(),
        files_left_out_count: None,
        cpu_ms: row.get("cpu_ms")?,
        wall_ms: row.get("wall_ms")?,
        peak_bytes: row.get("peak_bytes")?,
        attempt_id: row.get("attempt_id")?,
        attempts: row.get("attempts")?,
        duplicates: row.get("duplicates")?,
        trace_id: row.get("trace_id")?,
        created_at: row.get("created_at")?,
        started_at: row.get("started_at")?,
        cancel_requested_at: row.get("cancel_requested_at")?,
        finished_at: row.get("finished_at")?,
    };
    match outcome {
        Some(outcome) => show(&mut execution, outcome),
        None => execution.result_expired = execution.finished_at.is_some(),
    }
    Ok(execution)
}

/// What the row of an execution says of its input.
///
/// # Errors
/// Only if the row is broken.
pub fn interactive_of(row: &Row) -> Result<Option<Interactive>, Refusal> {
    let interactive: Option<String> = row.get("interactive")?;
    let read = |json: String| serde_json::from_str(&json).map_err(Refusal::internal);
    interactive.map(read).transpose()
}

/// The run that is shown. An execution has one; a judge's job with many is shown by other routes.
#[must_use]
pub fn shown_run(outcome: &Outcome) -> Option<&RunOutcome> {
    outcome.runs.first()
}

fn show(execution: &mut Execution, outcome: Outcome) {
    execution.message = outcome.message;
    if let Some(compile) = outcome.compile {
        execution.compile_output = Some(lossy(&compile.stdout) + &lossy(&compile.stderr));
    }
    // [`shown_run`], taken instead of copied: it may be long.
    let Some(run) = outcome.runs.into_iter().next() else {
        return;
    };
    let base64 = [&run.stdout, &run.stderr]
        .iter()
        .any(|c| c.encoding == Encoding::Base64);
    execution.encoding = if base64 {
        Encoding::Base64
    } else {
        Encoding::Utf8
    };
    execution.truncated = run.stdout.truncated || run.stderr.truncated;
    execution.stdout_bytes = Some(run.stdout.total_bytes);
    execution.stderr_bytes = Some(run.stderr.total_bytes);
    let (stdout, stdout_tail) = written(run.stdout, execution.encoding);
    (execution.stdout, execution.stdout_tail) = (Some(stdout), stdout_tail);
    let (stderr, stderr_tail) = written(run.stderr, execution.encoding);
    (execution.stderr, execution.stderr_tail) = (Some(stderr), stderr_tail);
    execution.exit_code = run.exit_code;
    execution.signal = run.signal;
    execution.also = run.also;
    let left_out = run.files.left_out_count;
    execution.files = run.files.files.into_iter().filter_map(file).collect();
    execution.files_left_out = run.files.left_out;
    execution.files_left_out_count = (left_out > 0).then_some(left_out);
    execution.cpu_ms = Some(run.usage.cpu_ms);
    execution.wall_ms = Some(run.usage.wall_ms);
    execution.peak_bytes = Some(run.usage.peak_bytes);
}

fn file(OutputFile { name, bytes, .. }: OutputFile) -> Option<ExecutionFile> {
    let media_type = MediaType::of_name(&name)?;
    Some(ExecutionFile {
        name,
        media_type,
        bytes,
    })
}

/// Beginning and end of a stream, in the encoding of both streams.
fn written(captured: Captured, encoding: Encoding) -> (String, Option<String>) {
    if captured.encoding == encoding {
        (captured.data, captured.tail)
    } else {
        let encode = |text: String| STANDARD.encode(text.as_bytes());
        (encode(captured.data), captured.tail.map(encode))
    }
}

/// What the compiler wrote, with a mark where something was dropped.
fn lossy(captured: &Captured) -> String {
    let text = |data: &String| match captured.encoding {
        Encoding::Utf8 => data.clone(),
        Encoding::Base64 => STANDARD
            .decode(data)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default(),
    };
    match &captured.tail {
        Some(tail) => text(&captured.data) + "\n[…]\n" + &text(tail),
        None => text(&captured.data),
    }
}
