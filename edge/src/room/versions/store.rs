//! Versions in the room's database. Their text is JSON, cut into parts, beside the row that lists
//! show.

use codecrafter_shared::api::{SessionContent, Version, VersionKind};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use super::{Author, Kept, has_room, is_worth_it, superfluous};
use crate::error::Refusal;
use crate::ports::{Db, DbError, Row, Tx, Value};
use crate::room::tag::tag;

/// The tables. `room_version_head` also says up to which update of the document somebody has looked
/// whether a version is due.
pub(in crate::room) const SCHEMA: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS room_version_head (
        room TEXT NOT NULL PRIMARY KEY,
        last_number INTEGER NOT NULL,
        seq INTEGER NOT NULL
    )",
    "CREATE TABLE IF NOT EXISTS room_version (
        room TEXT NOT NULL,
        number INTEGER NOT NULL,
        kind TEXT NOT NULL,
        taken_at INTEGER NOT NULL,
        user_id TEXT,
        display_name TEXT,
        message TEXT,
        tag TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        files INTEGER NOT NULL,
        PRIMARY KEY (room, number)
    ) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS room_version_part (
        room TEXT NOT NULL,
        number INTEGER NOT NULL,
        part INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (room, number, part)
    ) WITHOUT ROWID",
];

/// The tables of what goes when the session is deleted.
pub(in crate::room) const TABLES: [&str; 3] =
    ["room_version_head", "room_version", "room_version_part"];

/// Half of what a row may hold.
const PART_BYTES: usize = 512 * 1024;

/// A version that is about to be taken.
#[derive(Debug, Clone, Copy)]
pub struct NewVersion<'a> {
    /// Why.
    pub kind: VersionKind,
    /// When.
    pub at: Timestamp,
    /// By whom; nobody for one that is taken by itself.
    pub author: Option<&'a Author>,
    /// What it is kept for.
    pub message: Option<&'a str>,
    /// The [`position`] of the document before its text was read.
    pub seq: u64,
    /// The text.
    pub content: &'a SessionContent,
}

/// The number of the document's last update.
///
/// # Errors
/// Those of the database.
pub async fn position(db: &dyn Db, room: SessionId) -> Result<u64, DbError> {
    let sql = "SELECT max(coalesce((SELECT max(seq) FROM room_update WHERE room = ?1), 0),
               coalesce((SELECT base_seq FROM room_head WHERE room = ?1), 0)) AS seq";
    let row = db.statement(sql, vec![room.into()]).await?;
    row.map_or(Ok(0), |row| row.get("seq"))
}

/// When the document was last changed, if nobody has looked since then whether a version is due. A
/// change that is not a row of its own any more counts as an old one.
///
/// # Errors
/// Those of the database.
pub async fn last_unseen_edit(tx: &Tx, room: SessionId) -> Result<Option<Timestamp>, DbError> {
    let sql = "SELECT coalesce((SELECT at FROM room_update WHERE room = ?1
                   ORDER BY seq DESC LIMIT 1), 0) AS at,
               max(coalesce((SELECT max(seq) FROM room_update WHERE room = ?1), 0),
                   coalesce((SELECT base_seq FROM room_head WHERE room = ?1), 0)) AS seq,
               coalesce((SELECT seq FROM room_version_head WHERE room = ?1), 0) AS seen";
    let Some(row) = tx.first(sql, [room.into()]).await? else {
        return Ok(None);
    };
    let (seq, seen): (u64, u64) = (row.get("seq")?, row.get("seen")?);
    Ok(if seq > seen {
        Some(row.get("at")?)
    } else {
        None
    })
}

/// Whether the document has changed, and rests since then.
///
/// # Errors
/// Those of the database.
pub async fn has_come_to_rest(
    db: &dyn Db,
    room: SessionId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let edit = db.transaction(|tx| async move { last_unseen_edit(&tx, room).await });
    let edit: Option<Timestamp> = edit.await?;
    Ok(edit.is_some_and(|at| now.since(at) >= limits::VERSION_REST_MS))
}

/// Keeps a version, and forgets those that are too many with it.
///
/// # Errors
/// [`ErrorCode::TooManyVersions`] for one that somebody has asked for;
/// [`ErrorCode::SessionNotFound`] of a room whose session is deleted; those of the database.
pub async fn take(db: &dyn Db, room: SessionId, new: NewVersion<'_>) -> Result<Version, Refusal> {
    let text = &serde_json::to_vec(new.content).map_err(Refusal::internal)?;
    let tag = &tag(new.content);
    let bytes = bytes_of(new.content);
    let files = u32::try_from(new.content.files.len()).unwrap_or(u32::MAX);
    db.transaction(|tx| async move {
        let sql = "SELECT 1 FROM room_access WHERE room = ? AND deleted";
        if tx.first(sql, [room.into()]).await?.is_some() {
            return Err(Refusal::new(ErrorCode::SessionNotFound));
        }
        let mut kept = all(&tx, room).await?;
        if new.kind == VersionKind::Manual && !has_room(&kept, bytes) {
            let (max, mib) = (
                limits::VERSIONS_MANUAL_MAX,
                limits::VERSIONS_BYTES_MAX / 1024 / 1024,
            );
            let detail = format!("at most {max}, and {mib} MiB of text, that were asked for");
            return Err(Refusal::with_detail(ErrorCode::TooManyVersions, detail));
        }
        let number = next_number(&tx, room, new.seq).await?;
        let version = Version {
            number,
            kind: new.kind,
            taken_at: new.at,
            user_id: new.author.map(|author| author.user_id),
            display_name: new.author.map(|author| author.display_name.clone()),
            message: new.message.map(str::to_owned),
            bytes,
            file_count: files,
        };
        let sql = "INSERT INTO room_version (room, number, kind, taken_at, user_id, display_name, \
                   message, tag, bytes, files) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let values: [Value; 10] = [
            room.into(),
            integer(number),
            new.kind.as_str().into(),
            new.at.into(),
            version.user_id.into(),
            version.display_name.as_deref().into(),
            new.message.into(),
            tag.into(),
            integer(bytes),
            files.into(),
        ];
        tx.execute(sql, values).await?;
        for (part, data) in (0_u32..).zip(text.chunks(PART_BYTES)) {
            let sql = "INSERT INTO room_version_part (room, number, part, data) \
                       VALUES (?, ?, ?, ?)";
            let values = [
                room.into(),
                integer(number),
                part.into(),
                data.to_vec().into(),
            ];
            tx.execute(sql, values).await?;
        }
        kept.insert(
            0,
            Kept {
                number,
                kind: new.kind,
                at: new.at,
                bytes,
            },
        );
        for number in superfluous(&kept, new.at) {
            forget(&tx, room, number).await?;
        }
        Ok(version)
    })
    .await
}

/// Keeps a version that nobody has asked for, if the text differs enough from the newest one.
///
/// # Errors
/// As [`take`].
pub async fn take_if_worth_it(
    db: &dyn Db,
    room: SessionId,
    new: NewVersion<'_>,
) -> Result<Option<Version>, Refusal> {
    let newest = newest(db, room).await?;
    let newest = newest.as_ref().map(|(text, at)| (text, *at));
    if is_worth_it(newest, new.content, new.at) {
        return take(db, room, new).await.map(Some);
    }
    // Somebody has looked: there is nothing to look at again until the next edit.
    let seen = "INSERT INTO room_version_head (room, last_number, seq) VALUES (?, 0, ?) \
                ON CONFLICT (room) DO UPDATE SET seq = max(seq, excluded.seq)";
    db.statement(seen, vec![room.into(), integer(new.seq)])
        .await?;
    Ok(None)
}

/// Whether the newest version has this text.
///
/// # Errors
/// Those of the database.
pub async fn newest_is(
    db: &dyn Db,
    room: SessionId,
    content: &SessionContent,
) -> Result<bool, DbError> {
    let sql = "SELECT tag FROM room_version WHERE room = ? ORDER BY number DESC LIMIT 1";
    let row = db.statement(sql, vec![room.into()]).await?;
    let newest: Option<String> = row.map(|row| row.get("tag")).transpose()?;
    Ok(newest.is_some_and(|newest| newest == tag(content)))
}

async fn newest(
    db: &dyn Db,
    room: SessionId,
) -> Result<Option<(SessionContent, Timestamp)>, Refusal> {
    db.transaction(|tx| async move {
        let sql = "SELECT number, taken_at FROM room_version WHERE room = ? \
                   ORDER BY number DESC LIMIT 1";
        let Some(row) = tx.first(sql, [room.into()]).await? else {
            return Ok(None);
        };
        let text = text(&tx, room, row.get("number")?).await?;
        Ok(Some((text, row.get("taken_at")?)))
    })
    .await
}

/// A page of a session's versions, newest first, and how many there are in all.
///
/// # Errors
/// Those of the database.
pub async fn list(
    db: &dyn Db,
    room: SessionId,
    skipped: u64,
    limit: u32,
) -> Result<(Vec<Version>, u64), DbError> {
    db.transaction(|tx| async move {
        let sql = "SELECT count(*) AS total FROM room_version WHERE room = ?";
        let total = tx.first(sql, [room.into()]).await?;
        let sql = "SELECT * FROM room_version WHERE room = ? ORDER BY number DESC LIMIT ? OFFSET ?";
        let rows = tx
            .execute(sql, [room.into(), limit.into(), integer(skipped)])
            .await?;
        let versions = rows.into_iter().map(|row| version(&row));
        Ok((
            versions.collect::<Result<_, _>>()?,
            total.map_or(Ok(0), |row| row.get("total"))?,
        ))
    })
    .await
}

/// A version with its text.
///
/// # Errors
/// [`ErrorCode::VersionNotFound`]; those of the database.
pub async fn read(
    db: &dyn Db,
    room: SessionId,
    number: u64,
) -> Result<(Version, SessionContent), Refusal> {
    db.transaction(|tx| async move {
        let version = find(&tx, room, number).await?;
        Ok((version, text(&tx, room, number).await?))
    })
    .await
}

/// Deletes a version that `who` may delete: their own, or any of a moderator.
///
/// # Errors
/// [`ErrorCode::VersionNotFound`]; [`ErrorCode::Forbidden`]; those of the database.
pub async fn delete(
    db: &dyn Db,
    room: SessionId,
    number: u64,
    who: &Author,
    moderates: bool,
) -> Result<(), Refusal> {
    db.transaction(|tx| async move {
        let version = find(&tx, room, number).await?;
        if !moderates && version.user_id != Some(who.user_id) {
            let detail = "needs the role admin or owner, or to have taken it";
            return Err(Refusal::with_detail(ErrorCode::Forbidden, detail));
        }
        forget(&tx, room, number).await?;
        Ok(())
    })
    .await
}

async fn find(tx: &Tx, room: SessionId, number: u64) -> Result<Version, Refusal> {
    let sql = "SELECT * FROM room_version WHERE room = ? AND number = ?";
    let row = tx.first(sql, [room.into(), integer(number)]).await?;
    let row = row.ok_or_else(|| Refusal::new(ErrorCode::VersionNotFound))?;
    Ok(version(&row)?)
}

async fn text(tx: &Tx, room: SessionId, number: u64) -> Result<SessionContent, Refusal> {
    let sql = "SELECT data FROM room_version_part WHERE room = ? AND number = ? ORDER BY part";
    let mut text = Vec::new();
    for row in tx.execute(sql, [room.into(), integer(number)]).await? {
        text.extend(row.get::<Vec<u8>>("data")?);
    }
    serde_json::from_slice(&text).map_err(Refusal::internal)
}

async fn all(tx: &Tx, room: SessionId) -> Result<Vec<Kept>, DbError> {
    let sql = "SELECT number, kind, taken_at, bytes FROM room_version WHERE room = ? \
               ORDER BY number DESC";
    let rows = tx.execute(sql, [room.into()]).await?.into_iter();
    let kept = rows.map(|row| {
        Ok(Kept {
            number: row.get("number")?,
            kind: row.parse("kind", VersionKind::from_name)?,
            at: row.get("taken_at")?,
            bytes: row.get("bytes")?,
        })
    });
    kept.collect()
}

async fn next_number(tx: &Tx, room: SessionId, seq: u64) -> Result<u64, DbError> {
    let sql = "INSERT INTO room_version_head (room, last_number, seq) VALUES (?, 1, ?) \
               ON CONFLICT (room) DO UPDATE SET last_number = last_number + 1, \
               seq = max(seq, excluded.seq) RETURNING last_number";
    let row = tx.first(sql, [room.into(), integer(seq)]).await?;
    row.map_or(Ok(1), |row| row.get("last_number"))
}

async fn forget(tx: &Tx, room: SessionId, number: u64) -> Result<(), DbError> {
    for table in ["room_version", "room_version_part"] {
        let sql = format!("DELETE FROM {table} WHERE room = ? AND number = ?");
        tx.execute(&sql, [room.into(), integer(number)]).await?;
    }
    Ok(())
}

fn version(row: &Row) -> Result<Version, DbError> {
    Ok(Version {
        number: row.get("number")?,
        kind: row.parse("kind", VersionKind::from_name)?,
        taken_at: row.get("taken_at")?,
        user_id: row.get("user_id")?,
        display_name: row.get("display_name")?,
        message: row.get("message")?,
        bytes: row.get("bytes")?,
        file_count: row.get("files")?,
    })
}

fn bytes_of(content: &SessionContent) -> u64 {
    let files = content.files.iter();
    let files = files.map(|file| file.content.len());
    let bytes = files.fold(content.content.len(), usize::saturating_add);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn integer(n: u64) -> Value {
    // Beyond the range of the database the statement fails, or finds nothing, as it should.
    Value::Integer(
        i64::try_from(n)
            .unwrap_or(i64::MAX)
            .min(crate::ports::INTEGER_MAX),
    )
}
