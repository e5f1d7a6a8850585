//! Collecting what is wrong with a request, field by field, so that one answer names all of it.

use std::ops::RangeInclusive;

use codecrafter_shared::error::FieldError;

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
