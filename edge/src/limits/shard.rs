//! A shard of limits: answers calls about the keys that hash to it.
//!
//! Where a shard has memory that lasts as long as it is asked (a Durable Object), what it knows is
//! there, and the database has only what would be missed. Where it has none (Spin), each call is a
//! transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use futures_util::lock::Mutex;

use super::calls::{
    CountRefusals, GiveBack, ListRefusals, PasswordRight, RefusalCount, Take, TryPassword,
};
use super::counters::{Cell, Cells, Counting, Kept};
use super::{Micros, micros};
use crate::error::Refusal;
use crate::ports::{Clock, Db, DbError, INTEGER_MAX, Row, ShardResponse, Tx, Value};
use crate::shard::{Call, answer, no_such_call, received};

/// Keys that a shard has in memory: with their cells, some 10 MB.
const KEYS_MAX: usize = 50_000;
/// What is over is removed from the database this often, if anything is written at all.
const SWEEP: Micros = 10 * 60 * 1_000_000;
/// Rows that go at a time.
const SWEPT_MAX: i64 = 1_000;

/// The tables. A key is a hash, and says which shard's it is; a refusal is known by its limit alone.
const SCHEMA: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS cell (\
     key TEXT PRIMARY KEY, at INTEGER, count INTEGER, until INTEGER) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS refusal (\
     policy TEXT PRIMARY KEY, count INTEGER) WITHOUT ROWID",
];

/// One shard.
pub struct LimitsShard {
    db: Arc<dyn Db>,
    clock: Arc<dyn Clock>,
    /// What it knows, where memory lasts. Held for the whole of a call.
    kept: Option<Mutex<Kept>>,
    migrated: AtomicBool,
    swept_at: AtomicI64,
}

impl LimitsShard {
    /// A shard whose memory lasts: nobody else may use its part of the database.
    #[must_use]
    pub fn in_memory(db: Arc<dyn Db>, clock: Arc<dyn Clock>) -> Self {
        Self::new(db, clock, Some(Mutex::new(Kept::new(KEYS_MAX))))
    }

    /// A shard that is the database and nothing else.
    #[must_use]
    pub fn in_database(db: Arc<dyn Db>, clock: Arc<dyn Clock>) -> Self {
        Self::new(db, clock, None)
    }

    fn new(db: Arc<dyn Db>, clock: Arc<dyn Clock>, kept: Option<Mutex<Kept>>) -> Self {
        Self {
            db,
            clock,
            kept,
            migrated: AtomicBool::new(false),
            swept_at: AtomicI64::new(0),
        }
    }

    /// Answers one call.
    pub async fn handle(&self, path: &str, body: &[u8]) -> ShardResponse {
        match path {
            Take::PATH => answer(self.received::<Take>(body).await),
            GiveBack::PATH => answer(self.received::<GiveBack>(body).await),
            TryPassword::PATH => answer(self.received::<TryPassword>(body).await),
            PasswordRight::PATH => answer(self.received::<PasswordRight>(body).await),
            CountRefusals::PATH => answer(self.count_refusals(body).await),
            ListRefusals::PATH => answer(self.list_refusals().await),
            _ => no_such_call(),
        }
    }

    async fn received<C: Counting>(&self, body: &[u8]) -> Result<C::Answer, Refusal> {
        let call: C = received(body)?;
        Ok(self.count(&call).await?)
    }

    async fn count_refusals(&self, body: &[u8]) -> Result<(), Refusal> {
        let CountRefusals { refusals } = received(body)?;
        self.migrate().await?;
        let refusals = &refusals;
        let written = self.db.transaction(|tx| async move {
            for RefusalCount { limit, count } in refusals {
                let count = i64::try_from(*count).map_or(INTEGER_MAX, |n| n.min(INTEGER_MAX));
                let sql = "INSERT INTO refusal (policy, count) VALUES (?1, ?2) \
                           ON CONFLICT (policy) DO UPDATE SET count = min(count + ?2, ?3)";
                let values = [limit.as_str().into(), count.into(), INTEGER_MAX.into()];
                tx.execute(sql, values).await?;
            }
            Ok::<_, DbError>(())
        });
        Ok(written.await?)
    }

    async fn list_refusals(&self) -> Result<Vec<RefusalCount>, Refusal> {
        self.migrate().await?;
        let sql = "SELECT policy, count FROM refusal ORDER BY policy";
        let rows = self.db.query(sql, Vec::new()).await?;
        let refusals = rows.into_iter().map(|row| {
            let count: i64 = row.get("count")?;
            Ok::<_, DbError>(RefusalCount {
                limit: row.get("policy")?,
                count: count.unsigned_abs(),
            })
        });
        Ok(refusals.collect::<Result<_, _>>()?)
    }

    async fn count<C: Counting>(&self, call: &C) -> Result<C::Answer, DbError> {
        self.migrate().await?;
        match &self.kept {
            Some(kept) => self.count_in_memory(kept, call).await,
            None => self.count_in_database(call).await,
        }
    }

    /// The time, for a call whose turn it is: whoever had looked before would ask as of a time before
    /// that of others, and could be refused what is theirs.
    fn now(&self) -> Micros {
        micros(self.clock.now())
    }

    async fn count_in_memory<C: Counting>(
        &self,
        kept: &Mutex<Kept>,
        call: &C,
    ) -> Result<C::Answer, DbError> {
        let mut kept = kept.lock().await;
        let now = self.now();
        let keys = call.keys();
        let missing = kept.missing(&keys);
        if !missing.is_empty() {
            let values = missing.iter().map(|key| Value::from(*key)).collect();
            let rows = self.db.query(&select(missing.len()), values).await?;
            let stored = cells(rows)?;
            kept.learn(&missing, stored);
        }
        let mut cells = kept.cells(&keys);
        let answer = call.apply(now, &mut cells);
        let write = kept.take(now, cells);
        if !write.is_empty() {
            // What was decided holds; it is only not remembered for as long.
            if let Err(error) = self.write(&write, now).await {
                tracing::error!(cause = %error, "limits were not written");
            }
        }
        Ok(answer)
    }

    async fn write(&self, write: &Cells, now: Micros) -> Result<(), DbError> {
        let sweeps = self.is_due(now);
        self.db
            .transaction(|tx| async move {
                for (key, cell) in write {
                    store(&tx, key, *cell, now).await?;
                }
                if sweeps {
                    sweep(&tx, now).await
                } else {
                    Ok(())
                }
            })
            .await
    }

    async fn count_in_database<C: Counting>(&self, call: &C) -> Result<C::Answer, DbError> {
        self.db
            .transaction(|tx| async move {
                let now = self.now();
                let keys = call.keys();
                let values: Vec<Value> = keys.iter().map(|key| Value::from(*key)).collect();
                let mut cells = cells(tx.execute(&select(keys.len()), values).await?)?;
                let before = cells.clone();
                let answer = call.apply(now, &mut cells);
                for (key, cell) in &cells {
                    if before.get(key) != Some(cell) {
                        store(&tx, key, *cell, now).await?;
                    }
                }
                if self.is_due(now) {
                    sweep(&tx, now).await?;
                }
                Ok(answer)
            })
            .await
    }

    /// Whether to sweep; true for one of those who ask. Where memory does not last it is a matter
    /// of chance, so that not every new instance sweeps: one in some hundred milliseconds is.
    fn is_due(&self, now: Micros) -> bool {
        let swept_at = self.swept_at.load(Ordering::Relaxed);
        if self.kept.is_none() && swept_at == 0 && (now / 1_000) % 256 != 0 {
            return false;
        }
        let due = now.saturating_sub(swept_at) >= SWEEP;
        if due {
            self.swept_at.store(now, Ordering::Relaxed);
        }
        due
    }

    async fn migrate(&self) -> Result<(), DbError> {
        if !self.migrated.load(Ordering::Relaxed) {
            for table in SCHEMA {
                self.db.query(table, Vec::new()).await?;
            }
            self.migrated.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn select(keys: usize) -> String {
    let places = vec!["?"; keys].join(", ");
    format!("SELECT key, at, count, until FROM cell WHERE key IN ({places})")
}

fn cells(rows: impl IntoIterator<Item = Row>) -> Result<Cells, DbError> {
    let cell = |row: Row| {
        let cell = Cell {
            at: row.get("at")?,
            count: row.get("count")?,
            until: row.get("until")?,
        };
        Ok((row.get("key")?, cell))
    };
    rows.into_iter().map(cell).collect()
}

async fn store(tx: &Tx, key: &str, cell: Cell, now: Micros) -> Result<(), DbError> {
    if cell.until <= now {
        tx.execute("DELETE FROM cell WHERE key = ?", [key.into()])
            .await?;
        return Ok(());
    }
    let sql = "INSERT INTO cell (key, at, count, until) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (key) DO UPDATE SET at = ?2, count = ?3, until = ?4";
    let values = [
        key.into(),
        cell.at.into(),
        cell.count.into(),
        cell.until.into(),
    ];
    tx.execute(sql, values).await.map(drop)
}

async fn sweep(tx: &Tx, now: Micros) -> Result<(), DbError> {
    let sql = "DELETE FROM cell WHERE key IN (SELECT key FROM cell WHERE until <= ? LIMIT ?)";
    tx.execute(sql, [now.into(), SWEPT_MAX.into()])
        .await
        .map(drop)
}

/// The shard of a key, by the hash that the key begins with.
#[must_use]
pub fn number(key: &str) -> u8 {
    let sum = key
        .bytes()
        .take(4)
        .fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    sum % super::SHARDS
}

#[cfg(test)]
mod tests;
