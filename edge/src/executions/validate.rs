//! What may be asked to run, and to be listed. Pure.

use codecrafter_shared::api::{CreateExecution, ExecutionStatus, RequestedLimits};
use codecrafter_shared::job::{RunLimits, Verdict};
use codecrafter_shared::limits;

use super::calls::Filter;
use super::routes::ListQuery;
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
    if stdin
        .as_ref()
        .is_some_and(|stdin| stdin.len() > limits::STDIN_BYTES_MAX)
    {
        fields.wrong(
            "stdin",
            format!("is at most {} bytes", limits::STDIN_BYTES_MAX),
        );
    }
    if args.len() > limits::ARGS_MAX {
        fields.wrong("args", format!("is at most {} arguments", limits::ARGS_MAX));
    }
    for (index, arg) in args.iter().enumerate() {
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
    use codecrafter_shared::job::SourceFile;

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
