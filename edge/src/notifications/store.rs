//! A person's log in the database of their shard: notes by number, how far they were read, and which
//! logins have ended.
//!
//! The log is bounded. What it had to drop is told to whoever comes back from before that; what a
//! later note took the place of is not missed by anybody.

use codecrafter_shared::api::{Notification, NotificationEvent, Notifications, ReadState};
use codecrafter_shared::id::UserId;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use super::note::Note;
use crate::ports::{Db, DbError, INTEGER_MAX, Row, Tx, Value};
use crate::room::EndedLogin;
use crate::token::Caller;

const SCHEMA: [&str; 4] = [
    // `version` is one number for all people of the database: it says whose log has changed since.
    "CREATE TABLE IF NOT EXISTS person (
        user_id TEXT NOT NULL PRIMARY KEY,
        version INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        read_seq INTEGER NOT NULL,
        lost_seq INTEGER NOT NULL,
        lost_at INTEGER NOT NULL
    ) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS person_by_version ON person (version)",
    "CREATE TABLE IF NOT EXISTS person_note (
        user_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        mark TEXT NOT NULL,
        subject TEXT,
        actor TEXT,
        event TEXT NOT NULL,
        PRIMARY KEY (user_id, seq)
    ) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS person_ended_login (
        user_id TEXT NOT NULL,
        login_session_id TEXT NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (user_id, login_session_id)
    ) WITHOUT ROWID",
];

/// Makes the tables that are missing. Harmless to repeat.
///
/// # Errors
/// What the database says.
pub async fn migrate(db: &dyn Db) -> Result<(), DbError> {
    db.transaction(|tx| async move {
        for table in SCHEMA {
            tx.execute(table, []).await?;
        }
        Ok(())
    })
    .await
}

/// How a log stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// The number of the newest note.
    pub seq: u64,
    /// All up to this number were read.
    pub read_seq: u64,
    /// Of those up to this number, some were dropped.
    pub lost_seq: u64,
    /// When the newest of those happened that were dropped as the oldest.
    lost_at: Timestamp,
}

async fn head(tx: &Tx, user: UserId) -> Result<Head, DbError> {
    let sql = "SELECT seq, read_seq, lost_seq, lost_at FROM person WHERE user_id = ?";
    let Some(row) = tx.first(sql, [user.into()]).await? else {
        return Ok(Head::default());
    };
    Ok(Head {
        seq: row.get("seq")?,
        read_seq: row.get("read_seq")?,
        lost_seq: row.get("lost_seq")?,
        lost_at: row.get("lost_at")?,
    })
}

async fn write_head(tx: &Tx, user: UserId, head: Head) -> Result<(), DbError> {
    let sql = "INSERT INTO person (user_id, version, seq, read_seq, lost_seq, lost_at) \
               VALUES (?1, (SELECT coalesce(max(version), 0) + 1 FROM person), ?2, ?3, ?4, ?5) \
               ON CONFLICT (user_id) DO UPDATE SET version = excluded.version, \
               seq = excluded.seq, read_seq = excluded.read_seq, lost_seq = excluded.lost_seq, \
               lost_at = excluded.lost_at";
    let values = [
        user.into(),
        integer(head.seq),
        integer(head.read_seq),
        integer(head.lost_seq),
        head.lost_at.into(),
    ];
    tx.execute(sql, values).await.map(drop)
}

async fn unread(tx: &Tx, user: UserId, head: Head) -> Result<u32, DbError> {
    let sql = "SELECT count(*) AS n FROM person_note WHERE user_id = ? AND seq > ?";
    let row = tx.first(sql, [user.into(), integer(head.read_seq)]).await?;
    row.map_or(Ok(0), |row| row.get("n"))
}

/// Writes a note, unless it was there or is out of date; gives it then, and how many are unread.
///
/// # Errors
/// What the database says.
pub async fn take(
    db: &dyn Db,
    user: UserId,
    mark: &str,
    note: &Note,
) -> Result<Option<(Notification, u32)>, DbError> {
    let event = serde_json::to_string(&note.event).map_err(|e| DbError::Failed(e.to_string()))?;
    let (subject, event) = (&note.subject(), &event);
    db.transaction(|tx| async move {
        let mut head = head(&tx, user).await?;
        if note.at <= head.lost_at {
            return Ok(None);
        }
        // By time as well: of two about the same, the one that happened first may come last.
        let sql = "SELECT 1 FROM person_note WHERE user_id = ?1 \
                   AND (mark = ?2 OR (subject = ?3 AND at > ?4))";
        let known = [
            user.into(),
            mark.into(),
            subject.as_deref().into(),
            note.at.into(),
        ];
        if tx.first(sql, known).await?.is_some() {
            return Ok(None);
        }
        let sql = "DELETE FROM person_note WHERE user_id = ? AND subject = ?";
        tx.execute(sql, [user.into(), subject.as_deref().into()])
            .await?;
        head.seq = head.seq.saturating_add(1);
        let actor = note.actor().map(|actor| actor.to_string());
        let sql = "INSERT INTO person_note (user_id, seq, at, mark, subject, actor, event) \
                   VALUES (?, ?, ?, ?, ?, ?, ?)";
        let values = [
            user.into(),
            integer(head.seq),
            note.at.into(),
            mark.into(),
            subject.as_deref().into(),
            actor.as_deref().into(),
            event.into(),
        ];
        tx.execute(sql, values).await?;
        drop_what_is_too_much(&tx, user, actor.as_deref(), &mut head).await?;
        write_head(&tx, user, head).await?;
        let notification = Notification {
            seq: head.seq,
            at: note.at,
            read: false,
            event: note.event.clone(),
        };
        Ok(Some((notification, unread(&tx, user, head).await?)))
    })
    .await
}

/// First what one actor has brought about beyond their share, then the oldest.
async fn drop_what_is_too_much(
    tx: &Tx,
    user: UserId,
    actor: Option<&str>,
    head: &mut Head,
) -> Result<(), DbError> {
    if let Some(actor) = actor {
        let sql = "DELETE FROM person_note WHERE user_id = ?1 AND actor = ?2 AND seq <= \
                   (SELECT seq FROM person_note WHERE user_id = ?1 AND actor = ?2 \
                   ORDER BY seq DESC LIMIT 1 OFFSET ?3) RETURNING seq";
        let max = limits::NOTIFICATIONS_PER_ACTOR_MAX;
        let dropped = tx.execute(sql, [user.into(), actor.into(), max.into()]);
        for row in dropped.await? {
            head.lost_seq = head.lost_seq.max(row.get("seq")?);
        }
    }
    let sql = "DELETE FROM person_note WHERE user_id = ?1 AND seq <= \
               (SELECT seq FROM person_note WHERE user_id = ?1 ORDER BY seq DESC \
               LIMIT 1 OFFSET ?2) RETURNING seq, at";
    let dropped = tx.execute(sql, [user.into(), limits::NOTIFICATIONS_MAX.into()]);
    for row in dropped.await? {
        head.lost_seq = head.lost_seq.max(row.get("seq")?);
        head.lost_at = head.lost_at.max(row.get("at")?);
    }
    Ok(())
}

/// The newest notes before a number, or of all.
///
/// # Errors
/// What the database says.
pub async fn list(
    db: &dyn Db,
    user: UserId,
    before: Option<u64>,
    limit: u32,
) -> Result<Notifications, DbError> {
    db.transaction(|tx| async move {
        let head = head(&tx, user).await?;
        let sql = "SELECT seq, at, event FROM person_note WHERE user_id = ? AND seq < ? \
                   ORDER BY seq DESC LIMIT ?";
        let before = before.map_or(Value::Integer(INTEGER_MAX), integer);
        let one_more = limit.saturating_add(1).into();
        let rows = tx.execute(sql, [user.into(), before, one_more]).await?;
        let mut items = Vec::new();
        for row in rows {
            items.push(notification(&row, head)?);
        }
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > wanted;
        items.truncate(wanted);
        Ok(Notifications {
            items: items.into_iter().flatten().collect(),
            more,
            seq: head.seq,
            unread: unread(&tx, user, head).await?,
        })
    })
    .await
}

/// All up to `up_to` were read; gives how it stands, and whether that is new.
///
/// # Errors
/// What the database says.
pub async fn read(db: &dyn Db, user: UserId, up_to: u64) -> Result<(ReadState, bool), DbError> {
    db.transaction(|tx| async move {
        let mut head = head(&tx, user).await?;
        let read_seq = up_to.min(head.seq).max(head.read_seq);
        let is_new = read_seq > head.read_seq;
        head.read_seq = read_seq;
        if is_new {
            write_head(&tx, user, head).await?;
        }
        let unread = unread(&tx, user, head).await?;
        Ok((ReadState { read_seq, unread }, is_new))
    })
    .await
}

/// What a client lacks.
#[derive(Debug)]
pub struct News {
    /// How the log stands.
    pub head: Head,
    /// How many are unread.
    pub unread: u32,
    /// Notes behind the number that the client has, oldest first.
    pub notes: Vec<Notification>,
    /// Whether the client's login has ended.
    pub ended: bool,
}

/// What there is behind `after`, for a client of this login.
///
/// # Errors
/// What the database says.
pub async fn news(
    db: &dyn Db,
    caller: Caller,
    after: u64,
    now: Timestamp,
) -> Result<News, DbError> {
    let user = caller.user_id;
    db.transaction(|tx| async move {
        let sql = "SELECT 1 FROM person_ended_login \
                   WHERE user_id = ? AND login_session_id = ? AND until > ?";
        let login = [user.into(), caller.login_session_id.into(), now.into()];
        let ended = tx.first(sql, login).await?.is_some();
        let head = head(&tx, user).await?;
        let sql = "SELECT seq, at, event FROM person_note WHERE user_id = ? AND seq > ? \
                   ORDER BY seq";
        let mut notes = Vec::new();
        for row in tx.execute(sql, [user.into(), integer(after)]).await? {
            notes.extend(notification(&row, head)?);
        }
        let unread = unread(&tx, user, head).await?;
        Ok(News {
            head,
            unread,
            notes,
            ended,
        })
    })
    .await
}

/// A login's tokens open nothing from now on.
///
/// # Errors
/// What the database says.
pub async fn end_login(db: &dyn Db, login: EndedLogin, now: Timestamp) -> Result<(), DbError> {
    db.transaction(|tx| async move {
        let sql = "DELETE FROM person_ended_login WHERE user_id = ? AND until <= ?";
        tx.execute(sql, [login.user_id.into(), now.into()]).await?;
        let sql = "INSERT INTO person_ended_login (user_id, login_session_id, until) \
                   VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET until = max(until, excluded.until)";
        let values = [
            login.user_id.into(),
            login.login_session_id.into(),
            login.until.into(),
        ];
        tx.execute(sql, values).await?;
        // Whoever waits for this log looks again.
        let head = head(&tx, login.user_id).await?;
        write_head(&tx, login.user_id, head).await
    })
    .await
}

/// The version of the last change to any log of the database. Waits for no writer.
///
/// # Errors
/// What the database says.
pub async fn version(db: &dyn Db) -> Result<u64, DbError> {
    let sql = "SELECT coalesce(max(version), 0) AS version FROM person";
    let row = db.statement(sql, Vec::new()).await?;
    row.map_or(Ok(0), |row| row.get("version"))
}

/// Whose logs have changed behind a version.
///
/// # Errors
/// What the database says.
pub async fn changed_since(db: &dyn Db, version: u64) -> Result<Vec<UserId>, DbError> {
    let sql = "SELECT user_id FROM person WHERE version > ?";
    let rows = db.query(sql, vec![integer(version)]).await?;
    rows.into_iter().map(|row| row.get("user_id")).collect()
}

/// Nothing of an event that this version of the edge does not know.
fn notification(row: &Row, head: Head) -> Result<Option<Notification>, DbError> {
    let (seq, event): (u64, String) = (row.get("seq")?, row.get("event")?);
    let Ok(event) = serde_json::from_str::<NotificationEvent>(&event) else {
        return Ok(None);
    };
    Ok(Some(Notification {
        seq,
        at: row.get("at")?,
        read: seq <= head.read_seq,
        event,
    }))
}

fn integer(n: u64) -> Value {
    Value::Integer(i64::try_from(n).unwrap_or(INTEGER_MAX).min(INTEGER_MAX))
}
