//! The embedded queue's file: messages in SQLite, one statement per change, blocking calls only.
//! It does not know what a message means, and it does not wait.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Result, params};

use super::Depth;

/// Of the messages that were put aside, the newest so many are kept for an operator to look at.
const PARKED_MAX: u32 = 100;

/// Raised with every change to [`SCHEMA`].
const SCHEMA_VERSION: i64 = 1;

// `not_before` counts milliseconds since this process opened the file: a clock that cannot be set.
// AUTOINCREMENT, so that an id in the hands of a holder never comes to mean another message.
const SCHEMA: &str = "
    CREATE TABLE messages (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        topic       TEXT    NOT NULL,
        key         TEXT    NOT NULL,
        body        BLOB    NOT NULL,
        state       TEXT    NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'taken')),
        deliveries  INTEGER NOT NULL DEFAULT 0,
        not_before  INTEGER NOT NULL DEFAULT 0,
        UNIQUE (topic, key)
    );
    CREATE INDEX messages_by_state ON messages (topic, state, id);
    CREATE TABLE parked (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        topic       TEXT    NOT NULL,
        key         TEXT    NOT NULL,
        body        BLOB    NOT NULL,
        reason      TEXT    NOT NULL
    );
";

/// The two queues in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// Keyed by execution.
    Jobs,
    /// Keyed by attempt.
    Results,
}

impl Topic {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Results => "results",
        }
    }
}

/// A message that was taken, once: each time it is taken, `deliveries` differs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub id: i64,
    pub deliveries: u32,
}

/// A message that was put aside.
#[derive(Debug)]
pub(super) struct Parked {
    pub id: i64,
    pub topic: String,
    pub reason: String,
    pub body: Vec<u8>,
}

/// What must be on the disk before a call returns.
#[derive(Clone, Copy)]
enum Durability {
    /// Survives a crash of the machine.
    Machine,
    /// Survives a crash of the process. A crash of the machine may undo it, which costs a
    /// delivery more and loses nothing.
    Process,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("a newer version of executor-host has written it (schema {0}, not {SCHEMA_VERSION})")]
    Newer(i64),
}

pub(super) struct Store {
    db: Connection,
}

impl Store {
    /// Opens or makes the file. Whatever an earlier process had taken is ready again, its
    /// delivery counted. The caller sees to it that there is no other process.
    pub(super) fn open(path: &Path) -> std::result::Result<Self, OpenError> {
        let db = Connection::open(path)?;
        // `executor-host queue` may be reading.
        db.busy_timeout(Duration::from_secs(10))?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match version {
            SCHEMA_VERSION => {}
            0 => db.execute_batch(&format!(
                "BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            ))?,
            newer => return Err(OpenError::Newer(newer)),
        }
        db.execute("UPDATE messages SET state = 'ready', not_before = 0", [])?;
        Ok(Self { db })
    }

    /// Opens the file beside whoever serves it: nothing that is taken is given back by that.
    pub(super) fn beside(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(Duration::from_secs(10))?;
        Ok(Self { db })
    }

    /// Counts what is in the file while another process may be using it.
    pub(super) fn inspect(path: &Path) -> Result<Depth> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(Duration::from_secs(10))?;
        Self { db }.depth()
    }

    /// Adds a message; `false` if the topic has one with that key.
    pub(super) fn put(&self, topic: Topic, key: &str, body: &[u8]) -> Result<bool> {
        self.keep(Durability::Machine)?;
        let mut insert = self.db.prepare_cached(
            "INSERT INTO messages (topic, key, body) VALUES (?1, ?2, ?3)
             ON CONFLICT (topic, key) DO NOTHING",
        )?;
        Ok(insert.execute(params![topic.as_str(), key, body])? == 1)
    }

    /// Takes up to `max` ready messages, oldest first, of up to `bytes_max` bytes together; the
    /// first whatever its size.
    pub(super) fn take(
        &self,
        topic: Topic,
        now: i64,
        (max, bytes_max): (usize, usize),
    ) -> Result<Vec<(Taken, Vec<u8>)>> {
        self.keep(Durability::Process)?;
        let mut update = self.db.prepare_cached(
            "UPDATE messages SET state = 'taken', deliveries = deliveries + 1
             WHERE id IN (SELECT id
                          FROM (SELECT id, bytes, sum(bytes) OVER (ORDER BY id) AS total
                                FROM (SELECT id, length(body) AS bytes FROM messages
                                      WHERE topic = ?1 AND state = 'ready' AND not_before <= ?2
                                      ORDER BY id LIMIT ?3))
                          WHERE total <= ?4 OR total = bytes)
             RETURNING id, deliveries, body",
        )?;
        let [max, bytes_max] = [max, bytes_max].map(|most| i64::try_from(most).unwrap_or(i64::MAX));
        let taken = update.query_map(params![topic.as_str(), now, max, bytes_max], |row| {
            Ok((
                Taken {
                    id: row.get(0)?,
                    deliveries: row.get(1)?,
                },
                row.get(2)?,
            ))
        })?;
        let mut taken = taken.collect::<Result<Vec<_>>>()?;
        // The order of RETURNING is not defined.
        taken.sort_by_key(|(message, _)| message.id);
        Ok(taken)
    }

    /// When the next delayed message becomes ready.
    pub(super) fn next_at(&self, topic: Topic) -> Result<Option<i64>> {
        let mut select = self.db.prepare_cached(
            "SELECT min(not_before) FROM messages WHERE topic = ?1 AND state = 'ready'",
        )?;
        Ok(select
            .query_row([topic.as_str()], |row| row.get(0))
            .optional()?
            .flatten())
    }

    /// Removes a message.
    pub(super) fn remove(&self, taken: Taken) -> Result<()> {
        self.keep(Durability::Process)?;
        self.db
            .prepare_cached("DELETE FROM messages WHERE id = ?1")?
            .execute([taken.id])?;
        Ok(())
    }

    /// Lets a taken message be taken again from `not_before` on, unless that has happened since.
    pub(super) fn release(&self, taken: Taken, not_before: i64) -> Result<()> {
        self.keep(Durability::Process)?;
        let mut update = self.db.prepare_cached(
            "UPDATE messages SET state = 'ready', not_before = ?3
             WHERE id = ?1 AND deliveries = ?2",
        )?;
        update.execute(params![taken.id, taken.deliveries, not_before])?;
        Ok(())
    }

    /// Puts a message aside, with the reason.
    pub(super) fn park(&mut self, taken: Taken, reason: &str) -> Result<()> {
        self.keep(Durability::Process)?;
        let tx = self.db.transaction()?;
        tx.execute(
            "INSERT INTO parked (topic, key, body, reason)
             SELECT topic, key, body, ?2 FROM messages WHERE id = ?1",
            params![taken.id, reason],
        )?;
        tx.execute("DELETE FROM messages WHERE id = ?1", [taken.id])?;
        tx.execute(
            "DELETE FROM parked WHERE id <= (SELECT max(id) FROM parked) - ?1",
            [PARKED_MAX],
        )?;
        tx.commit()
    }

    /// What was put aside, the oldest first.
    pub(super) fn parked(&self) -> Result<Vec<Parked>> {
        let mut select = self
            .db
            .prepare("SELECT id, topic, reason, body FROM parked ORDER BY id")?;
        let parked = select.query_map([], |row| {
            Ok(Parked {
                id: row.get(0)?,
                topic: row.get(1)?,
                reason: row.get(2)?,
                body: row.get(3)?,
            })
        })?;
        parked.collect()
    }

    /// Lets a message that was put aside be taken again; `false` if there is none of that id. One
    /// that is in its topic again already, under the same key, is only forgotten here.
    pub(super) fn put_back(&mut self, id: i64) -> Result<bool> {
        self.keep(Durability::Machine)?;
        let tx = self.db.transaction()?;
        tx.execute(
            "INSERT INTO messages (topic, key, body) SELECT topic, key, body FROM parked
             WHERE id = ?1 ON CONFLICT (topic, key) DO NOTHING",
            [id],
        )?;
        let was_there = tx.execute("DELETE FROM parked WHERE id = ?1", [id])? == 1;
        tx.commit()?;
        Ok(was_there)
    }

    /// Counts everything.
    pub(super) fn depth(&self) -> Result<Depth> {
        let mut select = self.db.prepare_cached(
            "SELECT count(*) FILTER (WHERE topic = 'jobs' AND state = 'ready'),
                    count(*) FILTER (WHERE topic = 'jobs' AND state = 'taken'),
                    count(*) FILTER (WHERE topic = 'results'),
                    (SELECT count(*) FROM parked)
             FROM messages",
        )?;
        select.query_row([], |row| {
            Ok(Depth {
                ready: row.get(0)?,
                running: row.get(1)?,
                results: row.get(2)?,
                parked: row.get(3)?,
            })
        })
    }

    fn keep(&self, durability: Durability) -> Result<()> {
        let level = match durability {
            Durability::Machine => "FULL",
            Durability::Process => "NORMAL",
        };
        self.db.pragma_update(None, "synchronous", level)
    }
}
