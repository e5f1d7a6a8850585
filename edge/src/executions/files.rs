//! Files that programs leave: checked when they arrive, kept beside the result for a while, and
//! given to whoever may see the execution.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::ExecutionId;
use codecrafter_shared::job::files::is_file_name;
use codecrafter_shared::job::{LeftOutReason, MediaType, Outcome, OutputFile, OutputFiles};
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
};

use super::calls::GetFile;
use super::retention::Kept;
use super::routes::execution_id;
use super::store::{readable, result};
use super::view::shown_run;
use crate::accounts::store::authorize;
use crate::directory::Directory;
use crate::directory::parts::{self, Kind};
use crate::error::Refusal;
use crate::front::Edge;
use crate::front::extract::Path;
use crate::ports::Tx;
use crate::token::Caller;

/// Holds what an executor says to the rules of files: what breaks them is left out.
pub fn check(outcome: &mut Outcome) {
    for run in &mut outcome.runs {
        let given = std::mem::take(&mut run.files);
        let mut kept = OutputFiles {
            files: Vec::new(),
            left_out: given.left_out,
            left_out_count: given.left_out_count,
        };
        kept.left_out.truncate(limits::OUTPUT_FILES_NAMED_MAX);
        let (mut names, mut bytes) = (BTreeSet::new(), 0_u32);
        for file in given.files {
            let all = bytes.saturating_add(file.bytes);
            let content = STANDARD.decode(&file.data);
            let is_whole =
                content.is_ok_and(|content| content.len() as u64 == u64::from(file.bytes));
            let keep = is_file_name(&file.name)
                && MediaType::of_name(&file.name).is_some()
                && is_whole
                && file.bytes <= limits::OUTPUT_FILE_BYTES_MAX
                && all <= limits::OUTPUT_FILES_BYTES_MAX
                && kept.files.len() < limits::OUTPUT_FILES_MAX
                && names.insert(file.name.clone());
            if keep {
                bytes = all;
                kept.files.push(file);
            } else {
                let name = file.name.chars().filter(|c| !c.is_control()).take(60);
                kept.leave_out(name.collect(), LeftOutReason::Unreadable);
            }
        }
        run.files = kept;
    }
}

/// The outcome without what is in its files, for where that is not needed.
#[must_use]
pub fn without_content(outcome: &Outcome) -> Outcome {
    let mut outcome = outcome.clone();
    let files = outcome.runs.iter_mut().flat_map(|run| &mut run.files.files);
    files.for_each(|file| file.data = String::new());
    outcome
}

/// The files of the run that is shown.
fn shown(outcome: &Outcome) -> &[OutputFile] {
    shown_run(outcome).map_or(&[], |run| &run.files.files)
}

/// Keeps the files of an outcome.
///
/// # Errors
/// Those of the database.
pub async fn write(
    tx: &Tx,
    tenant: &str,
    id: ExecutionId,
    outcome: &Outcome,
) -> Result<(), Refusal> {
    for file in shown(outcome) {
        let content = STANDARD.decode(&file.data).map_err(Refusal::internal)?;
        parts::write(tx, tenant, Kind::File, &place(id, &file.name), &content).await?;
    }
    Ok(())
}

/// Where a file is among the parts: sorted by when its execution was asked for.
fn place(id: ExecutionId, name: &str) -> String {
    format!("{id}/{name}")
}

/// [`GetFile`]: what is in it, in base64.
///
/// # Errors
/// [`ErrorCode::ExecutionNotFound`], [`ErrorCode::FileNotFound`].
pub async fn get(directory: &Directory, call: GetFile) -> Result<String, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let call = &call;
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let (row, _) = readable(&tx, tenant, call.execution_id, call.caller).await?;
            let not_found = || Refusal::new(ErrorCode::FileNotFound);
            let kept = Kept::at(&directory.config, now);
            let outcome = result(&tx, tenant, &row, kept).await?;
            let outcome = outcome.ok_or_else(not_found)?;
            let named = |file: &&OutputFile| file.name == call.name;
            let file = shown(&outcome).iter().find(named).ok_or_else(not_found)?;
            let place = place(call.execution_id, &file.name);
            let content = parts::read(&tx, tenant, Kind::File, &place).await?;
            let asked_for: Timestamp = row.get("created_at")?;
            if !kept.has_files(asked_for) || content.len() as u64 != u64::from(file.bytes) {
                let detail = "files are kept for a week";
                return Err(Refusal::with_detail(ErrorCode::FileNotFound, detail));
            }
            Ok(STANDARD.encode(content))
        })
        .await
}

/// What keeps a file from doing anything here, whatever is in it: it is saved and not shown, and if
/// it is shown all the same, it is alone with itself.
const INERT: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'";
const SAME_SITE_ONLY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// `GET /executions/{id}/files/{name}`: for everybody who may see the execution.
pub async fn serve(
    State(edge): State<Edge>,
    caller: Caller,
    Path((id, name)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let execution_id = execution_id(&id)?;
    let kind = MediaType::of_name(&name).filter(|_| is_file_name(&name));
    let kind = kind.ok_or_else(|| Refusal::new(ErrorCode::FileNotFound))?;
    // Of such characters only that no header or quotation can be broken with.
    let disposition = format!("attachment; filename=\"{name}\"");
    let call = GetFile {
        caller,
        execution_id,
        name,
    };
    let content = edge.directory(&call).await?;
    let content = STANDARD.decode(content).map_err(Refusal::internal)?;
    let headers = [
        (CONTENT_TYPE, kind.content_type()),
        (CONTENT_DISPOSITION, &disposition),
        (CONTENT_SECURITY_POLICY, INERT),
        (SAME_SITE_ONLY, "same-origin"),
        (CACHE_CONTROL, "private, no-store"),
    ];
    Ok((headers, content).into_response())
}

#[cfg(test)]
mod tests {
    use codecrafter_shared::job::{Captured, RunOutcome, Usage, Verdict};

    use super::*;

    fn outcome(files: Vec<OutputFile>) -> Outcome {
        let files = OutputFiles {
            files,
            ..OutputFiles::default()
        };
        let run = RunOutcome {
            verdict: Verdict::Accepted,
            also: Vec::new(),
            exit_code: Some(0),
            signal: None,
            stdout: Captured::default(),
            stderr: Captured::default(),
            files,
            usage: Usage::default(),
            cached: false,
        };
        Outcome {
            verdict: Verdict::Accepted,
            message: None,
            compile: None,
            runs: vec![run],
        }
    }

    fn file(name: &str, bytes: usize) -> OutputFile {
        OutputFile {
            name: name.into(),
            bytes: bytes as u32,
            data: STANDARD.encode(vec![b'x'; bytes]),
        }
    }

    fn kept(files: Vec<OutputFile>) -> Vec<String> {
        let all = files.len();
        let mut outcome = outcome(files);
        check(&mut outcome);
        let files = &outcome.runs[0].files;
        assert_eq!(files.files.len() + files.left_out_count as usize, all);
        files.files.iter().map(|file| file.name.clone()).collect()
    }

    #[test]
    fn what_breaks_a_rule_is_left_out_and_counted() {
        assert_eq!(
            kept(vec![file("a.png", 3), file("b.txt", 0)]),
            ["a.png", "b.txt"]
        );
        for bad in ["../a.png", ".a.png", "a.html", "a\r\nb.png", "a\".png", ""] {
            assert!(kept(vec![file(bad, 1)]).is_empty(), "{bad:?}");
        }
        let mut lies = file("a.png", 3);
        lies.bytes = 2;
        assert!(kept(vec![lies.clone()]).is_empty());
        lies.data = "no base64!".into();
        assert!(kept(vec![lies]).is_empty());
        assert_eq!(kept(vec![file("a.png", 1), file("a.png", 2)]).len(), 1);
        let most = limits::OUTPUT_FILE_BYTES_MAX as usize;
        assert!(kept(vec![file("a.png", most + 1)]).is_empty());
        assert_eq!(
            kept(vec![
                file("a.png", most),
                file("b.png", most),
                file("c.png", 1)
            ])
            .len(),
            2
        );
        let many = (0..20)
            .map(|number| file(&format!("{number}.txt"), 1))
            .collect();
        assert_eq!(kept(many).len(), limits::OUTPUT_FILES_MAX);
    }

    #[test]
    fn without_content_there_are_names_and_sizes() {
        let light = without_content(&outcome(vec![file("a.png", 3)]));
        let files = &light.runs[0].files.files;
        assert_eq!((files[0].bytes, &*files[0].data), (3, ""));
    }
}
