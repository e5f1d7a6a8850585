//! Bounds of fields that their types do not say. All come from `codecrafter_shared::limits`.
//!
//! JSON Schema counts characters where some limits count bytes, so a bound here may let through
//! what the edge refuses. It never forbids what the edge takes, blanks around a title aside.

use std::ops::RangeInclusive;

use codecrafter_shared::{language, limits};
use serde_json::{Value, json};

/// What holds for one field of one type.
pub struct Rule {
    /// The type.
    pub type_name: &'static str,
    /// The field, as it is on the wire.
    pub field: &'static str,
    /// Keywords to add to its schema.
    pub keywords: Value,
}

/// Every rule.
#[must_use]
pub fn rules() -> Vec<Rule> {
    let ids: Vec<_> = language::KNOWN.iter().map(|known| known.id).collect();
    let language = json!({ "enum": ids });
    let joiner = json!({ "enum": ["viewer", "editor", null] });
    let title = length(&limits::TITLE_CHARS);
    let description = at_most(limits::DESCRIPTION_CHARS_MAX);
    let participants = within(&limits::PARTICIPANTS);
    let source = at_most(limits::SOURCE_FILE_BYTES_MAX);
    let mut username = length(&limits::USERNAME_CHARS);
    username["pattern"] = json!("^[A-Za-z0-9_-]+$");
    let list = [
        ("Register", "username", username),
        (
            "Register",
            "email",
            json!({ "format": "email", "maxLength": limits::EMAIL_BYTES_MAX }),
        ),
        ("Register", "password", length(&limits::PASSWORD_CHARS)),
        (
            "Register",
            "displayName",
            length(&limits::DISPLAY_NAME_CHARS),
        ),
        ("CreateSession", "title", title.clone()),
        ("CreateSession", "description", description.clone()),
        ("CreateSession", "language", language.clone()),
        (
            "CreateSession",
            "content",
            at_most(limits::CONTENT_BYTES_MAX),
        ),
        ("CreateSession", "joinRole", joiner.clone()),
        ("CreateSession", "maxParticipants", participants.clone()),
        ("UpdateSession", "title", title.clone()),
        ("UpdateSession", "description", description.clone()),
        ("ForkSession", "title", title),
        ("ForkSession", "description", description),
        (
            "TakeVersion",
            "message",
            length(&limits::VERSION_MESSAGE_CHARS),
        ),
        ("SendChatMessage", "text", length(&limits::CHAT_CHARS)),
        ("SendChatMessage", "key", length(&limits::CHAT_KEY_CHARS)),
        ("UpdateSession", "language", nullable(&language)),
        ("UpdateSession", "joinRole", joiner),
        ("UpdateSession", "maxParticipants", participants),
        (
            "AddParticipant",
            "role",
            json!({ "enum": ["viewer", "editor", "admin", null] }),
        ),
        (
            "ChangeRole",
            "role",
            json!({ "enum": ["viewer", "editor", "admin"] }),
        ),
        ("WriteContent", "content", source.clone()),
        (
            "SourceFile",
            "path",
            json!({ "minLength": 1, "maxLength": limits::PATH_BYTES_MAX }),
        ),
        ("SourceFile", "content", source.clone()),
        ("CreateExecution", "language", nullable(&language)),
        ("CreateExecution", "code", source),
        (
            "CreateExecution",
            "files",
            json!({ "maxItems": limits::SOURCE_FILES_MAX - 1 }),
        ),
        ("CreateExecution", "stdin", at_most(limits::STDIN_BYTES_MAX)),
        (
            "CreateExecution",
            "expectedOutput",
            at_most(limits::STDIN_BYTES_MAX),
        ),
        (
            "CreateExecution",
            "args",
            json!({ "maxItems": limits::ARGS_MAX }),
        ),
        ("RequestedLimits", "cpuMs", within(&limits::CPU_MS)),
        (
            "RequestedLimits",
            "wallMs",
            within(&limits::INTERACTIVE_WALL_MS),
        ),
        (
            "RequestedLimits",
            "memoryBytes",
            within(&limits::MEMORY_BYTES),
        ),
        (
            "RequestedLimits",
            "outputBytes",
            within(&limits::OUTPUT_BYTES),
        ),
        ("RequestedLimits", "processes", within(&limits::PROCESSES)),
        ("TerminalSize", "columns", within(&limits::TERMINAL_SIDE)),
        ("TerminalSize", "rows", within(&limits::TERMINAL_SIDE)),
        (
            "GiveInput",
            "inputs",
            json!({ "minItems": 1, "maxItems": limits::INPUTS_PER_REQUEST_MAX }),
        ),
    ];
    list.into_iter()
        .map(|(type_name, field, keywords)| Rule {
            type_name,
            field,
            keywords,
        })
        .collect()
}

fn length(chars: &RangeInclusive<usize>) -> Value {
    json!({ "minLength": chars.start(), "maxLength": chars.end() })
}

fn at_most(bytes: usize) -> Value {
    json!({ "maxLength": bytes })
}

fn within<T: serde::Serialize>(range: &RangeInclusive<T>) -> Value {
    json!({ "minimum": range.start(), "maximum": range.end() })
}

/// A field that may be left out may also be `null`, which an `enum` must name.
fn nullable(choice: &Value) -> Value {
    let mut choice = choice.clone();
    if let Some(values) = choice["enum"].as_array_mut() {
        values.push(Value::Null);
    }
    choice
}
