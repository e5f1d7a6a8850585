//! What the requests of one instance share about rooms: frames that were read already, and the
//! newest document. All of it can be lost at any time, and is then read again.
//!
//! However many streams of a room an instance has, one of them reads the database for all: whoever
//! finds that it is time. So nobody waits for another request, which on Spin would end the instance
//! (`spin/signals.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codecrafter_shared::id::SessionId;
use codecrafter_shared::time::Timestamp;

use super::store::{self, Stored};
use crate::ports::{Db, DbError};
use crate::room::LoadedDocument;

/// How often a room is looked at, unless this instance has just changed it.
const POLL_MS: i64 = 100;
/// How often it is looked whether something is due in it.
const TEND_MS: i64 = 1_000;
/// A poller that has not come back was given up with its request.
const POLL_MS_MAX: i64 = 10_000;
/// Frames of a room that are kept for its streams, and their bytes.
const FRAMES_MAX: usize = 1_024;
const FRAMES_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Rooms whose document is kept.
const DOCUMENTS_MAX: usize = 8;

/// See the module.
#[derive(Default)]
pub(super) struct Hub {
    memory: Mutex<Memory>,
    migrated: AtomicBool,
}

#[derive(Default)]
struct Memory {
    rooms: BTreeMap<SessionId, Shared>,
    /// Oldest first.
    documents: VecDeque<(SessionId, String, LoadedDocument)>,
}

/// What the streams of a room share.
#[derive(Default)]
struct Shared {
    streams: usize,
    frames: VecDeque<Arc<Stored>>,
    bytes: usize,
    /// The number behind which `frames` has all, and that of the last.
    first: u64,
    last: u64,
    changed: bool,
    /// Since when somebody reads.
    polling: Option<Timestamp>,
    polled_at: Timestamp,
    tended_at: Timestamp,
}

/// This stream is before what is kept in memory.
pub(super) struct Behind;

impl Hub {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the tables, unless this instance has done so.
    pub(super) async fn migrate(&self, db: &dyn Db) -> Result<(), DbError> {
        if !self.migrated.load(Ordering::Relaxed) {
            store::migrate(db).await?;
            self.migrated.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    // ---- Streams ----

    /// A stream begins, which has everything up to a number.
    pub(super) fn join(&self, session: SessionId, seq: u64) {
        let mut memory = self.memory();
        let shared = memory.rooms.entry(session).or_insert_with(|| Shared {
            first: seq,
            last: seq,
            ..Shared::default()
        });
        shared.streams = shared.streams.saturating_add(1);
    }

    /// A stream has ended.
    pub(super) fn leave(&self, session: SessionId) {
        let mut memory = self.memory();
        if let Some(shared) = memory.rooms.get_mut(&session) {
            shared.streams = shared.streams.saturating_sub(1);
            if shared.streams == 0 {
                memory.rooms.remove(&session);
            }
        }
    }

    /// This instance has just changed a room: there is something to read.
    pub(super) fn changed(&self, session: SessionId) {
        if let Some(shared) = self.memory().rooms.get_mut(&session) {
            shared.changed = true;
        }
    }

    /// What is known of the frames after a number.
    pub(super) fn after(&self, session: SessionId, seq: u64) -> Result<Vec<Arc<Stored>>, Behind> {
        let memory = self.memory();
        let Some(shared) = memory.rooms.get(&session) else {
            return Err(Behind);
        };
        if seq < shared.first {
            return Err(Behind);
        }
        let news = shared.frames.iter().filter(|frame| frame.seq > seq);
        Ok(news.cloned().collect())
    }

    /// Whether the caller is to read, and from which number on.
    pub(super) fn begin(&self, session: SessionId, now: Timestamp) -> Option<(u64, bool)> {
        let mut memory = self.memory();
        let shared = memory.rooms.get_mut(&session)?;
        let busy = shared
            .polling
            .is_some_and(|since| now.since(since) < POLL_MS_MAX);
        // A clock that was set back must not stop it.
        let due = shared.changed || !(0..POLL_MS).contains(&now.since(shared.polled_at));
        if busy || !due {
            return None;
        }
        shared.polling = Some(now);
        shared.polled_at = now;
        shared.changed = false;
        let tends = !(0..TEND_MS).contains(&now.since(shared.tended_at));
        if tends {
            shared.tended_at = now;
        }
        Some((shared.last, tends))
    }

    /// What was read.
    pub(super) fn add(&self, session: SessionId, frames: Vec<Stored>) {
        let mut memory = self.memory();
        let Some(shared) = memory.rooms.get_mut(&session) else {
            return;
        };
        for frame in frames {
            if frame.seq <= shared.last {
                continue;
            }
            shared.last = frame.seq;
            shared.bytes = shared.bytes.saturating_add(frame.frame.len());
            shared.frames.push_back(Arc::new(frame));
        }
        while shared.frames.len() > FRAMES_MAX || shared.bytes > FRAMES_BYTES_MAX {
            let Some(dropped) = shared.frames.pop_front() else {
                break;
            };
            shared.first = dropped.seq;
            shared.bytes = shared.bytes.saturating_sub(dropped.frame.len());
        }
    }

    /// Whoever read has come to the end, or was given up.
    pub(super) fn end(&self, session: SessionId) {
        if let Some(shared) = self.memory().rooms.get_mut(&session) {
            shared.polling = None;
        }
    }

    // ---- Documents ----

    /// Keeps the document of a room until the next input.
    pub(super) fn keep_document(&self, session: SessionId, mark: String, document: LoadedDocument) {
        let mut memory = self.memory();
        memory.documents.retain(|(kept, ..)| *kept != session);
        memory.documents.push_back((session, mark, document));
        if memory.documents.len() > DOCUMENTS_MAX {
            memory.documents.pop_front();
        }
    }

    /// The document of a room, if it is the one with this mark.
    pub(super) fn take_document(&self, session: SessionId, mark: &str) -> Option<LoadedDocument> {
        let mut memory = self.memory();
        let at = memory
            .documents
            .iter()
            .position(|(kept, ..)| *kept == session)?;
        let (_, kept, document) = memory.documents.remove(at)?;
        (kept == mark).then_some(document)
    }
}
