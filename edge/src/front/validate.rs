//! Collecting what is wrong with a request, field by field, so that one answer names all of it.

use std::ops::RangeInclusive;

use codecrafter_shared::error::FieldError;
use codecrafter_shared::job::SourceFile;
use codecrafter_shared::limits;

use crate::error::Refusal;

/// The fields of one request that broke a rule.
#[derive(Debug, Default)]
pub struct Fields(Vec<FieldError>);

impl Fields {
    /// `field` breaks the rule that `message` states.
    pub fn wrong(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
    }

    /// `text` is one line, not blank, of so many characters.
    pub fn line(&mut self, field: &str, text: &str, chars: RangeInclusive<usize>) {
        let trimmed = text.trim().chars().count();
        if !chars.contains(&trimmed) || text.chars().any(char::is_control) {
            let (min, max) = (chars.start(), chars.end());
            self.wrong(field, format!("is one line of {min}–{max} characters"));
        }
    }

    /// `number` lies in `range`.
    pub fn within<T: PartialOrd + std::fmt::Display>(
        &mut self,
        field: &str,
        number: T,
        range: &RangeInclusive<T>,
    ) {
        if !range.contains(&number) {
            self.wrong(field, format!("is {}–{}", range.start(), range.end()));
        }
    }

    /// `language` is in the table.
    pub fn language(&mut self, field: &str, language: &str) {
        if codecrafter_shared::language::known(language).is_none() {
            let known = codecrafter_shared::language::KNOWN;
            let ids: Vec<&str> = known.iter().map(|language| language.id).collect();
            self.wrong(field, format!("is one of {}", ids.join(", ")));
        }
    }

    /// `text` is short enough for a source file.
    pub fn source(&mut self, field: &str, text: &str) {
        if text.len() > limits::SOURCE_FILE_BYTES_MAX {
            let max = limits::SOURCE_FILE_BYTES_MAX;
            self.wrong(field, format!("is at most {max} bytes"));
        }
    }

    /// `files` can be laid beside a main file of `main_bytes`: not too many, each short enough and
    /// all together as well, each at a path of its own that stays inside its folder.
    pub fn files(&mut self, field: &str, main_bytes: usize, files: &[SourceFile]) {
        if files.len() >= limits::SOURCE_FILES_MAX {
            let max = limits::SOURCE_FILES_MAX;
            self.wrong(
                field,
                format!("is at most {max} files, the main file included"),
            );
            // To compare each with all others, and to name what is wrong with each, is work
            // without a bound.
            return;
        }
        let mut bytes = main_bytes;
        for (index, file) in files.iter().enumerate() {
            let path = format!("{field}[{index}].path");
            self.path(&path, &file.path);
            self.source(&format!("{field}[{index}].content"), &file.content);
            let mut before = files.iter().take(index);
            if before.any(|other| other.path.eq_ignore_ascii_case(&file.path)) {
                self.wrong(&path, "is there twice");
            }
            bytes = bytes.saturating_add(file.content.len());
        }
        if bytes > limits::SOURCE_BYTES_MAX {
            let max = limits::SOURCE_BYTES_MAX;
            self.wrong(field, format!("is at most {max} bytes in all"));
        }
    }

    /// Relative, of plain parts: nothing that a shell, a compiler or a file system reads otherwise.
    fn path(&mut self, field: &str, path: &str) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let part = |part: &str| {
            !part.is_empty()
                && !part.starts_with('-')
                && !matches!(part, "." | "..")
                && part.chars().all(plain)
        };
        if path.len() > limits::PATH_BYTES_MAX || !path.split('/').all(part) {
            let max = limits::PATH_BYTES_MAX;
            self.wrong(
                field,
                format!(
                    "is a relative path of at most {max} bytes, its parts of A–Z a–z 0–9 . _ -"
                ),
            );
        }
    }

    /// Whether every field kept its rules.
    ///
    /// # Errors
    /// [`codecrafter_shared::error::ErrorCode::ValidationFailed`] with all that did not.
    pub fn check(self) -> Result<(), Refusal> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Refusal::fields(self.0))
        }
    }
}
