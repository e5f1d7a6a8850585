//! [`Db`] over one of Spin's SQLite databases, which every instance of the deployment shares.
//!
//! Each transaction has a connection of its own: whatever ends it early, from an error to the end
//! of the instance, closes the connection, and that rolls back. Every statement's rows are taken
//! to the end, because Spin tells errors only after the last row, and because a row that is left
//! holds up the connection's next statement for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use spin_sdk::sqlite::{Connection, Error, Value as SpinValue};
use spin_sdk::time::sleep;

use crate::ports::{Db, DbError, Rows, Statements, TransactionBody, Tx, Value};

/// How long to wait before each further try where the database is busy. Spin itself has waited for
/// 5 s before it says so.
const PAUSES_MS: [u64; 3] = [20, 80, 320];

/// A database of the manifest.
pub struct SpinDb {
    label: &'static str,
    /// Whether this instance knows that the database has a write-ahead log.
    has_log: AtomicBool,
}

impl SpinDb {
    /// The database with this label in `sqlite_databases`.
    pub fn of(label: &'static str) -> Self {
        let has_log = AtomicBool::new(false);
        Self { label, has_log }
    }

    async fn open(&self) -> Result<Transaction, DbError> {
        let connection = Connection::open(self.label).await.map_err(failed)?;
        let transaction = Transaction(connection);
        if !self.has_log.load(Ordering::Relaxed) {
            // Stays in the file once it is set. A busy database keeps its old journal for now,
            // which is slower, and safe.
            let set = transaction.execute("PRAGMA journal_mode=WAL", Vec::new());
            match set.await {
                Ok(_) => self.has_log.store(true, Ordering::Relaxed),
                Err(DbError::Busy) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(transaction)
    }

    async fn run_once(&self, body: &TransactionBody<'_>) -> Result<(), DbError> {
        let transaction = Arc::new(self.open().await?);
        // The lock for writing first: to take it in the middle could fail, with work already done.
        transaction.execute("BEGIN IMMEDIATE", Vec::new()).await?;
        let commit = body(Tx::new(transaction.clone())).await;
        let end = if commit { "COMMIT" } else { "ROLLBACK" };
        let ended = transaction.execute(end, Vec::new()).await;
        match ended {
            // SQLite may have rolled back by itself, and then has nothing left to end.
            Err(_) if !commit => Ok(()),
            ended => ended.map(drop),
        }
    }
}

impl Db for SpinDb {
    fn run<'a>(&'a self, body: &'a TransactionBody<'a>) -> BoxFuture<'a, Result<(), DbError>> {
        Box::pin(async move {
            for pause in PAUSES_MS {
                match self.run_once(body).await {
                    Err(DbError::Busy) => sleep(Duration::from_millis(pause)).await,
                    done => return done,
                }
            }
            self.run_once(body).await
        })
    }
}

/// A connection with its transaction.
struct Transaction(Connection);

#[async_trait]
impl Statements for Transaction {
    async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<Rows, DbError> {
        let values = values.into_iter().map(to_spin);
        let result = self.0.execute(sql, values).await.map_err(failed)?;
        let columns = result.columns().to_vec();
        let rows = result.collect().await.map_err(failed)?;
        let values = |values: Vec<SpinValue>| values.into_iter().map(from_spin).collect();
        let rows = rows.into_iter().map(|row| values(row.values));
        Ok(Rows::new(columns, rows.collect()))
    }
}

fn to_spin(value: Value) -> SpinValue {
    match value {
        Value::Null => SpinValue::Null,
        Value::Integer(n) => SpinValue::Integer(n),
        Value::Real(x) => SpinValue::Real(x),
        Value::Text(text) => SpinValue::Text(text),
        Value::Blob(bytes) => SpinValue::Blob(bytes),
    }
}

fn from_spin(value: SpinValue) -> Value {
    match value {
        SpinValue::Null => Value::Null,
        SpinValue::Integer(n) => Value::Integer(n),
        SpinValue::Real(x) => Value::Real(x),
        SpinValue::Text(text) => Value::Text(text),
        SpinValue::Blob(bytes) => Value::Blob(bytes),
    }
}

/// Spin tells what SQLite said as text only.
fn failed(error: Error) -> DbError {
    match error {
        Error::Io(text) if text.contains("is locked") || text.contains("is busy") => DbError::Busy,
        Error::Io(text) => DbError::Failed(text),
        Error::AccessDenied | Error::NoSuchDatabase => {
            DbError::Failed("the manifest or the runtime configuration lacks the database".into())
        }
        other => DbError::Failed(other.to_string()),
    }
}
