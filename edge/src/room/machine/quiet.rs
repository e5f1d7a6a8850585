//! When nobody edits, there is time to make one state of the updates behind the newest one: whoever
//! comes next, or the room itself when it has slept, reads that faster. It is done long before it
//! must be, so an edit rarely has to wait for it.

use codecrafter_shared::time::Timestamp;

/// Nobody edits if nobody has for so long.
const QUIET_MS: i64 = 30_000;
/// Fewer rows are not worth a state, which is a row or more by itself.
const ROWS_MIN: u64 = 32;

/// The rows behind the newest state, and since when there are no more.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    rows: u64,
    /// Rows that were found to be good for no state.
    refused: u64,
    /// When there was an edit.
    edited_at: Timestamp,
    /// Whether the rows are known from before a sleep only.
    asleep: bool,
}

impl Quiet {
    /// Of a room that wakes: it has been quiet until now.
    pub(super) fn new(rows: u64, now: Timestamp) -> Self {
        Self {
            rows,
            refused: 0,
            edited_at: now.plus_millis(-QUIET_MS),
            asleep: true,
        }
    }

    /// The document was loaded.
    pub(super) fn loaded(&mut self, rows: u64) {
        self.rows = rows;
        self.asleep = false;
    }

    /// Somebody has edited; there are so many rows now.
    pub(super) fn edited(&mut self, rows: u64, now: Timestamp) {
        self.rows = rows;
        self.refused = self.refused.min(rows);
        self.edited_at = now;
    }

    /// The rows cannot become a state.
    pub(super) fn refuse(&mut self) {
        self.refused = self.rows;
    }

    fn is_worth_it(&self) -> bool {
        self.rows.saturating_sub(self.refused) >= ROWS_MIN
    }

    /// Whether the document is to be loaded when the time has come: for a room that has slept.
    pub(super) fn wants_document(&self) -> bool {
        self.asleep && self.is_worth_it()
    }

    /// When the quiet has been long enough, if there is anything to do then.
    pub(super) fn over_at(&self) -> Option<Timestamp> {
        let over = self.edited_at.plus_millis(QUIET_MS);
        self.is_worth_it().then_some(over)
    }

    /// Whether it has been long enough.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.over_at().is_some_and(|over| over <= now)
    }
}
