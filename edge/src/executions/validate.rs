//! What may be asked to run, and to be listed. Pure.

use codecrafter_shared::api::{CreateExecution, ExecutionStatus, RequestedLimits, SessionContent};
use codecrafter_shared::job::{RunLimits, SourceFile, Verdict};
use codecrafter_shared::limits;

use super::calls::Filter;
use super::routes::ListQuery;
use crate::error::Refusal;
use crate::front::validate::Fields;

/// Checks a request, field by field, and gives the limits that hold.
pub fn create(fields: &mut Fields, request: &CreateExecution) -> RunLimits {
    let CreateExecution {
        session_id,
        language,
        code,
        files,
        stdin,
        args,
        expected_output,
        limits: wanted,
    } = request;
    if session_id.is_none() {
        if language.is_none() {
            fields.wrong("language", "is needed, unless sessionId says it");
        }
        if code.is_none() {
            fields.wrong("code", "is needed, unless sessionId says where it is");
        }
    }
    if let Some(language) = language {
        fields.language("language", language);
    }
    let code = code.as_deref().unwrap_or_default();
    fields.source("code", code);
    fields.files("files", code.len(), files);
    for (field, text) in [("stdin", stdin), ("expectedOutput", expected_output)] {
        let bytes = text.as_ref().map_or(0, String::len);
        if bytes > limits::STDIN_BYTES_MAX {
            let most = limits::STDIN_BYTES_MAX;
            fields.wrong(field, format!("is at most {most} bytes"));
        }
    }
    if args.len() > limits::ARGS_MAX {
        fields.wrong("args", format!("is at most {} arguments", limits::ARGS_MAX));
    }
    for (index, arg) in args.iter().enumerate().take(limits::ARGS_MAX) {
        if arg.len() > limits::ARG_BYTES_MAX || arg.contains('\0') {
            let max = limits::ARG_BYTES_MAX;
            fields.wrong(
                &format!("args[{index}]"),
                format!("is at most {max} bytes without NUL"),
            );
        }
    }
    run_limits(fields, wanted.as_ref())
}

/// The main file and the further files of a run of what is in a room, of which the files of the
/// request take the place. Whoever edits there writes what they like, so it is checked like a
/// request.
///
/// # Errors
/// [`ErrorCode::ValidationFailed`](codecrafter_shared::error::ErrorCode::ValidationFailed).
pub fn with_live(
    live: SessionContent,
    mut files: Vec<SourceFile>,
) -> Result<(String, Vec<SourceFile>), Refusal> {
    let mut missing = live.files;
    missing.retain(|file| files.iter().all(|named| named.path != file.path));
    files.extend(missing);
    let mut fields = Fields::default();
    fields.source("content", &live.content);
    fields.files("files", live.content.len(), &files);
    fields.check().map_err(|mut refusal| {
        let detail = "what the session holds, with the files of the request, cannot be run";
        refusal.detail = Some(detail.into());
        refusal
    })?;
    Ok((live.content, files))
}

fn run_limits(fields: &mut Fields, wanted: Option<&RequestedLimits>) -> RunLimits {
    let mut granted = RunLimits::default();
    let Some(wanted) = wanted else { return granted };
    let RequestedLimits {
        cpu_ms,
        wall_ms,
        memory_bytes,
        output_bytes,
        processes,
    } = *wanted;
    if let Some(cpu_ms) = cpu_ms {
        fields.within("limits.cpuMs", cpu_ms, &limits::CPU_MS);
        granted.cpu_ms = cpu_ms;
    }
    if let Some(wall_ms) = wall_ms {
        fields.within("limits.wallMs", wall_ms, &limits::WALL_MS);
        granted.wall_ms = wall_ms;
    }
    if let Some(memory_bytes) = memory_bytes {
        fields.within("limits.memoryBytes", memory_bytes, &limits::MEMORY_BYTES);
        granted.memory_bytes = memory_bytes;
    }
    if let Some(output_bytes) = output_bytes {
        fields.within("limits.outputBytes", output_bytes, &limits::OUTPUT_BYTES);
        granted.output_bytes = output_bytes;
    }
    if let Some(processes) = processes {
        fields.within("limits.processes", processes, &limits::PROCESSES);
        granted.processes = processes;
    }
    granted
}

/// Checks which executions are to be listed.
pub fn filter(fields: &mut Fields, query: ListQuery) -> Filter {
    let ListQuery {
        page,
        limit,
        status,
        verdict,
        language,
    } = query;
    if let Some(language) = &language {
        fields.language("language", language);
    }
    let page = page.as_deref();
    let (default, max) = (limits::PAGE_ITEMS_DEFAULT, limits::PAGE_ITEMS_MAX);
    Filter {
        page: number(fields, "page", page, 1, limits::PAGE_MAX),
        limit: number(fields, "limit", limit.as_deref(), default, max),
        status: status.and_then(|name| {
            let status = ExecutionStatus::from_name(&name);
            if status.is_none() {
                fields.wrong("status", "is one of queued, running, finished");
            }
            status
        }),
        verdict: verdict.and_then(|name| {
            let verdict = Verdict::from_name(&name);
            if verdict.is_none() {
                let names: Vec<&str> = Verdict::ALL.iter().map(|v| v.as_str()).collect();
                fields.wrong("verdict", format!("is one of {}", names.join(", ")));
            }
            verdict
        }),
        language,
    }
}

fn number(fields: &mut Fields, name: &str, given: Option<&str>, default: u32, max: u32) -> u32 {
    let Some(given) = given else { return default };
    let number = given.parse().unwrap_or(0);
    fields.within(name, number, &(1..=max));
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(request: CreateExecution) -> Vec<String> {
        let mut fields = Fields::default();
        create(&mut fields, &request);
        fields.check().err().map_or_else(Vec::new, |refusal| {
            refusal
                .errors
                .into_iter()
                .map(|error| error.field)
                .collect()
        })
    }

    fn python(code: &str) -> CreateExecution {
        CreateExecution {
            language: Some("python".into()),
            code: Some(code.into()),
            ..Default::default()
        }
    }

    #[test]
    fn without_a_session_language_and_code_are_needed() {
        assert_eq!(wrong(CreateExecution::default()), ["language", "code"]);
        assert!(wrong(python("print(1)")).is_empty());
    }

    #[test]
    fn paths_that_leave_the_work_folder_or_mean_something_else_are_refused() {
        let bad = [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "-o",
            "a b",
            "a\0b",
            "ü.py",
            ".",
        ];
        for path in bad {
            let files = vec![SourceFile {
                path: path.into(),
                content: String::new(),
            }];
            let found = wrong(CreateExecution {
                files,
                ..python("")
            });
            assert_eq!(found, ["files[0].path"], "{path:?}");
        }
        let files = vec![SourceFile {
            path: "lib/util_1.py".into(),
            content: String::new(),
        }];
        assert!(
            wrong(CreateExecution {
                files,
                ..python("")
            })
            .is_empty()
        );
    }

    #[test]
    fn what_is_in_a_room_has_the_limits_of_a_request() {
        let file = |path: &str, bytes: usize| SourceFile {
            path: path.into(),
            content: "x".repeat(bytes),
        };
        let run = |content: usize, live: Vec<SourceFile>, files: Vec<SourceFile>| {
            let content = "x".repeat(content);
            let live = SessionContent {
                content,
                files: live,
            };
            with_live(live, files)
        };
        let (main, files) = run(1, vec![file("a", 1), file("b", 1)], vec![file("b", 2)]).unwrap();
        let paths = files.iter().map(|file| (&*file.path, file.content.len()));
        let paths: Vec<_> = paths.collect();
        assert_eq!((main.len(), paths), (1, vec![("b", 2), ("a", 1)]));

        let wrong = |content, live, files| -> Vec<String> {
            let refusal = run(content, live, files).unwrap_err();
            refusal
                .errors
                .into_iter()
                .map(|error| error.field)
                .collect()
        };
        let max = limits::SOURCE_FILE_BYTES_MAX;
        assert_eq!(wrong(max + 1, vec![], vec![]), ["content"]);
        assert_eq!(wrong(0, vec![file("../a", 1)], vec![]), ["files[0].path"]);
        assert_eq!(
            wrong(0, vec![file("a", max + 1)], vec![file("b", 1)]),
            ["files[1].content"]
        );
        let many = (0..32).map(|n| file(&n.to_string(), 1)).collect();
        assert_eq!(wrong(0, many, vec![]), ["files"]);
        let large: Vec<_> = (0..4).map(|n| file(&n.to_string(), max)).collect();
        assert_eq!(wrong(1, large, vec![]), ["files"]);
    }

    #[test]
    fn of_too_much_it_is_said_once_that_it_is_too_much() {
        let file = SourceFile {
            path: "..".into(),
            content: String::new(),
        };
        let found = wrong(CreateExecution {
            files: vec![file; 50_000],
            ..python("")
        });
        assert_eq!(found, ["files"]);
        let found = wrong(CreateExecution {
            args: vec!["\0".into(); 50_000],
            ..python("")
        });
        assert_eq!(found.len(), 1 + limits::ARGS_MAX);
    }

    #[test]
    fn limits_stay_within_their_ceilings() {
        let limits = RequestedLimits {
            wall_ms: Some(600_000),
            ..Default::default()
        };
        let found = wrong(CreateExecution {
            limits: Some(limits),
            ..python("")
        });
        assert_eq!(found, ["limits.wallMs"]);
    }
}
