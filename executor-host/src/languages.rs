//! The language table (X7): reads and checks `languages.toml`. Which rows can run is found out
//! by the sandbox.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use agent_protocol::is_safe_path;
use codecrafter_shared::language::{LanguageRow, is_day};
use serde::Deserialize;

/// The table that comes with the binary.
const BUILT_IN: &str = include_str!("../languages.toml");

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LanguagesError {
    /// The file cannot be read.
    #[error("the language table {path} cannot be read: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no TOML, or not of this form.
    #[error("the language table is not understood: {0}")]
    Parse(#[from] toml::de::Error),
    /// A row cannot be used.
    #[error("the language table's row {id:?}: {why}")]
    Row {
        /// Its id.
        id: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// The rows of the file, or of the table that comes with the binary where none is given.
///
/// # Errors
/// [`LanguagesError`].
pub fn load(path: Option<&Path>) -> Result<Vec<LanguageRow>, LanguagesError> {
    match path {
        None => parse(BUILT_IN),
        Some(path) => {
            parse(
                &std::fs::read_to_string(path).map_err(|source| LanguagesError::Read {
                    path: path.to_owned(),
                    source,
                })?,
            )
        }
    }
}

/// The rows of a table, each checked.
///
/// # Errors
/// [`LanguagesError::Parse`] and [`LanguagesError::Row`].
pub fn parse(text: &str) -> Result<Vec<LanguageRow>, LanguagesError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        #[serde(default)]
        language: Vec<LanguageRow>,
    }

    let rows = toml::from_str::<Table>(text)?.language;
    let mut ids = HashSet::new();
    for row in &rows {
        let why = match check(row) {
            Err(why) => why,
            Ok(()) if !ids.insert(row.id.as_str()) => "there is another with this id",
            Ok(()) => continue,
        };
        return Err(LanguagesError::Row {
            id: row.id.clone(),
            why,
        });
    }
    Ok(rows)
}

fn check(row: &LanguageRow) -> Result<(), &'static str> {
    let names_a_program = |argv: &[String]| argv.first().is_some_and(|program| !program.is_empty());
    let is_name = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
    if !is_id(&row.id) {
        Err("`id` is not made of a–z, 0–9 and `-`, 32 of them at most")
    } else if row.image.is_empty() {
        Err("`image` is empty")
    } else if !is_safe_path(&row.main_file) {
        Err("`main_file` is no path inside the work directory")
    } else if !names_a_program(&row.version) {
        Err("`version` names no program")
    } else if row.end_of_life.as_deref().is_some_and(|day| !is_day(day)) {
        Err("`end_of_life` is no day")
    } else if row
        .compile
        .as_deref()
        .is_some_and(|argv| !names_a_program(argv))
    {
        Err("`compile` names no program")
    } else if !names_a_program(&row.run) {
        Err("`run` names no program")
    } else if !row
        .env
        .iter()
        .all(|(name, value)| is_name(name) && !value.contains('\0'))
    {
        Err("`env` holds what is no environment variable")
    } else if !(1..=100).contains(&row.heap_percent) {
        Err("`heap_percent` is not within 1–100")
    } else if !row.sources.iter().all(|end| end.starts_with('.')) {
        Err("`sources` holds what is no ending of a file's name")
    } else if !row.files.keys().all(|path| is_safe_path(path)) {
        Err("`files` holds what is no path inside the work directory")
    } else if row.files.contains_key(&row.main_file) {
        Err("`files` holds the main file")
    } else {
        Ok(())
    }
}

/// An id that an edge may know. One that none knows is offered to nobody, but it runs from the
/// command line, and at an edge that is told of it later.
fn is_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&id.len()) && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use codecrafter_shared::language::KNOWN;

    use super::*;

    #[test]
    fn the_table_that_comes_with_the_binary_is_whole() {
        let rows = load(None).unwrap();
        let ids: Vec<_> = rows.iter().map(|row| row.id.as_str()).collect();
        // Containers of the first three are started ahead of any job.
        assert_eq!(ids[..3], ["javascript", "python", "java"]);
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        let known: Vec<_> = KNOWN.iter().map(|known| known.id).collect();
        assert_eq!(sorted, known, "what is known and what can be run");
        let python = rows.iter().find(|row| row.id == "python").unwrap();
        assert_eq!(python.compile, None);
        assert_eq!(python.env["PYTHONUNBUFFERED"], "1");
    }

    #[test]
    fn every_kind_of_bad_row_is_refused_with_its_reason() {
        let good = r#"
            [[language]]
            id = "python"
            image = "i"
            main_file = "main.py"
            version = ["v"]
            run = ["r"]
        "#;
        assert_eq!(parse(good).unwrap().len(), 1);
        for (from, to, why) in [
            (
                "\"python\"",
                "\"Python 3\"",
                "`id` is not made of a–z, 0–9 and `-`, 32 of them at most",
            ),
            ("\"i\"", "\"\"", "`image` is empty"),
            (
                "main.py",
                "../main.py",
                "`main_file` is no path inside the work directory",
            ),
            ("[\"v\"]", "[]", "`version` names no program"),
            (
                "run =",
                "end_of_life = \"2028-02-30\"\nrun =",
                "`end_of_life` is no day",
            ),
            ("[\"r\"]", "[\"\"]", "`run` names no program"),
            ("run =", "compile = []\nrun =", "`compile` names no program"),
            (
                "run =",
                "env = { \"A=B\" = \"\" }\nrun =",
                "`env` holds what is no environment variable",
            ),
            (
                "run =",
                "heap_percent = 0\nrun =",
                "`heap_percent` is not within 1–100",
            ),
            (
                "run =",
                "sources = [\"py\"]\nrun =",
                "`sources` holds what is no ending of a file's name",
            ),
            (
                "run =",
                "files = { \"/a\" = \"\" }\nrun =",
                "`files` holds what is no path inside the work directory",
            ),
            (
                "run =",
                "files = { \"main.py\" = \"\" }\nrun =",
                "`files` holds the main file",
            ),
        ] {
            let error = parse(&good.replace(from, to)).unwrap_err();
            assert!(
                matches!(error, LanguagesError::Row { why: found, .. } if found == why),
                "{why}"
            );
        }
        assert!(matches!(
            parse(&format!("{good}{good}")),
            Err(LanguagesError::Row {
                why: "there is another with this id",
                ..
            })
        ));
        assert!(matches!(
            parse(&good.replace("run", "rum")),
            Err(LanguagesError::Parse(_))
        ));
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let error = load(Some(Path::new("/nonexistent.toml"))).unwrap_err();
        assert!(error.to_string().contains("/nonexistent.toml"));
    }
}
