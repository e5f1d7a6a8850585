//! The tables of rooms. One database may hold many, so every key starts with the room (E3).

use super::super::chat::store as chat;
use super::super::history::store as history;
use super::super::versions::store as versions;
use crate::ports::{Db, DbError};

/// The version of the tables below.
const SCHEMA_VERSION: i64 = 4;

const SCHEMA: [&str; 8] = [
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
    "CREATE TABLE IF NOT EXISTS room_author (
        room TEXT NOT NULL,
        client INTEGER NOT NULL,
        user_id TEXT NOT NULL,
        PRIMARY KEY (room, client)
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
pub(super) const CONTENT: [&str; 7] = [
    "room_head",
    "room_snapshot",
    "room_update",
    "room_author",
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
        let of_others = versions::SCHEMA.into_iter().chain(chat::SCHEMA);
        let of_others = of_others.chain(history::SCHEMA);
        for table in SCHEMA.into_iter().chain(of_others) {
            tx.execute(table, []).await?;
        }
        let note = "INSERT INTO room_schema (id, version) VALUES (1, ?)
                    ON CONFLICT (id) DO UPDATE SET version = excluded.version";
        tx.execute(note, [SCHEMA_VERSION.into()]).await?;
        Ok(())
    })
    .await
}
