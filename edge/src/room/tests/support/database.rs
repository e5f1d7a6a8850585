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
    /// The number of the statement that is not run any more, of all transactions from now on; 0
    /// for none.
    breaks_at: Arc<AtomicU32>,
}

impl Flaky {
    pub fn new() -> Self {
        let inner = SqliteDb::in_memory().unwrap();
        store::migrate(&inner).now_or_never().unwrap().unwrap();
        Self {
            inner,
            fails: AtomicBool::new(false),
            breaks_at: Arc::default(),
        }
    }
}

impl Disk for Flaky {
    fn persist(&self, changes: &[Change]) -> bool {
        let stored = store::persist(self, session(1), changes);
        let stored = stored.now_or_never().expect("it does not wait");
        // What is stored with fewer statements is stored.
        self.breaks_at.store(0, Ordering::Relaxed);
        stored.is_ok()
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
        if self.breaks_at.load(Ordering::Relaxed) > 0 {
            return Box::pin(async move {
                let breaks = |tx| {
                    let left = self.breaks_at.clone();
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

/// The statements of a transaction, of which one may be the last.
struct Breaking {
    tx: Tx,
    left: Arc<AtomicU32>,
}

#[async_trait::async_trait]
impl Statements for Breaking {
    async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<Rows, DbError> {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 1 {
            return Err(DbError::Failed("the power is gone".into()));
        }
        self.tx.execute(sql, values).await
    }
}
