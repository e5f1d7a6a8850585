//! [`Db`] over one of Spin's SQLite databases, which every instance of the deployment shares.
//!
//! An instance has one connection to each database, and its transactions take turns on it: they
//! all write, so SQLite would let them wait for each other anyway, and not in their order. A
//! transaction that ended in good order leaves the connection to the next; whatever ends one
//! early, from an error to a client that went away, closes the connection, and that rolls back.
//! Every statement's rows are taken to the end, because Spin tells errors only after the last row,
//! and because a row that is left holds up the connection's next statement for ever.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::lock::{Mutex, MutexGuard};
use spin_sdk::sqlite::{Connection, Error, Value as SpinValue};
use spin_sdk::time::sleep;

use crate::ports::{Db, DbError, Rows, Statements, TransactionBody, Tx, Value};

/// How long to wait before each further try where another instance keeps the database busy. Spin
/// itself has waited for 5 s before it says so.
const PAUSES_MS: [u64; 3] = [20, 80, 320];
/// How often a transaction looks whether its turn has come.
const TURN_MS: u64 = 2;

/// A database of the manifest.
pub struct SpinDb {
    label: &'static str,
    /// The connection, unless a transaction has it or none is open. It is kept open not least
    /// because SQLite takes its log apart when the last connection closes.
    connection: Mutex<Option<Connection>>,
}

impl SpinDb {
    /// The database with this label in `sqlite_databases`.
    pub fn of(label: &'static str) -> Self {
        let connection = Mutex::new(None);
        Self { label, connection }
    }

    /// Waits until no other transaction of this instance is under way.
    async fn turn(&self) -> MutexGuard<'_, Option<Connection>> {
        loop {
            if let Some(turn) = self.connection.try_lock() {
                return turn;
            }
            // To sleep until the lock is free is not possible: `spin-sdk` 7.0 wakes a request by
            // events of the host only, and panics where one waits for another request alone.
            sleep(Duration::from_millis(TURN_MS)).await;
        }
    }

    async fn run_once(&self, body: &TransactionBody<'_>) -> Result<(), DbError> {
        let mut turn = self.turn().await;
        let connection = match turn.take() {
            Some(connection) => connection,
            None => open(self.label).await?,
        };
        let open = Arc::new(Open(connection));
        // The lock for writing first: to take it in the middle could fail, with work already done.
        open.execute("BEGIN IMMEDIATE", Vec::new()).await?;
        let commit = body(Tx::new(open.clone())).await;
        let end = if commit { "COMMIT" } else { "ROLLBACK" };
        match open.execute(end, Vec::new()).await {
            // Whoever keeps a `Tx` beyond its transaction cannot use it on the next one.
            Ok(_) => *turn = Arc::into_inner(open).map(|Open(connection)| connection),
            // SQLite may have rolled back by itself, and then has nothing left to end.
            Err(_) if !commit => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl SpinDb {
    /// SQLite makes a transaction of a statement that stands alone; one that only reads waits for
    /// no writer.
    async fn run_alone(&self, sql: &str, values: &[Value]) -> Result<Rows, DbError> {
        let mut turn = self.turn().await;
        let connection = match turn.take() {
            Some(connection) => connection,
            None => open(self.label).await?,
        };
        let open = Open(connection);
        let rows = open.execute(sql, values.to_vec()).await?;
        *turn = Some(open.0);
        Ok(rows)
    }
}

async fn open(label: &str) -> Result<Connection, DbError> {
    let open = Open(Connection::open(label).await.map_err(failed)?);
    // Stays in the file once it is set. A busy database keeps its old journal for now, which is
    // slower, and safe.
    match open.execute("PRAGMA journal_mode=WAL", Vec::new()).await {
        Ok(_) | Err(DbError::Busy) => Ok(open.0),
        Err(error) => Err(error),
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

    fn run_one<'a>(
        &'a self,
        sql: &'a str,
        values: &'a [Value],
    ) -> Option<BoxFuture<'a, Result<Rows, DbError>>> {
        Some(Box::pin(async move {
            for pause in PAUSES_MS {
                match self.run_alone(sql, values).await {
                    Err(DbError::Busy) => sleep(Duration::from_millis(pause)).await,
                    done => return done,
                }
            }
            self.run_alone(sql, values).await
        }))
    }
}

/// A connection that is in use.
struct Open(Connection);

#[async_trait]
impl Statements for Open {
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
