//! How the document came about: step by step, for playback. A step is what the same people have
//! changed within a second, as splices of text.
//!
//! Nothing is written for it while people type. The updates that a room stores anyway, with whose
//! they are and when, are the history of what came behind the newest state ([`retell`]). When a new
//! state is about to take their place, what they tell is written in the same transaction, as one
//! row ([`store`]). [`store::pages`] reads it, and [`shard`] answers calls about it.

pub mod shard;
pub mod store;

use std::collections::BTreeMap;

use codecrafter_shared::api::{FileChange, HistoryFile, HistorySplice, SessionContent};
use codecrafter_shared::id::UserId;
use codecrafter_shared::job::SourceFile;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use super::document::{Document, Refusal};
use super::versions::diff::paired;
use super::write::{Splice, splice, splices};

/// Units on both sides of one splice from which it is worth to look for lines that they share.
const LARGE: usize = 256;
/// Bytes of text that are compared for one new state at most, so that nobody waits for it: of a
/// longer text fewer steps are told, each of more people and more time.
const COMPARED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// An update, as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// When.
    pub at: Timestamp,
    /// Whose it is, each once; nobody's for the first content.
    pub actors: Vec<UserId>,
    /// The update, encoding V1.
    pub data: Vec<u8>,
}

/// A step, before it has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at: Timestamp,
    pub(super) users: Vec<UserId>,
    pub(super) files: Vec<HistoryFile>,
}

/// What some edits have made of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Retold {
    pub(super) start: SessionContent,
    pub(super) steps: Vec<Step>,
    pub(super) end: SessionContent,
}

/// Tells what `edits` have made of the document whose state is given. An edit that the document
/// does not take is left out, as it is when the document is loaded. `None` if there is nothing to
/// tell it with: the state cannot be read, or `yrs` has given up half way.
pub(super) fn retell(state: Option<&[u8]>, edits: &[Edit]) -> Option<Retold> {
    let mut document = Document::new();
    if let Some(state) = state {
        document.integrate_stored(state).ok()?;
    }
    let start = document.read();
    let (mut steps, mut before) = (Vec::new(), start.clone());
    let most = COMPARED_BYTES_MAX.checked_div(longest(&start, edits));
    for together in steps_of(edits, most.unwrap_or(COMPARED_BYTES_MAX)) {
        let mut users: Vec<UserId> = Vec::new();
        for edit in together {
            take(&mut document, edit)?;
            let known = users.clone();
            users.extend(edit.actors.iter().filter(|user| !known.contains(user)));
        }
        let after = document.read();
        let files = differences(&before, &after);
        if let Some(last) = together.last().filter(|_| !files.is_empty()) {
            let at = last.at;
            steps.push(Step { at, users, files });
        }
        before = after;
    }
    Some(Retold {
        start,
        steps,
        end: before,
    })
}

/// The edits in steps: what the same people have made within [`limits::HISTORY_STEP_MS`], or more of
/// it where that would be more than `most` steps.
fn steps_of(edits: &[Edit], most: usize) -> Vec<&[Edit]> {
    let mut steps: Vec<&[Edit]> = Vec::new();
    let mut rest = edits;
    while let Some(first) = rest.first() {
        let same = |edit: &&Edit| {
            let together = 0..limits::HISTORY_STEP_MS;
            edit.actors == first.actors && together.contains(&edit.at.since(first.at))
        };
        let (step, behind) = rest.split_at(rest.iter().take_while(same).count().max(1));
        steps.push(step);
        rest = behind;
    }
    let each = steps.len().div_ceil(most.max(1)).max(1);
    let mut rest = edits;
    let of_several = steps.chunks(each).map(|several| {
        let (step, behind) = rest.split_at(several.iter().map(|step| step.len()).sum());
        rest = behind;
        step
    });
    of_several.collect()
}

/// Bytes that the text has at any moment, at most.
fn longest(start: &SessionContent, edits: &[Edit]) -> usize {
    let files = start.files.iter().map(|file| file.content.len());
    let edits = edits.iter().map(|edit| edit.data.len());
    let more = files.chain(edits);
    more.fold(start.content.len(), usize::saturating_add)
}

fn take(document: &mut Document, edit: &Edit) -> Option<()> {
    match document.integrate_stored(&edit.data) {
        Err(Refusal::Damaged) => None,
        Ok(()) | Err(_) => Some(()),
    }
}

/// What makes `new` of `old`: the files that differ, the main file first.
fn differences(old: &SessionContent, new: &SessionContent) -> Vec<HistoryFile> {
    let differ = paired(old, new)
        .into_iter()
        .filter(|(_, old, new)| old != new);
    let told = differ.map(|(path, old, new)| HistoryFile {
        path: path.map(str::to_owned),
        change: match (old, new) {
            (None, _) => FileChange::Added,
            (_, None) => FileChange::Removed,
            _ => FileChange::Changed,
        },
        splices: match new {
            Some(new) => between(old.unwrap_or_default(), new),
            None => Vec::new(),
        },
    });
    told.collect()
}

/// What people type is one splice. Where that leaves much on both sides, it was several.
fn between(old: &str, new: &str) -> Vec<HistorySplice> {
    let Some(one) = splice(old, new) else {
        return Vec::new();
    };
    let large = one.removed as usize >= LARGE && one.inserted.len() >= LARGE;
    let several = if large { splices(old, new) } else { vec![one] };
    let several = several.into_iter();
    let told = several.map(
        |Splice {
             at,
             removed,
             inserted,
         }| HistorySplice {
            at,
            removed,
            inserted: inserted.to_owned(),
        },
    );
    told.collect()
}

/// The text of a document while steps are made in it: the units of each file, by path.
#[derive(Debug, Default)]
pub(super) struct Texts(BTreeMap<Option<String>, Vec<u16>>);

impl Texts {
    pub(super) fn of(content: &SessionContent) -> Self {
        let units = |text: &str| text.encode_utf16().collect();
        let files = content.files.iter();
        let files = files.map(|file| (Some(file.path.clone()), units(&file.content)));
        let main = std::iter::once((None, units(&content.content)));
        Self(main.chain(files).collect())
    }

    /// Makes a step. `None` if it does not fit the text: then half of it may be made.
    pub(super) fn apply(&mut self, files: &[HistoryFile]) -> Option<()> {
        for file in files {
            if file.change == FileChange::Removed {
                self.0.remove(&file.path)?;
                continue;
            }
            let text = match file.change {
                FileChange::Added => self.0.entry(file.path.clone()).or_default(),
                _ => self.0.get_mut(&file.path)?,
            };
            for splice in file.splices.iter().rev() {
                let at = usize::try_from(splice.at).ok()?;
                let end = at.checked_add(usize::try_from(splice.removed).ok()?)?;
                text.get(at..end)?;
                text.splice(at..end, splice.inserted.encode_utf16());
            }
        }
        Some(())
    }

    /// The text. `None` if a character was divided.
    pub(super) fn read(&self) -> Option<SessionContent> {
        let mut content = SessionContent::default();
        for (path, units) in &self.0 {
            let text = String::from_utf16(units).ok()?;
            match path {
                None => content.content = text,
                Some(path) => content.files.push(SourceFile {
                    path: path.clone(),
                    content: text,
                }),
            }
        }
        Some(content)
    }
}
