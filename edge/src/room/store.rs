//! How a room is stored: the newest states of its document, the updates behind them, and its
//! access. One database may hold many rooms, so every key starts with the room (E3).
//!
//! An update is stored after it was integrated, so what is stored has been in a document once. A
//! stored update still must never be able to make a room unusable, should a later `yrs` fail on
//! it. One that is refused while loading goes to `room_quarantine`, and the room goes on without
//! it. One that ends the process is found out: loads that do not come to an end are counted, and
//! after two of them each piece is noted as a suspect until it was loaded. A suspect of
//! [`SUSPECT_MS`] ago was the last thing that some load has touched.

use std::fmt;

use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;

use super::Change;
use super::access::AccessNotice;
use super::document::{Document, Refusal};
use super::logins::EndedLogin;
use super::machine::{LoadedDocument, Stored};
use crate::ports::{Db, DbError, Row, Tx, Value};

/// The version of the tables below.
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: [&str; 7] = [
    "CREATE TABLE IF NOT EXISTS room_head (
        room TEXT NOT NULL PRIMARY KEY,
        generation INTEGER NOT NULL,
        base_seq INTEGER NOT NULL,
        loads INTEGER NOT NULL
    )",
    "CREATE TABLE IF NOT EXISTS room_snapshot (
        room TEXT NOT NULL,
        generation INTEGER NOT NULL,
        part INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (room, generation, part)
    ) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS room_update (
        room TEXT NOT NULL,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        actor TEXT,
        data BLOB NOT NULL,
        PRIMARY KEY (room, seq)
    ) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS room_access (
        room TEXT NOT NULL PRIMARY KEY,
        version INTEGER NOT NULL,
        locked INTEGER NOT NULL,
        deleted INTEGER NOT NULL,
        participants TEXT NOT NULL
    )",
    "CREATE TABLE IF NOT EXISTS room_ended_login (
        room TEXT NOT NULL,
        user_id TEXT NOT NULL,
        login_session_id TEXT NOT NULL,
        until INTEGER NOT NULL,
        and_before INTEGER NOT NULL,
        PRIMARY KEY (room, user_id, login_session_id)
    ) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS room_suspect (
        room TEXT NOT NULL,
        piece TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (room, piece)
    ) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS room_quarantine (
        room TEXT NOT NULL,
        piece TEXT NOT NULL,
        part INTEGER NOT NULL,
        at INTEGER NOT NULL,
        why TEXT NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (room, piece, at, part)
    ) WITHOUT ROWID",
];

/// The tables of what goes when the session is deleted: all but the one that says so.
const CONTENT: [&str; 6] = [
    "room_head",
    "room_snapshot",
    "room_update",
    "room_ended_login",
    "room_suspect",
    "room_quarantine",
];

/// Creates the tables that are missing. Harmless to repeat.
///
/// # Errors
/// What the database says.
pub async fn migrate(db: &dyn Db) -> Result<(), DbError> {
    db.transaction(|tx| async move {
        let versions = "CREATE TABLE IF NOT EXISTS room_schema (
            id INTEGER PRIMARY KEY, version INTEGER NOT NULL)";
        tx.execute(versions, []).await?;
        let found = tx
            .first("SELECT version FROM room_schema WHERE id = 1", [])
            .await?;
        if let Some(row) = found
            && row.get::<i64>("version")? >= SCHEMA_VERSION
        {
            return Ok(());
        }
        for table in SCHEMA {
            tx.execute(table, []).await?;
        }
        let note = "INSERT INTO room_schema (id, version) VALUES (1, ?)
                    ON CONFLICT (id) DO UPDATE SET version = excluded.version";
        tx.execute(note, [SCHEMA_VERSION.into()]).await?;
        Ok(())
    })
    .await
}

/// What a room begins with; the document is not among it.
///
/// # Errors
/// What the database says.
pub async fn restore(db: &dyn Db, room: SessionId) -> Result<Stored, DbError> {
    db.transaction(|tx| async move {
        let sql = "SELECT version, locked, deleted, participants FROM room_access WHERE room = ?";
        let access = tx.first(sql, [room.into()]).await?;
        let sql = "SELECT * FROM room_ended_login WHERE room = ?";
        let ended = tx.execute(sql, [room.into()]).await?.into_iter();
        Ok(Stored {
            access: access.as_ref().map(read_access).transpose()?,
            ended_logins: ended
                .map(|row| read_login(&row))
                .collect::<Result<_, _>>()?,
        })
    })
    .await
}

fn read_access(row: &Row) -> Result<AccessNotice, DbError> {
    Ok(AccessNotice {
        access_version: row.get("version")?,
        locked: row.get("locked")?,
        deleted: row.get("deleted")?,
        participants: row.parse("participants", |json| {
            serde_json::from_str::<Vec<(UserId, Role)>>(json).ok()
        })?,
    })
}

fn read_login(row: &Row) -> Result<EndedLogin, DbError> {
    Ok(EndedLogin {
        user_id: row.get("user_id")?,
        login_session_id: row.get("login_session_id")?,
        until: row.get("until")?,
        and_before: row.get("and_before")?,
    })
}

/// Stores the changes of a step, all or none.
///
/// # Errors
/// What the database says; [`DbError::Busy`] also if another room of the same session has stored
/// a change of the document, or its end, since this one was loaded, which happens only where a room is loaded
/// for each input ([`super::shard::StoredRoom`]). The room must then be dropped: it is ahead of what is stored.
pub async fn persist(db: &dyn Db, room: SessionId, changes: &[Change]) -> Result<(), DbError> {
    if changes.is_empty() {
        return Ok(());
    }
    db.transaction(|tx| async move {
        for change in changes {
            persist_one(&tx, room, change).await?;
        }
        Ok(())
    })
    .await
}

async fn persist_one(tx: &Tx, room: SessionId, change: &Change) -> Result<(), DbError> {
    match change {
        Change::AppendUpdate {
            seq,
            at,
            actor,
            data,
        } => {
            let sql = "INSERT INTO room_update (room, seq, at, actor, data)
                       SELECT ?1, ?2, ?3, ?4, ?5 WHERE ?2 >
                       coalesce((SELECT base_seq FROM room_head WHERE room = ?1), 0)
                       AND NOT EXISTS (SELECT 1 FROM room_access WHERE room = ?1 AND deleted)
                       ON CONFLICT DO NOTHING RETURNING seq";
            let key = [room.into(), number(*seq), (*at).into(), (*actor).into()];
            let values = key.into_iter().chain([data.clone().into()]);
            tx.first(sql, values).await?.ok_or(DbError::Busy)?;
        }
        Change::Compact {
            generation,
            base_seq,
            parts,
        } => {
            // An update of that number is somebody else's, and not in this state.
            let sql = "SELECT seq FROM room_update WHERE room = ? AND seq >= ? LIMIT 1";
            let after = tx.first(sql, [room.into(), number(*base_seq)]).await?;
            let sql = "SELECT generation FROM room_head WHERE room = ? AND generation >= ?";
            let newer = tx.first(sql, [room.into(), number(*generation)]).await?;
            let sql = "SELECT 1 FROM room_access WHERE room = ? AND deleted";
            let deleted = tx.first(sql, [room.into()]).await?;
            if after.is_some() || newer.is_some() || deleted.is_some() {
                return Err(DbError::Busy);
            }
            let sql = "INSERT INTO room_snapshot (room, generation, part, data)
                       VALUES (?, ?, ?, ?)";
            for (part, data) in (0_i64..).zip(parts) {
                let data = data.clone().into();
                tx.execute(sql, [room.into(), number(*generation), part.into(), data])
                    .await?;
            }
            let sql = "INSERT INTO room_head (room, generation, base_seq, loads)
                       VALUES (?, ?, ?, 0) ON CONFLICT (room) DO UPDATE SET
                       generation = excluded.generation, base_seq = excluded.base_seq";
            tx.execute(sql, [room.into(), number(*generation), number(*base_seq)])
                .await?;
            let sql = "DELETE FROM room_update WHERE room = ? AND seq <= ?";
            tx.execute(sql, [room.into(), number(*base_seq)]).await?;
            // The state before this one stays, in case this one cannot be read one day.
            let sql = "DELETE FROM room_snapshot WHERE room = ? AND generation < ?";
            tx.execute(sql, [room.into(), number(generation.saturating_sub(1))])
                .await?;
        }
        Change::Access(notice) => {
            let participants = serde_json::to_string(&notice.participants)
                .map_err(|error| DbError::Failed(error.to_string()))?;
            let sql = "INSERT INTO room_access (room, version, locked, deleted, participants)
                       VALUES (?, ?, ?, ?, ?) ON CONFLICT (room) DO UPDATE SET
                       version = excluded.version, locked = excluded.locked,
                       deleted = excluded.deleted, participants = excluded.participants
                       WHERE excluded.version > room_access.version";
            let version = number(notice.access_version);
            let flags = [notice.locked.into(), notice.deleted.into()];
            let key = [room.into(), version].into_iter().chain(flags);
            tx.execute(sql, key.chain([participants.into()])).await?;
        }
        Change::Purge => {
            for table in CONTENT {
                let sql = format!("DELETE FROM {table} WHERE room = ?");
                tx.execute(&sql, [room.into()]).await?;
            }
        }
        Change::LoginEnded(login) => {
            let sql = "INSERT INTO room_ended_login
                       (room, user_id, login_session_id, until, and_before)
                       VALUES (?, ?, ?, ?, ?)
                       ON CONFLICT (room, user_id, login_session_id) DO UPDATE SET
                       until = max(until, excluded.until),
                       and_before = max(and_before, excluded.and_before)";
            let key = [
                room.into(),
                login.user_id.into(),
                login.login_session_id.into(),
            ];
            let values = [login.until.into(), login.and_before.into()];
            tx.execute(sql, key.into_iter().chain(values)).await?;
        }
        Change::ForgetLogin(login) => {
            let sql = "DELETE FROM room_ended_login
                       WHERE room = ? AND user_id = ? AND login_session_id = ?";
            let key = [
                room.into(),
                login.user_id.into(),
                login.login_session_id.into(),
            ];
            tx.execute(sql, key).await?;
        }
    }
    Ok(())
}

fn number(n: u64) -> Value {
    // Beyond the range of the database the statement fails, as it should.
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

// ---- Loading ----

/// Loads that may fail to come to an end before the pieces are tried one by one. Loads at the
/// same time count as well, where a platform has them; that costs time and nothing else.
const LOADS_MAX: u32 = 2;
/// No load lasts as long: no platform gives it so much time.
const SUSPECT_MS: i64 = 60_000;

/// Loads a room's document. `now` is noted with what is put into quarantine.
///
/// # Errors
/// What the database says. A piece that cannot be read is not an error.
pub async fn load_document(
    db: &dyn Db,
    room: SessionId,
    now: Timestamp,
) -> Result<LoadedDocument, DbError> {
    let mut loader = Loader {
        db,
        room,
        now,
        careful: false,
    };
    loader.begin().await?;
    let mut loaded = LoadedDocument::default();
    let updates = loop {
        let read = loader.read().await?;
        loaded.generation = read.generation;
        loaded.last_seq = read.base_seq;
        let Some((generation, state)) = read.state else {
            break read.updates;
        };
        let piece = Piece::State(generation);
        let mut document = Document::new();
        let integrated = loader.attempt(piece, || document.integrate_stored(&state));
        match integrated.await? {
            Ok(()) => {
                loaded.document = document;
                break read.updates;
            }
            // The state before it is still there, if there ever was one.
            Err(why) => loader.quarantine(piece, &why).await?,
        }
    };
    for (seq, update) in updates {
        loaded.last_seq = loaded.last_seq.max(seq);
        let piece = Piece::Update(seq);
        let document = &mut loaded.document;
        match loader
            .attempt(piece, || document.integrate_stored(&update))
            .await?
        {
            Ok(()) => {
                loaded.tail_rows = loaded.tail_rows.saturating_add(1);
                loaded.tail_bytes = loaded.tail_bytes.saturating_add(update.len());
            }
            Err(why) => loader.quarantine(piece, &why).await?,
        }
    }
    loaded.lost = loader.end().await?;
    Ok(loaded)
}

fn why(refusal: Refusal) -> String {
    match refusal {
        Refusal::Malformed(malformed) => malformed.to_string(),
        Refusal::Gap => "something before it is missing".into(),
        Refusal::TooLarge => "the document is too large with it".into(),
        Refusal::NotText => "it writes over what is not text".into(),
        Refusal::Damaged => "it does not fit the document".into(),
    }
}

struct Loader<'a> {
    db: &'a dyn Db,
    room: SessionId,
    now: Timestamp,
    /// Whether each piece is noted before it is touched.
    careful: bool,
}

/// What can be the end of a load.
#[derive(Clone, Copy)]
enum Piece {
    /// A state, by its generation.
    State(u64),
    /// An update, by its number.
    Update(u64),
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(generation) => write!(f, "state {generation}"),
            Self::Update(seq) => write!(f, "update {seq}"),
        }
    }
}

/// Everything that is stored of a document, of one moment.
struct Read {
    generation: u64,
    base_seq: u64,
    /// The newest state that is left, with its generation.
    state: Option<(u64, Vec<u8>)>,
    /// Oldest first, with their numbers.
    updates: Vec<(u64, Vec<u8>)>,
}

impl Loader<'_> {
    /// Notes that a load has begun, and finds out whether those before it have ended.
    async fn begin(&mut self) -> Result<(), DbError> {
        let room = self.room;
        let begun = self.db.transaction(|tx| async move {
            let sql = "INSERT INTO room_head (room, generation, base_seq, loads)
                       VALUES (?, 0, 0, 1) ON CONFLICT (room) DO UPDATE SET
                       loads = loads + 1 RETURNING loads";
            let head = tx.first(sql, [room.into()]).await?;
            head.map_or(Ok(1), |row| row.get::<u32>("loads"))
        });
        self.careful = begun.await? > LOADS_MAX;
        Ok(())
    }

    /// Notes that the load has come to its end; gives how many pieces were ever put into
    /// quarantine.
    async fn end(&self) -> Result<u64, DbError> {
        let room = self.room;
        let ended = self.db.transaction(|tx| async move {
            tx.execute(
                "UPDATE room_head SET loads = 0 WHERE room = ?",
                [room.into()],
            )
            .await?;
            let sql = "SELECT count(*) AS lost FROM room_quarantine WHERE room = ? AND part = 0";
            let lost = tx.first(sql, [room.into()]).await?;
            lost.map_or(Ok(0), |row| row.get("lost"))
        });
        ended.await
    }

    async fn read(&self) -> Result<Read, DbError> {
        let room = self.room;
        let read = self.db.transaction(|tx| async move {
            let sql = "SELECT generation, base_seq FROM room_head WHERE room = ?";
            let head = tx.first(sql, [room.into()]).await?;
            let head = head.ok_or_else(|| DbError::Failed("no head of the room".into()))?;

            let sql = "SELECT generation, data FROM room_snapshot WHERE room = ? AND
                       generation = (SELECT max(generation) FROM room_snapshot WHERE room = ?)
                       ORDER BY part";
            let mut state: Option<(u64, Vec<u8>)> = None;
            for row in tx.execute(sql, [room.into(), room.into()]).await? {
                let data: Vec<u8> = row.get("data")?;
                match &mut state {
                    Some((_, state)) => state.extend(data),
                    None => state = Some((row.get("generation")?, data)),
                }
            }

            let sql = "SELECT seq, data FROM room_update WHERE room = ? ORDER BY seq";
            let mut updates = Vec::new();
            for row in tx.execute(sql, [room.into()]).await? {
                updates.push((row.get("seq")?, row.get("data")?));
            }
            let (generation, base_seq) = (head.get("generation")?, head.get("base_seq")?);
            Ok(Read {
                generation,
                base_seq,
                state,
                updates,
            })
        });
        read.await
    }

    /// Loads a piece, or says why not.
    async fn attempt<T: Send>(
        &self,
        piece: Piece,
        load: impl FnOnce() -> Result<T, Refusal> + Send,
    ) -> Result<Result<T, String>, DbError> {
        if !self.careful {
            return Ok(load().map_err(why));
        }
        if self.now.since(self.suspect(piece).await?) >= SUSPECT_MS {
            return Ok(Err("it has ended the process".into()));
        }
        let loaded = load().map_err(why);
        self.acquit(piece).await?;
        Ok(loaded)
    }

    /// Notes the piece that is touched next; gives the time when that was first done and not
    /// taken back.
    async fn suspect(&self, piece: Piece) -> Result<Timestamp, DbError> {
        let (room, now) = (self.room, self.now);
        let noted = self.db.transaction(|tx| async move {
            let sql = "INSERT INTO room_suspect (room, piece, at) VALUES (?, ?, ?)
                       ON CONFLICT (room, piece) DO UPDATE SET at = at RETURNING at";
            let values = [room.into(), piece.to_string().into(), now.into()];
            let row = tx.first(sql, values).await?;
            row.map_or(Ok(now), |row| row.get("at"))
        });
        noted.await
    }

    async fn acquit(&self, piece: Piece) -> Result<(), DbError> {
        let room = self.room;
        let acquitted = self
            .db
            .transaction(|tx| async move { acquit(&tx, room, piece).await });
        acquitted.await
    }

    /// Puts a piece out of the way, where an operator can look into it.
    async fn quarantine(&self, piece: Piece, why: &str) -> Result<(), DbError> {
        let (room, now) = (self.room, self.now);
        let (copy, delete, key) = match piece {
            Piece::State(generation) => (
                "INSERT INTO room_quarantine (room, piece, at, part, why, data)
                 SELECT room, ?, ?, part, ?, data FROM room_snapshot
                 WHERE room = ? AND generation = ? ON CONFLICT DO NOTHING",
                "DELETE FROM room_snapshot WHERE room = ? AND generation = ?",
                generation,
            ),
            Piece::Update(seq) => (
                "INSERT INTO room_quarantine (room, piece, at, part, why, data)
                 SELECT room, ?, ?, 0, ?, data FROM room_update
                 WHERE room = ? AND seq = ? ON CONFLICT DO NOTHING",
                "DELETE FROM room_update WHERE room = ? AND seq = ?",
                seq,
            ),
        };
        let moved = self.db.transaction(|tx| async move {
            let note = [piece.to_string().into(), now.into(), why.into()];
            tx.execute(copy, note.into_iter().chain([room.into(), number(key)]))
                .await?;
            tx.execute(delete, [room.into(), number(key)]).await?;
            acquit(&tx, room, piece).await
        });
        moved.await
    }
}

async fn acquit(tx: &Tx, room: SessionId, piece: Piece) -> Result<(), DbError> {
    let sql = "DELETE FROM room_suspect WHERE room = ? AND piece = ?";
    tx.execute(sql, [room.into(), piece.to_string().into()])
        .await?;
    Ok(())
}
