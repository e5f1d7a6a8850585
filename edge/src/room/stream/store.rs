//! How a room is stored that lives between requests: itself, its connections' last signs of life,
//! and a numbered row for each frame that somebody is to get. The document and access are
//! [`crate::room::store`]'s.
//!
//! The tables have the name that a stream had when they were first made: `room_feed`.

use codecrafter_shared::id::SessionId;
use codecrafter_shared::relay::CloseCode;
use codecrafter_shared::time::Timestamp;

use crate::ports::{Db, DbError, Row, Tx, Value};
use crate::room::history::store as history;
use crate::room::{Audience, Change, ConnectionId, Output, Suspended, store};

const SCHEMA: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS room_feed_head (
        room TEXT NOT NULL PRIMARY KEY,
        version INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        first_seq INTEGER NOT NULL,
        document TEXT,
        due INTEGER,
        state TEXT NOT NULL
    )",
    "CREATE TABLE IF NOT EXISTS room_feed (
        room TEXT NOT NULL,
        seq INTEGER NOT NULL,
        part INTEGER NOT NULL,
        at INTEGER NOT NULL,
        target INTEGER,
        excluded INTEGER,
        app_only INTEGER NOT NULL,
        code INTEGER,
        frame BLOB NOT NULL,
        PRIMARY KEY (room, seq, part)
    ) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS room_feed_seen (
        room TEXT NOT NULL,
        connection INTEGER NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (room, connection)
    ) WITHOUT ROWID",
];

const FORGET: [&str; 3] = [
    "DELETE FROM room_feed_head WHERE room = ?",
    "DELETE FROM room_feed WHERE room = ?",
    "DELETE FROM room_feed_seen WHERE room = ?",
];

/// Bytes of a row's frame; longer ones are in several rows. A row has at most 1 MB (E3).
const PART_BYTES_MAX: usize = 512 * 1024;
/// How long a frame is kept for those who come back.
const KEPT_MS: i64 = 60_000;
/// How many numbers go by between two times of tidying up.
const TIDY_EVERY: u64 = 64;
/// Rows that are read at a time.
const ROWS_MAX: i64 = 256;

/// Creates the tables that are missing. Harmless to repeat.
///
/// # Errors
/// What the database says.
pub(super) async fn migrate(db: &dyn Db) -> Result<(), DbError> {
    store::migrate(db).await?;
    db.transaction(|tx| async move {
        for table in SCHEMA {
            tx.execute(table, []).await?;
        }
        Ok(())
    })
    .await
}

/// A room between two inputs.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Grows with every commit; 0 for a room that nobody has connected to.
    pub(super) version: u64,
    /// The number of the last frame.
    pub(super) seq: u64,
    /// Those before it are not kept any more.
    pub(super) first_seq: u64,
    /// Which document belongs to it: [`LoadedDocument::mark`](crate::room::LoadedDocument::mark).
    pub(super) document: Option<String>,
    /// When something is due.
    pub(super) due: Option<Timestamp>,
    /// What there is of it besides.
    pub(super) room: Suspended,
}

/// Reads a room.
///
/// # Errors
/// What the database says, or that what it says is no room.
pub(super) async fn head(db: &dyn Db, room: SessionId) -> Result<Head, DbError> {
    let sql =
        "SELECT version, seq, first_seq, document, due, state FROM room_feed_head WHERE room = ?";
    let Some(row) = db.statement(sql, vec![room.into()]).await? else {
        return Ok(Head::default());
    };
    Ok(Head {
        version: row.get("version")?,
        seq: row.get("seq")?,
        first_seq: row.get("first_seq")?,
        document: row.get("document")?,
        due: row.get("due")?,
        room: row.parse("state", |json| serde_json::from_str(json).ok())?,
    })
}

/// What is to be put back.
pub(super) struct Commit<'a> {
    /// As it was read, for comparison.
    pub(super) version: u64,
    /// The number of the last frame, before these.
    pub(super) seq: u64,
    /// The oldest that is kept.
    pub(super) first_seq: u64,
    /// Which document belongs to it now.
    pub(super) document: Option<&'a str>,
    /// When something is due.
    pub(super) due: Option<Timestamp>,
    /// The room, as JSON.
    pub(super) state: &'a str,
    /// What it has changed.
    pub(super) changes: &'a [Change],
    /// What others are to get.
    pub(super) outputs: &'a [Output],
    /// Connections that are no more.
    pub(super) gone: &'a [ConnectionId],
    /// Whether nothing of it is to be kept: its session is deleted, and nobody is left to be told.
    pub(super) forgotten: bool,
    /// Now.
    pub(super) now: Timestamp,
}

/// Puts a room back, with all that follows from its input.
///
/// # Errors
/// [`DbError::Busy`] if somebody else has put it back meanwhile: read it again.
pub(super) async fn commit(
    db: &dyn Db,
    room: SessionId,
    commit: &Commit<'_>,
) -> Result<(), DbError> {
    let records = &history::record(db, room, commit.changes).await?;
    db.transaction(|tx| async move {
        let sql = "SELECT version FROM room_feed_head WHERE room = ?";
        let found = tx.first(sql, [room.into()]).await?;
        let version = found.map_or(Ok(0), |row| row.get::<u64>("version"))?;
        if version != commit.version {
            return Err(DbError::Busy);
        }
        let mut seq = commit.seq;
        store::persist_in(&tx, room, commit.changes, records).await?;
        if commit.forgotten {
            for sql in FORGET {
                tx.execute(sql, [room.into()]).await?;
            }
            return Ok(());
        }
        if commit.changes.contains(&Change::Purge) {
            let sql = "DELETE FROM room_feed WHERE room = ?";
            tx.execute(sql, [room.into()]).await?;
        }
        for output in commit.outputs {
            if let Some(row) = FrameRow::of(output) {
                seq = seq.saturating_add(1);
                insert(&tx, room, seq, commit.now, &row).await?;
            }
        }
        for gone in commit.gone {
            let sql = "DELETE FROM room_feed_seen WHERE room = ? AND connection = ?";
            tx.execute(sql, [room.into(), id(*gone)]).await?;
        }
        let first_seq = if seq / TIDY_EVERY > commit.seq / TIDY_EVERY {
            tidy(&tx, room, commit.now, seq).await?
        } else {
            commit.first_seq
        };
        let sql = "INSERT INTO room_feed_head
                   (room, version, seq, first_seq, document, due, state)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                   ON CONFLICT (room) DO UPDATE SET version = ?2, seq = ?3, first_seq = ?4,
                   document = ?5, due = ?6, state = ?7";
        let values = [
            room.into(),
            number(version.saturating_add(1)),
            number(seq),
            number(first_seq),
            commit.document.map(str::to_owned).into(),
            commit.due.into(),
            commit.state.into(),
        ];
        tx.execute(sql, values).await?;
        Ok(())
    })
    .await
}

async fn insert(
    tx: &Tx,
    room: SessionId,
    seq: u64,
    now: Timestamp,
    row: &FrameRow<'_>,
) -> Result<(), DbError> {
    let sql = "INSERT INTO room_feed
               (room, seq, part, at, target, excluded, app_only, code, frame)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let mut parts: Vec<&[u8]> = row.frame.chunks(PART_BYTES_MAX).collect();
    if parts.is_empty() {
        parts.push(&[]);
    }
    for (part, data) in (0_i64..).zip(parts) {
        let values: [Value; 9] = [
            room.into(),
            number(seq),
            part.into(),
            now.into(),
            row.target.map_or(Value::Null, id),
            row.excluded.map_or(Value::Null, id),
            row.app_only.into(),
            row.code
                .map_or(Value::Null, |code| i64::from(code.code()).into()),
            data.to_vec().into(),
        ];
        tx.execute(sql, values).await?;
    }
    Ok(())
}

/// Removes what nobody comes back for any more; gives the first that is kept.
async fn tidy(tx: &Tx, room: SessionId, now: Timestamp, seq: u64) -> Result<u64, DbError> {
    let sql = "SELECT min(seq) AS first FROM room_feed WHERE room = ? AND at >= ?";
    let since = now.plus_millis(-KEPT_MS);
    let row = tx.first(sql, [room.into(), since.into()]).await?;
    let first = row.map(|row| row.get::<Option<u64>>("first")).transpose()?;
    let first = first.flatten().unwrap_or(seq.saturating_add(1));
    let sql = "DELETE FROM room_feed WHERE room = ? AND seq < ?";
    tx.execute(sql, [room.into(), number(first)]).await?;
    Ok(first)
}

/// A frame for somebody, or the end of a connection.
struct FrameRow<'a> {
    target: Option<ConnectionId>,
    excluded: Option<ConnectionId>,
    app_only: bool,
    code: Option<CloseCode>,
    frame: &'a [u8],
}

impl<'a> FrameRow<'a> {
    /// None for what is no frame.
    fn of(output: &'a Output) -> Option<Self> {
        let nothing = Self {
            target: None,
            excluded: None,
            app_only: false,
            code: None,
            frame: &[],
        };
        match output {
            Output::Send { to, frame } => Some(Self {
                target: Some(*to),
                frame,
                ..nothing
            }),
            Output::Broadcast { to, except, frame } => Some(Self {
                excluded: *except,
                app_only: *to == Audience::AppClients,
                frame,
                ..nothing
            }),
            Output::Close { connection, code } => Some(Self {
                target: Some(*connection),
                code: Some(*code),
                ..nothing
            }),
            // Versions that nobody asked for are taken at the next write or list.
            Output::Remember(_) | Output::FlushIn(_) | Output::WakeAt(_) | Output::TakeVersion => {
                None
            }
        }
    }
}

/// A frame as it was stored.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// Its number.
    pub(super) seq: u64,
    target: Option<u64>,
    excluded: Option<u64>,
    app_only: bool,
    /// The close code, if it is the end of a connection.
    pub(super) code: Option<u32>,
    /// The frame; empty if it is an end.
    pub(super) frame: Vec<u8>,
}

impl Stored {
    /// Whether it is for a connection.
    pub(super) fn is_for(&self, connection: ConnectionId, app_frames: bool) -> bool {
        self.target.is_none_or(|target| target == connection.0)
            && self.excluded != Some(connection.0)
            && (app_frames || !self.app_only)
    }
}

/// Frames after the one with the number `after`, oldest first; not all, if there are many.
///
/// # Errors
/// What the database says.
pub(super) async fn frames_after(
    db: &dyn Db,
    room: SessionId,
    after: u64,
) -> Result<Vec<Stored>, DbError> {
    let sql = "SELECT seq, target, excluded, app_only, code, frame FROM room_feed
               WHERE room = ? AND seq > ? ORDER BY seq, part LIMIT ?";
    let values = vec![room.into(), number(after), ROWS_MAX.into()];
    let rows: Vec<Row> = db.query(sql, values).await?.into_iter().collect();
    let full = rows.len() >= usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
    let mut frames: Vec<Stored> = Vec::new();
    for row in rows {
        let seq = row.get("seq")?;
        let part: Vec<u8> = row.get("frame")?;
        match frames.last_mut() {
            Some(last) if last.seq == seq => last.frame.extend(part),
            _ => frames.push(Stored {
                seq,
                target: row.get("target")?,
                excluded: row.get("excluded")?,
                app_only: row.get("app_only")?,
                code: row.get("code")?,
                frame: part,
            }),
        }
    }
    // The last may have parts that were not read; it alone, if it is as long as that, is whole.
    if full && frames.len() > 1 {
        frames.pop();
    }
    Ok(frames)
}

/// Notes that a connection is alive until then, unless more is heard of it.
///
/// # Errors
/// What the database says.
pub(super) async fn seen(
    db: &dyn Db,
    room: SessionId,
    connection: ConnectionId,
    until: Timestamp,
) -> Result<(), DbError> {
    let sql = "INSERT INTO room_feed_seen (room, connection, until) VALUES (?, ?, ?)
               ON CONFLICT (room, connection) DO UPDATE SET until = excluded.until
               RETURNING until";
    let values = vec![room.into(), id(connection), until.into()];
    db.statement(sql, values).await.map(drop)
}

/// Connections that nothing was heard of for too long.
///
/// # Errors
/// What the database says.
pub(super) async fn lost(
    db: &dyn Db,
    room: SessionId,
    now: Timestamp,
) -> Result<Vec<ConnectionId>, DbError> {
    let sql = "SELECT connection FROM room_feed_seen WHERE room = ? AND until <= ?";
    let rows = db.query(sql, vec![room.into(), now.into()]).await?;
    rows.into_iter()
        .map(|row| row.get("connection").map(ConnectionId))
        .collect()
}

fn id(connection: ConnectionId) -> Value {
    number(connection.0)
}

fn number(n: u64) -> Value {
    // Beyond the range of the database the statement fails, as it should.
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}
