//! A database that can fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use codecrafter_shared::time::Timestamp;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::session;
use super::world::Disk;
use crate::native::SqliteDb;
use crate::ports::{Db, DbError, Rows, Statements, TransactionBody, Tx, Value};
use crate::room::{Change, LoadedDocument, store};

/// SQLite, in which a transaction fails if that is asked for, after it has done its work.
///
/// Or it breaks off at a statement, which is what a power cut is to a transaction.
pub struct Flaky {
    pub inner: SqliteDb,
    pub fails: AtomicBool,
    /// The number of the statement that is not run any more; 0 for none.
    pub breaks_at: AtomicU32,
}

impl Flaky {
    pub fn new() -> Self {
        let inner = SqliteDb::in_memory().unwrap();
        store::migrate(&inner).now_or_never().unwrap().unwrap();
        Self {
            inner,
            fails: AtomicBool::new(false),
            breaks_at: AtomicU32::new(0),
        }
    }
}

impl Disk for Flaky {
    fn persist(&self, changes: &[Change]) -> bool {
        let stored = store::persist(self, session(1), changes);
        stored.now_or_never().expect("it does not wait").is_ok()
    }

    fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    fn break_at(&self, statement: u32) {
        self.breaks_at.store(statement, Ordering::Relaxed);
    }

    fn load(&self, now: Timestamp) -> LoadedDocument {
        let loaded = store::load_document(&self.inner, session(1), now);
        loaded.now_or_never().expect("it does not wait").unwrap()
    }
}

impl Db for Flaky {
    fn run<'a>(&'a self, body: &'a TransactionBody<'a>) -> BoxFuture<'a, Result<(), DbError>> {
        let breaks_at = self.breaks_at.swap(0, Ordering::Relaxed);
        if breaks_at > 0 {
            return Box::pin(async move {
                let breaks = |tx| {
                    let left = AtomicU32::new(breaks_at);
                    body(Tx::new(Arc::new(Breaking { tx, left })))
                };
                self.inner.run(&breaks).await
            });
        }
        if !self.fails.swap(false, Ordering::Relaxed) {
            return self.inner.run(body);
        }
        Box::pin(async move {
            let fails = |tx| -> BoxFuture<'_, bool> {
                Box::pin(async move {
                    body(tx).await;
                    false
                })
            };
            self.inner.run(&fails).await?;
            Err(DbError::Failed("the disk is gone".into()))
        })
    }
}

/// The statements of a transaction, of which one is the last.
struct Breaking {
    tx: Tx,
    left: AtomicU32,
}

#[async_trait::async_trait]
impl Statements for Breaking {
    async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<Rows, DbError> {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            return Err(DbError::Failed("the power is gone".into()));
        }
        self.tx.execute(sql, values).await
    }
}
