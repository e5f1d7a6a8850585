//! The language table (X7): which ids exist, and how a host runs each.

use serde::{Deserialize, Serialize};

/// A language that the system knows by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownLanguage {
    /// The id on the wire.
    pub id: &'static str,
    /// The name to show.
    pub name: &'static str,
}

/// Every id that a session or an execution may name, sorted. Which of them run at the
/// moment is a question to the live executors.
pub const KNOWN: &[KnownLanguage] = &[
    KnownLanguage { id: "c", name: "C" },
    KnownLanguage {
        id: "cpp",
        name: "C++",
    },
    KnownLanguage {
        id: "csharp",
        name: "C#",
    },
    KnownLanguage {
        id: "go",
        name: "Go",
    },
    KnownLanguage {
        id: "java",
        name: "Java",
    },
    KnownLanguage {
        id: "javascript",
        name: "JavaScript",
    },
    KnownLanguage {
        id: "php",
        name: "PHP",
    },
    KnownLanguage {
        id: "python",
        name: "Python",
    },
    KnownLanguage {
        id: "ruby",
        name: "Ruby",
    },
    KnownLanguage {
        id: "rust",
        name: "Rust",
    },
    KnownLanguage {
        id: "typescript",
        name: "TypeScript",
    },
];

/// The known language with that id.
#[must_use]
pub fn known(id: &str) -> Option<&'static KnownLanguage> {
    KNOWN.iter().find(|language| language.id == id)
}

/// A row of a host's `languages.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageRow {
    /// One of [`KNOWN`].
    pub id: String,
    /// The image to run it in.
    pub image: String,
    /// The name that the main file gets.
    pub main_file: String,
    /// The program and arguments that print the version; its first line is reported.
    pub version: Vec<String>,
    /// The compiler and its arguments; none for languages that run their source.
    #[serde(default)]
    pub compile: Option<Vec<String>>,
    /// The program and arguments that run the main file; a job's arguments follow.
    pub run: Vec<String>,
    /// Environment of compiler and program, beside `PATH`, `HOME` and `LANG`.
    #[serde(default)]
    pub env: std::collections::BTreeMap<String, String>,
    /// Less memory than this is not given, whatever a job asks for, in bytes.
    #[serde(default)]
    pub memory_floor_bytes: u64,
    /// Processes and threads that the runtime itself needs.
    #[serde(default)]
    pub processes_floor: u32,
}

/// What a link says of a language that its host can run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AnnouncedLanguage {
    /// One of [`KNOWN`].
    pub id: String,
    /// As the runtime itself prints it, probed at start.
    pub version: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sorted_and_unique() {
        assert!(KNOWN.is_sorted_by(|a, b| a.id < b.id));
        assert_eq!(known("python").map(|l| l.name), Some("Python"));
        assert_eq!(known("Python"), None);
    }
}
