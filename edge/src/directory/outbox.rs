//! Nothing is lost between shards (E9): what must leave the Directory is a row here, written in
//! the transaction that makes it true. The front sends it right after the commit and then says
//! so; [`retry`] sends what nobody said anything about. Rooms and people take every message twice
//! without harm.

use codecrafter_shared::id::{OutboxId, SessionId};
use codecrafter_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Directory;
pub use super::letters::{Letter, OutboxMessage, PersonMessage, RoomMessage, send};
use super::parts::{self, Kind};
use crate::error::Refusal;
use crate::ports::{Row, Tx};
use crate::shard::calls;

/// The table.
pub const SCHEMA: &[&str] = &["CREATE TABLE outbox (
        tenant TEXT, id TEXT, session_id TEXT, message TEXT, tries INTEGER, due_at INTEGER,
        PRIMARY KEY (tenant, id)) WITHOUT ROWID"];

/// Step 6: messages for people. A row has a session or a user.
pub const SCHEMA_6: &[&str] = &["ALTER TABLE outbox ADD COLUMN user_id TEXT"];

calls! {
    /// These messages have arrived. Harmless to repeat.
    "/outbox/delivered" => Delivered {
        /// Which.
        ids: Vec<OutboxId>,
    } -> ();
}

/// What a transaction gives, with the messages that it left in the outbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Committed<T> {
    /// What it gives.
    pub value: T,
    /// To be sent, then said to be [`Delivered`].
    pub outbox: Vec<OutboxMessage>,
}

impl<T> Committed<T> {
    /// A transaction that left no message.
    pub const fn nothing_to_send(value: T) -> Self {
        Self {
            value,
            outbox: Vec::new(),
        }
    }
}

/// How long the front has before [`retry`] sends as well.
const FRONT_MS: i64 = 5_000;
/// The longest pause between two tries.
const PAUSE_MS_MAX: i64 = 10 * 60 * 1_000;
/// Messages sent again in one go.
const RETRY_MAX: u32 = 50;

/// Messages about to be written: their ids are drawn before the transaction, which may run again.
pub struct Draft {
    random: [u8; 10],
    now: Timestamp,
    due_at: Timestamp,
}

impl Draft {
    /// Draws the ids.
    pub fn new(directory: &Directory, now: Timestamp) -> Self {
        Self {
            random: directory.rng.bytes(),
            now,
            due_at: now.plus_millis(FRONT_MS),
        }
    }

    /// Draws the ids of messages that no front sends: they are due in the tick's own round.
    pub fn of_the_tick(directory: &Directory, now: Timestamp) -> Self {
        Self {
            due_at: now,
            ..Self::new(directory, now)
        }
    }

    /// The id of the `n`-th message of this draft.
    fn id(&self, n: u32) -> OutboxId {
        let [a, b, c, d, e, f, rest @ ..] = self.random;
        let [g, h, i, j] = (u32::from_be_bytes(rest) ^ n).to_be_bytes();
        OutboxId::at(self.now, [a, b, c, d, e, f, g, h, i, j])
    }

    /// Writes these messages, and hands them to the front together with `value`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn commit_each<T>(
        &self,
        tx: &Tx,
        tenant: &str,
        letters: Vec<Letter>,
        value: T,
    ) -> Result<Committed<T>, Refusal> {
        let mut outbox = Vec::new();
        for (n, letter) in (0_u32..).zip(letters) {
            outbox.push(self.write(tx, tenant, n, letter).await?);
        }
        Ok(Committed { value, outbox })
    }

    /// Writes a message to a room, and hands it to the front together with `value`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn commit<T>(
        &self,
        tx: &Tx,
        tenant: &str,
        session_id: SessionId,
        message: RoomMessage,
        value: T,
    ) -> Result<Committed<T>, Refusal> {
        let letters = vec![(session_id, message).into()];
        self.commit_each(tx, tenant, letters, value).await
    }

    async fn write(
        &self,
        tx: &Tx,
        tenant: &str,
        n: u32,
        letter: Letter,
    ) -> Result<OutboxMessage, Refusal> {
        let id = self.id(n);
        let mut text = letter.text().map_err(Refusal::internal)?;
        // A session's first content is of its owner's choice, and JSON may make six bytes of one.
        if text.len() > parts::PART_BYTES {
            let name = id.to_string();
            parts::write(tx, tenant, Kind::Message, &name, text.as_bytes()).await?;
            text.clear();
        }
        let (session_id, user_id) = match &letter {
            Letter::Room { session_id, .. } => (Some(*session_id), None),
            Letter::Person { user_id, .. } => (None, Some(*user_id)),
        };
        let sql = "INSERT INTO outbox (tenant, id, session_id, user_id, message, tries, due_at) \
                   VALUES (?, ?, ?, ?, ?, 0, ?)";
        let values = [
            tenant.into(),
            id.into(),
            session_id.into(),
            user_id.into(),
            text.into(),
            self.due_at.into(),
        ];
        tx.execute(sql, values).await?;
        Ok(OutboxMessage { id, letter })
    }
}

/// [`Delivered`].
///
/// # Errors
/// Those of the database.
pub async fn delivered(directory: &Directory, call: Delivered) -> Result<(), Refusal> {
    let (tenant, ids) = (&*directory.config.tenant, &call.ids);
    directory
        .db
        .transaction(|tx| async move {
            for id in ids {
                let sql = "DELETE FROM outbox WHERE tenant = ? AND id = ? \
                           RETURNING message = '' AS in_parts";
                if let Some(row) = tx.first(sql, [tenant.into(), (*id).into()]).await?
                    && row.get("in_parts")?
                {
                    parts::delete(&tx, tenant, Kind::Message, &id.to_string()).await?;
                }
            }
            Ok(())
        })
        .await
}

/// Sends again what is due, oldest first; what fails waits twice as long as before.
///
/// # Errors
/// Those of the database.
pub async fn retry(directory: &Directory) -> Result<(), Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let due: Vec<OutboxMessage> = directory
        .db
        .transaction(|tx| async move {
            let sql = "SELECT * FROM outbox WHERE tenant = ? AND due_at <= ? ORDER BY id LIMIT ?";
            let rows = tx
                .execute(sql, [tenant.into(), now.into(), RETRY_MAX.into()])
                .await?;
            let mut due = Vec::new();
            for row in rows {
                let id: OutboxId = row.get("id")?;
                let tries: u32 = row.get("tries")?;
                let pause = FRONT_MS.saturating_mul(1_i64.checked_shl(tries.min(20)).unwrap_or(1));
                let sql = "UPDATE outbox SET tries = tries + 1, due_at = ? \
                           WHERE tenant = ? AND id = ?";
                let later = now.plus_millis(pause.min(PAUSE_MS_MAX));
                tx.execute(sql, [later.into(), tenant.into(), id.into()])
                    .await?;
                let text = text(&tx, tenant, &row, id).await?;
                match Letter::read(row.get("session_id")?, row.get("user_id")?, &text) {
                    Ok(letter) => due.push(OutboxMessage { id, letter }),
                    // As another version wrote it, perhaps. It stays, and holds up no other.
                    Err(_) => {
                        tracing::error!(outbox.id = %id, "a message is not readable");
                    }
                }
            }
            Ok::<_, Refusal>(due)
        })
        .await?;
    let mut ids = Vec::new();
    for message in &due {
        match send(&*directory.shards, message).await {
            Ok(()) => ids.push(message.id),
            Err(refusal) => {
                tracing::warn!(outbox.id = %message.id, code = refusal.code.as_str(), "not delivered");
            }
        }
    }
    if ids.is_empty() {
        Ok(())
    } else {
        delivered(directory, Delivered { ids }).await
    }
}

/// A message's JSON, from its row or from its parts.
async fn text(tx: &Tx, tenant: &str, row: &Row, id: OutboxId) -> Result<Vec<u8>, Refusal> {
    let text: String = row.get("message")?;
    if text.is_empty() {
        parts::read(tx, tenant, Kind::Message, &id.to_string()).await
    } else {
        Ok(text.into_bytes())
    }
}
