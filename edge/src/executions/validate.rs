//! What may be asked to run, and to be listed. Pure.

use codecrafter_shared::api::{
    CreateExecution, ExecutionStatus, GiveInput, RequestedLimits, SessionContent,
};
use codecrafter_shared::interaction::{Input, TerminalSize};
use codecrafter_shared::job::{RunLimits, SourceFile, Verdict};
use codecrafter_shared::limits;
use serde::Deserialize;

use super::calls::Filter;
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
        interactive,
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
    if let Some(interactive) = interactive {
        if session_id.is_none() {
            let why = "needs sessionId: a session's room shows what the program writes";
            fields.wrong("interactive", why);
        }
        if let Some(size) = &interactive.terminal {
            terminal(fields, "interactive.terminal", *size);
        }
    }
    run_limits(fields, wanted.as_ref(), interactive.is_some())
}

/// Checks what is to be given to a program, field by field.
pub fn input(fields: &mut Fields, request: &GiveInput) {
    let GiveInput { inputs, after: _ } = request;
    if inputs.is_empty() || inputs.len() > limits::INPUTS_PER_REQUEST_MAX {
        let most = limits::INPUTS_PER_REQUEST_MAX;
        fields.wrong("inputs", format!("is 1–{most} inputs"));
        return;
    }
    let mut bytes = 0_usize;
    for (index, input) in inputs.iter().enumerate() {
        match input {
            Input::Text { text } => bytes = bytes.saturating_add(text.len()),
            Input::Resize(size) => terminal(fields, &format!("inputs[{index}]"), *size),
            Input::End | Input::Signal { .. } => {}
        }
    }
    if bytes > limits::INPUT_BYTES_PER_REQUEST_MAX {
        let most = limits::INPUT_BYTES_PER_REQUEST_MAX;
        fields.wrong("inputs", format!("is at most {most} bytes of text"));
    }
}

fn terminal(fields: &mut Fields, field: &str, size: TerminalSize) {
    let TerminalSize { columns, rows } = size;
    fields.within(&format!("{field}.columns"), columns, &limits::TERMINAL_SIDE);
    fields.within(&format!("{field}.rows"), rows, &limits::TERMINAL_SIDE);
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

fn run_limits(
    fields: &mut Fields,
    wanted: Option<&RequestedLimits>,
    is_interactive: bool,
) -> RunLimits {
    let mut granted = RunLimits::default();
    let wall_range = match is_interactive {
        true => limits::INTERACTIVE_WALL_MS,
        false => limits::WALL_MS,
    };
    if is_interactive {
        granted.wall_ms = limits::INTERACTIVE_WALL_MS_DEFAULT;
    }
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
        fields.within("limits.wallMs", wall_ms, &wall_range);
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

/// The query of both lists.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    page: Option<String>,
    limit: Option<String>,
    status: Option<String>,
    verdict: Option<String>,
    language: Option<String>,
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
    use codecrafter_shared::id::SessionId;
    use codecrafter_shared::interaction::Interactive;

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

    #[test]
    fn only_a_sessions_runs_are_interactive_and_they_may_take_minutes() {
        let terminal = |columns| Interactive {
            terminal: Some(TerminalSize { columns, rows: 24 }),
        };
        let on_terminal = |columns| CreateExecution {
            session_id: Some(SessionId::random([1; 16])),
            interactive: Some(terminal(columns)),
            ..Default::default()
        };
        let of_nobody = CreateExecution {
            interactive: Some(terminal(80)),
            ..python("")
        };
        assert_eq!(wrong(of_nobody), ["interactive"]);
        assert_eq!(wrong(on_terminal(0)), ["interactive.terminal.columns"]);
        let mut fields = Fields::default();
        let limits = create(&mut fields, &on_terminal(80));
        assert_eq!(limits.wall_ms, limits::INTERACTIVE_WALL_MS_DEFAULT);
        for (wall_ms, good) in [(600_000, true), (600_001, false)] {
            let limits = Some(RequestedLimits {
                wall_ms: Some(wall_ms),
                ..Default::default()
            });
            let asked = CreateExecution {
                limits,
                ..on_terminal(80)
            };
            assert_eq!(wrong(asked).is_empty(), good);
        }
    }

    #[test]
    fn input_is_a_few_things_with_little_text() {
        let wrong = |inputs: Vec<Input>| {
            let mut fields = Fields::default();
            let after = None;
            input(&mut fields, &GiveInput { inputs, after });
            fields.check().is_err()
        };
        let text = |bytes: usize| Input::Text {
            text: "x".repeat(bytes),
        };
        let half = limits::INPUT_BYTES_PER_REQUEST_MAX / 2;
        assert!(!wrong(vec![text(half), text(half)]));
        assert!(wrong(vec![text(half), text(half), text(1)]));
        assert!(wrong(Vec::new()) && !wrong(vec![Input::End]));
        let most = limits::INPUTS_PER_REQUEST_MAX;
        assert!(!wrong(vec![text(1); most]) && wrong(vec![text(1); most + 1]));
        let size = |rows| Input::Resize(TerminalSize { columns: 80, rows });
        assert!(!wrong(vec![size(24)]) && wrong(vec![size(0)]));
    }
}
