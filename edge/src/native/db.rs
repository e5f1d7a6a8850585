//! The database port over rusqlite.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params_from_iter};

use crate::ports::{Db, DbError, Rows, Statements, TransactionBody, Tx, Value};

/// One SQLite database; one transaction at a time.
pub struct SqliteDb {
    connection: Arc<Mutex<Connection>>,
    /// Held from begin to commit. The connection's own lock is held per statement only, because
    /// it must not be held while the body waits.
    turn: tokio::sync::Mutex<()>,
}

impl SqliteDb {
    /// A database that is gone with this value.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn in_memory() -> Result<Self, String> {
        Connection::open_in_memory()
            .map(Self::new)
            .map_err(|error| error.to_string())
    }

    /// The database in that file.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn open(path: &Path) -> Result<Self, String> {
        Connection::open(path)
            .map(Self::new)
            .map_err(|error| error.to_string())
    }

    fn new(connection: Connection) -> Self {
        let connection = Arc::new(Mutex::new(connection));
        Self {
            connection,
            turn: tokio::sync::Mutex::new(()),
        }
    }

    fn control(&self, sql: &str) -> Result<(), DbError> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connection.execute_batch(sql).map_err(failed)
    }
}

impl Db for SqliteDb {
    fn run<'a>(&'a self, body: &'a TransactionBody<'a>) -> BoxFuture<'a, Result<(), DbError>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            self.control("BEGIN IMMEDIATE")?;
            let open = RollBack(self);
            let commit = body(Tx::new(Arc::new(Native(self.connection.clone())))).await;
            if commit {
                std::mem::forget(open);
                self.control("COMMIT")
            } else {
                drop(open);
                Ok(())
            }
        })
    }
}

/// Rolls back when it is dropped, also when the body's future is.
struct RollBack<'a>(&'a SqliteDb);

impl Drop for RollBack<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.control("ROLLBACK") {
            tracing::error!(cause = %error, "could not roll back");
        }
    }
}

struct Native(Arc<Mutex<Connection>>);

#[async_trait]
impl Statements for Native {
    async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<Rows, DbError> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        let columns: Vec<String> = statement
            .column_names()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let values = values.into_iter().map(|value| match value {
            Value::Null => rusqlite::types::Value::Null,
            Value::Integer(n) => rusqlite::types::Value::Integer(n),
            Value::Real(x) => rusqlite::types::Value::Real(x),
            Value::Text(text) => rusqlite::types::Value::Text(text),
            Value::Blob(bytes) => rusqlite::types::Value::Blob(bytes),
        });
        let mut found = statement.query(params_from_iter(values)).map_err(failed)?;
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(failed)? {
            let values = (0..columns.len()).map(|index| row.get_ref(index).map(read));
            rows.push(values.collect::<Result<Vec<Value>, _>>().map_err(failed)?);
        }
        Ok(Rows::new(columns, rows))
    }
}

fn read(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Integer(n),
        ValueRef::Real(x) => Value::Real(x),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

fn failed(error: rusqlite::Error) -> DbError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            DbError::Busy
        }
        _ => DbError::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::{HandClock, InProcess, NativeSignals, NoCache, SystemRng};
    use crate::ports::contract::{self, World};

    #[tokio::test]
    async fn the_native_ports_keep_their_promises() {
        let db = SqliteDb::in_memory().unwrap();
        let seen = contract::run(World {
            db: &db,
            clock: &HandClock::default(),
            rng: &SystemRng,
            cache: &NoCache,
            hasher: &InProcess,
            signals: &NativeSignals::default(),
        })
        .await;
        assert!(seen.len() >= 12);
        let broken: Vec<_> = seen.iter().filter(|seen| seen.broken.is_some()).collect();
        assert!(broken.is_empty(), "{broken:?}");
    }

    #[tokio::test]
    async fn a_transaction_that_is_dropped_halfway_leaves_nothing() {
        let db = SqliteDb::in_memory().unwrap();
        let db: &dyn Db = &db;
        let create = |tx: Tx| async move {
            tx.execute("CREATE TABLE t (n INTEGER)", []).await?;
            Ok::<_, DbError>(())
        };
        db.transaction(create).await.unwrap();
        let endless = db.transaction(|tx| async move {
            tx.execute("INSERT INTO t VALUES (1)", []).await?;
            std::future::pending::<()>().await;
            Ok::<_, DbError>(())
        });
        let timeout = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(timeout, endless).await.is_err());
        let count = |tx: Tx| async move {
            Ok::<_, DbError>(tx.execute("SELECT * FROM t", []).await?.len())
        };
        assert_eq!(db.transaction(count).await.unwrap(), 0);
    }
}
