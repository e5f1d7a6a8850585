//! The history, page by page: what is recorded, and behind it what the newest updates tell.

use codecrafter_shared::api::{HistoryPage, HistoryStep, SessionContent};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::limits;

use super::super::{Retold, Step, Texts};
use super::{Kept, integer, stored, told};
use crate::error::Refusal;
use crate::ports::{Db, DbError};
use crate::room::tag::tag;

/// At most `limit` steps from the one with the number `from` on; from the nearest one that is kept,
/// if that is none. Who has made them is not told by name.
///
/// # Errors
/// [`ErrorCode::Unavailable`] if they were forgotten at the same moment; those of the database.
pub async fn read(
    db: &dyn Db,
    room: SessionId,
    from: u64,
    limit: u32,
) -> Result<HistoryPage, Refusal> {
    let stored = stored(db, room).await?;
    let recorded = stored.last.as_ref().map_or(0, |last| last.number);
    // Where nothing has happened yet that can be told, the text is the one that there is.
    let wanted = !stored.edits.is_empty() || stored.last.is_none();
    let tail = wanted.then(|| told(stored.state.as_deref(), &stored.edits));
    let tail = tail.flatten();
    let present = tail.as_ref().map(|tail| tail.end.clone());
    let tail = tail.filter(|tail| !tail.steps.is_empty());
    let tail = tail.map(|tail| Piece::of_tail(recorded.saturating_add(1), tail));
    let last = tail.as_ref().map_or(recorded, Piece::last);
    let first = stored.first.unwrap_or(recorded.saturating_add(1));
    let from = from.clamp(first, last.saturating_add(1));

    let piece = match tail {
        Some(tail) if from > recorded => tail,
        None if stored.last.is_none() => Piece {
            key: present.unwrap_or_default(),
            next: from,
            ..Piece::default()
        },
        tail => {
            let segment = segment(db, room, from.min(recorded)).await?;
            let newest = stored.last.filter(|_| segment.last() >= recorded);
            let goes_on = |tail: &Piece| newest.is_some_and(|last| last.tag == tag(&tail.key));
            segment.with(tail.filter(goes_on))
        }
    };
    let (start, steps, next) = piece.page(from, limit);
    Ok(HistoryPage {
        first,
        last,
        from,
        start,
        steps,
        people: Vec::new(),
        next: (next <= last).then_some(next),
    })
}

/// What can be told in one go: a segment, or the tail.
#[derive(Debug, Default)]
struct Piece {
    /// The text before its first step.
    key: SessionContent,
    /// Its steps, as far as they can be read.
    steps: Vec<HistoryStep>,
    /// The step behind it.
    next: u64,
    /// Whether some of its steps cannot be read.
    broken: bool,
}

impl Piece {
    fn of_tail(first: u64, tail: Retold) -> Self {
        let steps = numbered(first, tail.steps);
        Self {
            key: tail.start,
            next: steps
                .last()
                .map_or(first, |step| step.number.saturating_add(1)),
            steps,
            broken: false,
        }
    }

    fn last(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// With what follows it.
    fn with(mut self, tail: Option<Self>) -> Self {
        if let Some(tail) = tail
            && !self.broken
        {
            self.steps.extend(tail.steps);
            self.next = tail.next;
        }
        self
    }

    /// The text before a step, at most `limit` steps from it on, and the step behind them.
    fn page(self, from: u64, limit: u32) -> (SessionContent, Vec<HistoryStep>, u64) {
        let mut texts = Texts::of(&self.key);
        let mut steps = self.steps;
        let here = steps.split_off(steps.partition_point(|step| step.number < from));
        let made = steps.iter().all(|step| texts.apply(&step.files).is_some());
        let Some(start) = texts.read().filter(|_| made) else {
            tracing::warn!("a part of a history does not fit its text");
            return (SessionContent::default(), Vec::new(), self.next);
        };
        let (all, limit) = (here.len(), usize::try_from(limit).unwrap_or(usize::MAX));
        let mut bytes: usize = 0;
        let fits = |step: &HistoryStep| {
            let fits = bytes < limits::HISTORY_PAGE_BYTES_MAX;
            let splices = step.files.iter().flat_map(|file| &file.splices);
            let more = splices.map(|splice| splice.inserted.len());
            bytes = more.fold(bytes, usize::saturating_add);
            fits
        };
        let here: Vec<HistoryStep> = here.into_iter().take(limit).take_while(fits).collect();
        let next = match here.last() {
            Some(step) if here.len() < all => step.number.saturating_add(1),
            _ => self.next,
        };
        (start, here, next)
    }
}

/// The text after a step, or before all of them.
///
/// # Errors
/// [`ErrorCode::StepNotFound`]; as [`read`].
pub async fn text_after(
    db: &dyn Db,
    room: SessionId,
    step: u64,
) -> Result<SessionContent, Refusal> {
    let not_found = || Refusal::new(ErrorCode::StepNotFound);
    let told = read(db, room, step, 1).await?;
    if step.saturating_add(1) == told.first && told.first <= told.last {
        return Ok(told.start);
    }
    let here = told.steps.first().filter(|here| here.number == step);
    let mut texts = Texts::of(&told.start);
    texts
        .apply(&here.ok_or_else(not_found)?.files)
        .and_then(|()| texts.read())
        .ok_or_else(not_found)
}

/// The segment with the step of that number.
async fn segment(db: &dyn Db, room: SessionId, number: u64) -> Result<Piece, Refusal> {
    let (rows, next): (Vec<(u64, Vec<u8>)>, u64) = db
        .transaction(|tx| async move {
            let sql = "SELECT key FROM room_history WHERE room = ? AND number <= ? \
                       ORDER BY number DESC LIMIT 1";
            let row = tx.first(sql, [room.into(), integer(number)]).await?;
            let key: u64 = row.map_or(Ok(0), |row| row.get("key"))?;
            let (mut rows, mut next) = (Vec::new(), key);
            loop {
                let sql = "SELECT steps, data FROM room_history
                           WHERE room = ? AND number = ? AND key = ? ORDER BY part";
                let (mut steps, mut data): (u64, Vec<u8>) = (0, Vec::new());
                let values = [room.into(), integer(next), integer(key)];
                for row in tx.execute(sql, values).await? {
                    steps = row.get("steps")?;
                    data.extend(row.get::<Vec<u8>>("data")?);
                }
                if steps == 0 {
                    return Ok::<_, DbError>((rows, next));
                }
                rows.push((next, data));
                next = next.saturating_add(steps);
            }
        })
        .await?;
    if rows.is_empty() {
        return Err(Refusal::retry_after(ErrorCode::Unavailable, 1));
    }
    let mut piece = Piece {
        next,
        ..Piece::default()
    };
    for (n, (number, data)) in rows.into_iter().enumerate() {
        let Ok(kept) = serde_json::from_slice::<Kept>(&data) else {
            // What follows it does not fit what is before it.
            tracing::warn!("a row of a history cannot be read");
            piece.broken = true;
            break;
        };
        if n == 0 {
            piece.key = kept.key.clone().unwrap_or_default();
        }
        piece.steps.extend(numbered(number, kept.steps()));
    }
    Ok(piece)
}

fn numbered(first: u64, steps: Vec<Step>) -> Vec<HistoryStep> {
    let numbered = (first..).zip(steps);
    let numbered = numbered.map(|(number, Step { at, users, files })| HistoryStep {
        number,
        at,
        user_ids: users,
        files,
    });
    numbered.collect()
}
