//! The history in the room's database; [`pages`] reads it.
//!
//! It is a row of steps for each state that a room has made of its updates; a larger one is cut into
//! parts. Some rows begin with the whole text: with those that follow they are a segment, which can
//! be read without the ones before it and is forgotten as a whole.

pub mod pages;

use codecrafter_shared::api::{FileChange, HistoryFile, HistorySplice, SessionContent};
use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Edit, Retold, Step, retell};
use crate::ports::{Db, DbError, Row, Tx, Value};
use crate::room::Change;
use crate::room::tag::tag;

/// The table. `steps` from `number` on are in a row, of the segment that begins with the step `key`.
/// `starts` and `ends` count all bytes that were ever written before the segment and up to the row;
/// `tag` is that of the text behind it, `at` the time of its last step.
pub(in crate::room) const SCHEMA: [&str; 1] = ["CREATE TABLE IF NOT EXISTS room_history (
        room TEXT NOT NULL,
        number INTEGER NOT NULL,
        part INTEGER NOT NULL,
        steps INTEGER NOT NULL,
        key INTEGER NOT NULL,
        key_bytes INTEGER NOT NULL,
        starts INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        at INTEGER NOT NULL,
        tag TEXT NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (room, number, part)
    ) WITHOUT ROWID"];

/// The tables of what goes when the session is deleted.
pub(in crate::room) const TABLES: [&str; 1] = ["room_history"];

/// Half of what a row may hold.
const PART_BYTES: usize = 512 * 1024;
/// Bytes of steps behind a text after which the next row begins with one again; twice those of the
/// text itself if that is more, so that texts are at most a third of what is kept.
const SEGMENT_BYTES: u64 = 64 * 1024;
/// What is left when it was too much: less than may be, so that it need not be done each time.
const THINNED_BYTES: u64 = limits::HISTORY_BYTES_MAX / 8 * 7;

/// What is written for one new state of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    last: Last,
    number: u64,
    parts: Vec<Vec<u8>>,
}

/// The end of what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Last {
    /// The last step.
    number: u64,
    key: u64,
    key_bytes: u64,
    starts: u64,
    ends: u64,
    at: Timestamp,
    tag: String,
}

/// What a row holds, as JSON: it names each user once.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    key: Option<SessionContent>,
    users: Vec<UserId>,
    steps: Vec<(Timestamp, Vec<usize>, Vec<KeptFile>)>,
}

type KeptFile = (Option<String>, FileChange, Vec<(u32, u32, String)>);

impl Kept {
    fn new(key: Option<SessionContent>, steps: &[Step]) -> Self {
        let mut users: Vec<UserId> = Vec::new();
        let mut kept = Vec::new();
        for step in steps {
            let mut of = Vec::new();
            for user in &step.users {
                let known = users.iter().position(|known| known == user);
                of.push(known.unwrap_or(users.len()));
                if known.is_none() {
                    users.push(*user);
                }
            }
            let splice = |s: &HistorySplice| (s.at, s.removed, s.inserted.clone());
            let file = |file: &HistoryFile| {
                let splices = file.splices.iter().map(splice).collect();
                (file.path.clone(), file.change, splices)
            };
            kept.push((step.at, of, step.files.iter().map(file).collect()));
        }
        Self {
            key,
            users,
            steps: kept,
        }
    }

    /// What it tells.
    fn steps(self) -> Vec<Step> {
        let Self { users, steps, .. } = self;
        let file = |(path, change, splices): KeptFile| HistoryFile {
            path,
            change,
            splices: splices
                .into_iter()
                .map(|(at, removed, inserted)| HistorySplice {
                    at,
                    removed,
                    inserted,
                })
                .collect(),
        };
        let step = |(at, of, files): (Timestamp, Vec<usize>, Vec<KeptFile>)| Step {
            at,
            users: of.iter().filter_map(|n| users.get(*n).copied()).collect(),
            files: files.into_iter().map(file).collect(),
        };
        steps.into_iter().map(step).collect()
    }
}

// ---- Writing ----

/// What is to be written with `changes`: something only if they make a new state of what is stored.
///
/// # Errors
/// Those of the database.
pub async fn record(
    db: &dyn Db,
    room: SessionId,
    changes: &[Change],
) -> Result<Vec<Record>, DbError> {
    let mut records = Vec::new();
    if !changes.iter().any(|c| matches!(c, Change::Compact { .. })) {
        return Ok(records);
    }
    let Stored {
        mut state,
        mut edits,
        mut last,
        ..
    } = stored(db, room).await?;
    for change in changes {
        match change {
            Change::AppendUpdate {
                at, actors, data, ..
            } => edits.push(Edit {
                at: *at,
                actors: actors.clone(),
                data: data.clone(),
            }),
            Change::Compact {
                parts, last: more, ..
            } => {
                edits.extend(more.clone());
                if let Some(record) = record_of(state.as_deref(), &edits, last.as_ref()) {
                    last = Some(record.last.clone());
                    records.push(record);
                }
                state = Some(parts.concat());
                edits.clear();
            }
            Change::Purge => return Ok(Vec::new()),
            _ => {}
        }
    }
    Ok(records)
}

fn record_of(state: Option<&[u8]>, edits: &[Edit], last: Option<&Last>) -> Option<Record> {
    if edits.is_empty() {
        return None;
    }
    let Retold { start, steps, end } = told(state, edits)?;
    let at = steps.last()?.at;
    let goes_on = last.filter(|last| {
        let steps_bytes = last
            .ends
            .saturating_sub(last.starts)
            .saturating_sub(last.key_bytes);
        let enough = SEGMENT_BYTES.max(last.key_bytes.saturating_mul(2));
        steps_bytes < enough && last.tag == tag(&start)
    });
    let before = last.map_or(0, |last| last.ends);
    let number = last.map_or(1, |last| last.number.saturating_add(1));
    let count = u64::try_from(steps.len()).ok()?;
    let key = goes_on.is_none().then_some(start);
    let key_bytes = match &key {
        Some(text) => u64::try_from(serde_json::to_vec(text).ok()?.len()).ok()?,
        None => 0,
    };
    let data = serde_json::to_vec(&Kept::new(key, &steps)).ok()?;
    let ends = before.saturating_add(u64::try_from(data.len()).ok()?);
    Some(Record {
        number,
        parts: data.chunks(PART_BYTES).map(<[u8]>::to_vec).collect(),
        last: Last {
            number: last.map_or(0, |last| last.number).saturating_add(count),
            key: goes_on.map_or(number, |last| last.key),
            key_bytes: goes_on.map_or(key_bytes, |last| last.key_bytes),
            starts: goes_on.map_or(before, |last| last.starts),
            ends,
            at,
            tag: tag(&end),
        },
    })
}

/// As [`retell`]; `None` also if that would take too long.
fn told(state: Option<&[u8]>, edits: &[Edit]) -> Option<Retold> {
    let bytes = edits.iter().map(|edit| edit.data.len());
    let bytes = bytes.fold(state.map_or(0, <[u8]>::len), usize::saturating_add);
    if bytes > limits::HISTORY_STATE_BYTES_MAX {
        return None;
    }
    let told = retell(state, edits);
    if told.is_none() {
        tracing::warn!("what some edits have changed cannot be told");
    }
    told
}

/// Writes a record, and forgets what is too much or too old with it.
///
/// # Errors
/// Those of the database.
pub(in crate::room) async fn write(
    tx: &Tx,
    room: SessionId,
    record: &Record,
) -> Result<(), DbError> {
    let Record {
        last,
        number,
        parts,
    } = record;
    let steps = last.number.saturating_add(1).saturating_sub(*number);
    for (part, data) in (0_i64..).zip(parts) {
        let sql = "INSERT INTO room_history (room, number, part, steps, key, key_bytes, starts, \
                   ends, at, tag, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values: [Value; 11] = [
            room.into(),
            integer(*number),
            part.into(),
            integer(steps),
            integer(last.key),
            integer(last.key_bytes),
            integer(last.starts),
            integer(last.ends),
            last.at.into(),
            last.tag.as_str().into(),
            data.clone().into(),
        ];
        tx.execute(sql, values).await?;
    }
    let sql = "SELECT starts, at FROM room_history WHERE room = ? ORDER BY number, part LIMIT 1";
    let Some(oldest) = tx.first(sql, [room.into()]).await? else {
        return Ok(());
    };
    let since = last.at.plus_millis(-limits::HISTORY_AGE_MS);
    let held = last.ends.saturating_sub(oldest.get("starts")?);
    if held <= limits::HISTORY_BYTES_MAX && oldest.get::<Timestamp>("at")? >= since {
        return Ok(());
    }
    let sql = "SELECT min(key) AS key FROM room_history WHERE room = ? AND starts >= ? AND at >= ?";
    let values = [
        room.into(),
        integer(last.ends.saturating_sub(THINNED_BYTES)),
        since.into(),
    ];
    let first = tx.first(sql, values).await?;
    let first: Option<u64> = first.map_or(Ok(None), |row| row.get("key"))?;
    let sql = "DELETE FROM room_history WHERE room = ? AND number < ?";
    let first = first.unwrap_or(last.key);
    tx.execute(sql, [room.into(), integer(first)]).await?;
    Ok(())
}

// ---- Reading ----

/// What is stored of a document and its history, of one moment.
struct Stored {
    /// The newest state.
    state: Option<Vec<u8>>,
    /// The updates behind it.
    edits: Vec<Edit>,
    /// The first step that is kept.
    first: Option<u64>,
    last: Option<Last>,
}

/// Reads that.
///
/// # Errors
/// Those of the database.
async fn stored(db: &dyn Db, room: SessionId) -> Result<Stored, DbError> {
    db.transaction(|tx| async move {
        let sql = "SELECT at, actor, data FROM room_update WHERE room = ? ORDER BY seq";
        let mut edits = Vec::new();
        for row in tx.execute(sql, [room.into()]).await? {
            edits.push(edit(&row)?);
        }
        let sql = "SELECT data FROM room_snapshot WHERE room = ?1 AND generation =
                   (SELECT max(generation) FROM room_snapshot WHERE room = ?1) ORDER BY part";
        let mut state: Option<Vec<u8>> = None;
        for row in tx.execute(sql, [room.into()]).await? {
            let part: Vec<u8> = row.get("data")?;
            state.get_or_insert_default().extend(part);
        }
        let sql = "SELECT number FROM room_history WHERE room = ? ORDER BY number LIMIT 1";
        let first = tx.first(sql, [room.into()]).await?;
        let sql = "SELECT number, steps, key, key_bytes, starts, ends, at, tag FROM room_history
                   WHERE room = ? ORDER BY number DESC LIMIT 1";
        let last = tx.first(sql, [room.into()]).await?;
        Ok(Stored {
            state,
            edits,
            first: first.map(|row| row.get("number")).transpose()?,
            last: last.as_ref().map(read_last).transpose()?,
        })
    })
    .await
}

fn edit(row: &Row) -> Result<Edit, DbError> {
    let actors: Option<String> = row.get("actor")?;
    let actors = actors.as_deref().unwrap_or_default().split(',');
    Ok(Edit {
        at: row.get("at")?,
        actors: actors.filter_map(|id| id.parse().ok()).collect(),
        data: row.get("data")?,
    })
}

fn read_last(row: &Row) -> Result<Last, DbError> {
    let (number, steps): (u64, u64) = (row.get("number")?, row.get("steps")?);
    Ok(Last {
        number: number.saturating_add(steps).saturating_sub(1),
        key: row.get("key")?,
        key_bytes: row.get("key_bytes")?,
        starts: row.get("starts")?,
        ends: row.get("ends")?,
        at: row.get("at")?,
        tag: row.get("tag")?,
    })
}

fn integer(n: u64) -> Value {
    // Beyond the range of the database the statement fails, or finds nothing, as it should.
    Value::Integer(
        i64::try_from(n)
            .unwrap_or(i64::MAX)
            .min(crate::ports::INTEGER_MAX),
    )
}
