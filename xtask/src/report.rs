//! What a step says: before it begins, what it will install; at its end, what came of it.

use anyhow::Result;

use crate::evidence::Evidence;

/// Something that a step will install, or that a person must.
#[derive(Debug, Clone)]
pub struct Missing {
    /// What it is.
    pub what: String,
    /// Where it goes.
    pub place: String,
    /// What it roughly takes there, in megabytes.
    pub megabytes: u32,
    /// The command for a person to run, if the step cannot install it by itself.
    pub by_hand: Option<String>,
}

impl Missing {
    /// Something that the step will install.
    pub fn installable(what: impl Into<String>, place: impl Into<String>, megabytes: u32) -> Self {
        Self {
            what: what.into(),
            place: place.into(),
            megabytes,
            by_hand: None,
        }
    }

    /// Something that only a person can install, by `command`.
    pub fn by_hand(what: impl Into<String>, command: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            place: String::new(),
            megabytes: 0,
            by_hand: Some(command.into()),
        }
    }
}

/// How a step ended, if nothing prevented it: its test cases, and what there is to say.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed.
    pub failed: usize,
    /// Cases that failed, and passed when they were tried again.
    pub unsteady: usize,
    /// Cases that could not be tried; the note says why.
    pub skipped: usize,
    /// What there is to say; lines.
    pub note: String,
    /// What a long run has for its record.
    pub evidence: Option<Evidence>,
}

impl Report {
    /// A step without test cases is done.
    pub fn done() -> Result<Self> {
        Ok(Self::default())
    }

    /// As [`done`](Self::done), with something to say.
    pub fn noted(note: impl Into<String>) -> Result<Self> {
        Ok(Self {
            note: note.into(),
            ..Self::default()
        })
    }

    /// Counts one case; one that failed is named in the note.
    pub fn case(&mut self, name: &str, result: Result<()>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(why) => {
                self.failed += 1;
                self.say(format!("{name}: {why:#}"));
            }
        }
    }

    /// Counts one case that could not be tried.
    pub fn skip(&mut self, name: &str, why: &str) {
        self.skipped += 1;
        self.say(format!("{name}: skipped, {why}"));
    }

    /// How many cases there are.
    pub fn cases(&self) -> usize {
        self.passed + self.failed + self.unsteady + self.skipped
    }

    /// How many cases ended how, in words.
    pub fn counts(&self) -> String {
        let Self {
            passed,
            failed,
            unsteady,
            skipped,
            ..
        } = self;
        let unsteady = match unsteady {
            0 => String::new(),
            unsteady => format!(", {unsteady} unsteady"),
        };
        format!("{passed} passed, {failed} failed{unsteady}, {skipped} skipped")
    }

    /// Adds a line to the note.
    pub fn say(&mut self, line: impl AsRef<str>) {
        if !self.note.is_empty() {
            self.note.push('\n');
        }
        self.note.push_str(line.as_ref());
    }
}
