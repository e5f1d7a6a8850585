//! The language table (X7): which ids exist, and how a host runs each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::Date;
use time::format_description::FormatItem;
use time::macros::format_description;

/// A language that the system knows by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownLanguage {
    /// The id on the wire.
    pub id: &'static str,
    /// The name to show.
    pub name: &'static str,
}

/// Every id that a session or an execution may name (X-07), sorted: those that have an image, so
/// that none is promised which nobody can offer. Which of them run at the moment is a question to
/// the live executors.
pub const KNOWN: &[KnownLanguage] = &[
    KnownLanguage {
        id: "bash",
        name: "Bash",
    },
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
        id: "kotlin",
        name: "Kotlin",
    },
    KnownLanguage {
        id: "lua",
        name: "Lua",
    },
    KnownLanguage {
        id: "perl",
        name: "Perl",
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
        id: "python-data",
        name: "Python (data)",
    },
    KnownLanguage { id: "r", name: "R" },
    KnownLanguage {
        id: "ruby",
        name: "Ruby",
    },
    KnownLanguage {
        id: "rust",
        name: "Rust",
    },
    KnownLanguage {
        id: "sql",
        name: "SQL",
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
    /// One of [`KNOWN`], or one of the operator's own, which no edge offers to anybody.
    pub id: String,
    /// The image to run it in.
    pub image: String,
    /// The engine's runtime for its containers, such as `runsc`, if not that of the host's settings.
    #[serde(default)]
    pub runtime: Option<String>,
    /// The name that the main file gets.
    pub main_file: String,
    /// The program and arguments that print the version; its first line is reported.
    pub version: Vec<String>,
    /// The day after which upstream mends no more security faults of this release line, such as
    /// `2028-10-31`; none where upstream names no day.
    #[serde(default)]
    pub end_of_life: Option<String>,
    /// The compiler and its arguments; none for languages that run their source. The argument
    /// `{sources}` stands for every file of the job that [`LanguageRow::sources`] names, the main
    /// file first; `{heap_mib}` anywhere for the stage's heap, see [`LanguageRow::heap_percent`].
    #[serde(default)]
    pub compile: Option<Vec<String>>,
    /// The program and arguments that run the main file, with the same placeholders; a job's
    /// arguments follow.
    pub run: Vec<String>,
    /// Environment of compiler and program, beside `PATH`, `HOME` and `LANG`. `{heap_mib}` stands
    /// for the same as in arguments.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// How the names of source files end, with the dot; for `{sources}`.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Files that a job gets unless it brings its own, by their paths.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The share of the memory limit that `{heap_mib}` is, in percent, 1–100. The rest is for
    /// what a runtime needs beside its heap, so that its collector works before the kernel must.
    #[serde(default = "whole")]
    pub heap_percent: u8,
    /// What the runtime writes to standard error as it ends a program for lack of memory. A run
    /// that ended badly with one of these near the end of its standard error met the memory limit.
    #[serde(default)]
    pub out_of_memory: Vec<String>,
    /// Less memory than this is not given, whatever a job asks for, in bytes.
    #[serde(default)]
    pub memory_floor_bytes: u64,
    /// Fewer processes and threads than this are not given: what the runtime itself needs.
    #[serde(default)]
    pub processes_floor: u32,
}

fn whole() -> u8 {
    100
}

/// What a link says of a language that its host can run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AnnouncedLanguage {
    /// A language id of the table.
    pub id: String,
    /// As the runtime itself prints it, probed at start.
    pub version: String,
    /// The day after which upstream mends no more security faults of this release line, such as
    /// `2028-10-31`; left out where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_of_life: Option<String>,
}

const DAY: &[FormatItem<'static>] = format_description!("[year]-[month]-[day]");

/// Whether that is a day as `2028-10-31` is one.
#[must_use]
pub fn is_day(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit()) && Date::parse(text, DAY).is_ok()
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

    #[test]
    fn a_day_is_one_of_the_calendar() {
        for day in ["2028-10-31", "2028-02-29", "0001-01-01"] {
            assert!(is_day(day), "{day}");
        }
        for other in [
            "",
            "2028",
            "2027-02-29",
            "2028-1-1",
            "+2028-10-31",
            "2028-10-31 ",
        ] {
            assert!(!is_day(other), "{other}");
        }
    }

    #[test]
    fn a_link_that_knows_no_end_of_life_is_understood_and_none_is_said() {
        let told: AnnouncedLanguage = serde_json::from_str(r#"{"id":"c","version":"1"}"#).unwrap();
        assert_eq!(told.end_of_life, None);
        let said = serde_json::to_string(&told).unwrap();
        assert_eq!(said, r#"{"id":"c","version":"1"}"#);
    }
}
