//! How edits are stored and told: first stored, then told, together with what else has come.

use codecrafter_shared::job::SourceFile;
use codecrafter_shared::relay::{AppFrame, CloseCode};
use codecrafter_shared::time::Timestamp;

use super::super::authors::Authors;
use super::super::document::{Document, Integrated, Refusal};
use super::super::frame;
use super::super::history::Edit;
use super::super::pending::Together;
use super::super::tag::tag;
use super::super::write::{NotWritten, Write, Written};
use super::super::{Audience, Change, Output, Step};
use super::{Room, awareness_frame, send};

/// Bytes of a stored row; a database takes 1 MB (E3).
const ROW_BYTES_MAX: usize = 512 * 1024;
/// Updates behind the newest state that make a new one.
const TAIL_ROWS_MAX: u64 = 200;
/// Their bytes.
const TAIL_BYTES_MAX: usize = 256 * 1024;

/// The document as it was stored, from [`super::super::store::load_document`].
#[derive(Debug, Default)]
pub struct LoadedDocument {
    /// The document.
    pub document: Document,
    /// The newest state's number; 0 if there is none.
    pub generation: u64,
    /// The last update's number; 0 if there is none.
    pub last_seq: u64,
    /// Updates behind the newest state.
    pub tail_rows: u64,
    /// Their bytes.
    pub tail_bytes: usize,
    /// Pieces of the room that were ever put into quarantine.
    pub lost: u64,
    /// Whose its clients are.
    pub authors: Authors,
}

impl Room {
    /// Stores what waits and tells it: edits before the cursors that point into them.
    pub(super) fn flush(&mut self, now: Timestamp, step: &mut Step) {
        let writers = self.pending.writers();
        // Without a document no edit waits: whatever gives it up has flushed or forgotten them.
        let loaded = self.document.as_ref();
        let edits = loaded.map(|loaded| self.pending.take_edits(now, &loaded.document));
        for together in edits.unwrap_or_default() {
            if !self.keep(now, together, step) {
                // It is in memory and can be stored in no way: go back to what is stored.
                self.document = None;
                self.pending.clear();
                for writer in writers {
                    if let Some(gone) = self.connections.get(&writer).cloned() {
                        self.close(now, &gone, CloseCode::TooLarge, step);
                    }
                }
                break;
            }
        }
        let quiet = self.quiet.over_at();
        if quiet.is_some_and(|over| self.wake_at.is_none_or(|at| at <= now || over < at)) {
            self.plan_wake(now, step);
        }
        let authors = self.pending.take_authors().into_iter();
        step.changes
            .extend(authors.map(|(client, user)| Change::Author { client, user }));
        for (writer, edits) in self.pending.take_saved() {
            send(writer, frame::app(&AppFrame::Saved { edits }), step);
        }
        if let Some((from, states)) = self.pending.take_states(now) {
            step.outputs.push(Output::Broadcast {
                to: Audience::Everybody,
                except: from,
                frame: awareness_frame(&states),
            });
        }
    }

    /// Makes one state of all that is stored. If that does not come to its end, everything is as it
    /// was, and is tried again after the next quiet.
    pub(super) fn compact(&mut self, now: Timestamp, step: &mut Step) {
        self.flush(now, step);
        let Some(loaded) = self.document.as_mut() else {
            return;
        };
        match loaded.compact() {
            Some(change) => {
                step.changes.push(change);
                self.quiet.edited(0, now);
            }
            None => self.quiet.refuse(),
        }
    }

    /// Goes back to what is stored, because `yrs` has given up half way. What it took in before
    /// that is good, and stored.
    pub(super) fn give_up_document(&mut self, now: Timestamp, step: &mut Step) {
        self.flush(now, step);
        self.document = None;
    }

    /// Puts a session's first content in.
    pub(super) fn initialise(
        &mut self,
        now: Timestamp,
        content: &str,
        files: &[SourceFile],
        step: &mut Step,
    ) {
        self.flush(now, step);
        let Some(loaded) = self.document.as_mut() else {
            return;
        };
        let before = self.pending.before(&loaded.document);
        if let Ok(Integrated {
            update: Some(update),
            ..
        }) = loaded.document.initialise(content, files)
        {
            self.pending.edit(None, None, update, before);
            // Content of a session fits into a row or a state, so this does not fail.
            self.flush(now, step);
        }
    }

    /// Writes for somebody without a socket, who may do what a socket of theirs might.
    pub(super) fn write(&mut self, now: Timestamp, write: Write<'_>, step: &mut Step) -> Written {
        self.notice(now, write.notice.clone(), step);
        let role = self.access.role_of(write.user_id);
        let role = role.map_err(|code| match code {
            CloseCode::NotFound => NotWritten::Deleted,
            _ => NotWritten::Forbidden,
        })?;
        if !role.may_edit(self.access.locked()) {
            return Err(NotWritten::Forbidden);
        }
        // What is compared and given back is what is stored.
        self.flush(now, step);
        let loaded = self.document.as_mut().ok_or(NotWritten::Damaged)?;
        if let Some(expected) = write.expected
            && !expected.contains(&tag(&loaded.document.read()))
        {
            return Err(NotWritten::Changed);
        }
        let before = self.pending.before(&loaded.document);
        match loaded.document.write(write.request, loaded.lost) {
            Ok(integrated) => {
                if let Some(update) = integrated.update {
                    let actor = Some(write.user_id);
                    self.pending.edit(None, actor, update, before);
                    self.flush(now, step);
                }
                let document = self.document().ok_or(NotWritten::TooLarge)?;
                Ok(document.read())
            }
            Err(Refusal::TooLarge | Refusal::TooMuchWork) => Err(NotWritten::TooLarge),
            Err(Refusal::NotText) => Err(NotWritten::NotText),
            Err(Refusal::Malformed(_) | Refusal::Gap | Refusal::Ahead | Refusal::Damaged) => {
                self.document = None;
                Err(NotWritten::Damaged)
            }
        }
    }

    /// Stores edits, and tells them to everybody but who has made all of them. False if they can
    /// be stored in no way.
    fn keep(&mut self, now: Timestamp, together: Together, step: &mut Step) -> bool {
        let Some(loaded) = self.document.as_mut() else {
            return true;
        };
        let news = Output::Broadcast {
            to: Audience::Everybody,
            except: together.from,
            frame: frame::update(&together.data),
        };
        let Some(change) = loaded.keep(now, together) else {
            return false;
        };
        self.quiet.edited(loaded.tail_rows, now);
        step.changes.push(change);
        step.outputs.push(news);
        if self.rest.edited(now) {
            self.plan_wake(now, step);
        }
        true
    }
}

impl LoadedDocument {
    /// Which state of the document it is, among all that are ever stored of a room.
    #[must_use]
    pub fn mark(&self) -> String {
        format!("{}.{}", self.generation, self.last_seq)
    }

    /// How to store an update that the document has in it: as a row, or with all that came before
    /// it as a new state. `None` if it fits into neither.
    fn keep(&mut self, at: Timestamp, together: Together) -> Option<Change> {
        let Together { actors, data, .. } = together;
        self.last_seq = self.last_seq.saturating_add(1);
        self.tail_rows = self.tail_rows.saturating_add(1);
        self.tail_bytes = self.tail_bytes.saturating_add(data.len());
        let fits = data.len() <= ROW_BYTES_MAX;
        if fits && self.tail_rows < TAIL_ROWS_MAX && self.tail_bytes < TAIL_BYTES_MAX {
            return Some(Change::AppendUpdate {
                seq: self.last_seq,
                at,
                actors,
                data,
            });
        }
        let last = Edit { at, actors, data };
        match self.as_state() {
            Some(parts) => Some(self.compacted(parts, Some(last))),
            None => fits.then_some(Change::AppendUpdate {
                seq: self.last_seq,
                at,
                actors: last.actors,
                data: last.data,
            }),
        }
    }

    /// The document as a new state, under a number of its own.
    fn compact(&mut self) -> Option<Change> {
        let parts = self.as_state()?;
        self.last_seq = self.last_seq.saturating_add(1);
        Some(self.compacted(parts, None))
    }

    /// The document as a state, in parts, if it can be one.
    fn as_state(&mut self) -> Option<Vec<Vec<u8>>> {
        let state = self.document.state()?;
        Some(state.chunks(ROW_BYTES_MAX).map(<[u8]>::to_vec).collect())
    }

    /// A new state with the last number in it, and with `last`, which is no row.
    fn compacted(&mut self, parts: Vec<Vec<u8>>, last: Option<Edit>) -> Change {
        self.generation = self.generation.saturating_add(1);
        self.tail_rows = 0;
        self.tail_bytes = 0;
        Change::Compact {
            generation: self.generation,
            base_seq: self.last_seq,
            parts,
            last,
        }
    }
}
