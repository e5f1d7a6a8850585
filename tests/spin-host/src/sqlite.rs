//! `spin:sqlite` over files: each `open` is a connection of its own, with all that follows from
//! it on Spin: a transaction ends with its connection, others wait up to 5 s for a lock, and rows
//! that nobody takes hold up the next statement of the connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{Value as Stored, ValueRef};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

use crate::bindings::sqlite::{
    Error, Host, HostConnection, HostConnectionWithStore, QueryResult, RowResult, Value,
};
use crate::instance::Ctx;
use crate::rows::Rows;

/// Connections that one instance may hold open, as on Spin.
const CONNECTIONS_MAX: usize = 256;
/// Rows that wait for the component before the statement pauses, as on Spin.
const ROWS_AHEAD: usize = 4;

/// An open connection.
#[derive(Clone)]
pub struct Connection(Arc<Mutex<rusqlite::Connection>>);

impl Connection {
    fn open(path: &std::path::Path) -> rusqlite::Result<Self> {
        let connection = rusqlite::Connection::open(path)?;
        connection.authorizer(Some(|context: AuthContext<'_>| match context.action {
            AuthAction::Attach { filename } if !matches!(filename, "" | ":memory:") => {
                Authorization::Deny
            }
            _ => Authorization::Allow,
        }));
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    fn lock(&self) -> MutexGuard<'_, rusqlite::Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a statement on this thread. Columns are told as soon as they are known, rows as they
    /// are taken. Holds the connection until the last row is taken, or nobody takes any more.
    fn run(
        &self,
        sql: &str,
        parameters: Vec<Value>,
        columns: oneshot::Sender<Vec<String>>,
        rows: &mpsc::Sender<RowResult>,
    ) -> Result<(), Error> {
        let connection = self.lock();
        // Of several statements in one text only the first is prepared, and nobody is told.
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        let names = statement.column_names();
        let _ = columns.send(names.into_iter().map(ToOwned::to_owned).collect());
        let width = statement.column_count();
        let parameters = rusqlite::params_from_iter(parameters.into_iter().map(store));
        let mut found = statement.query(parameters).map_err(failed)?;
        while let Some(row) = found.next().map_err(failed)? {
            let values = (0..width)
                .map(|index| load(row.get_ref(index).map_err(failed)?))
                .collect::<Result<_, Error>>()?;
            if rows.blocking_send(RowResult { values }).is_err() {
                return Err(Error::Io("nobody takes the rows".into()));
            }
        }
        Ok(())
    }
}

fn failed(error: rusqlite::Error) -> Error {
    Error::Io(error.to_string())
}

fn store(value: Value) -> Stored {
    match value {
        Value::Integer(n) => Stored::Integer(n),
        Value::Real(x) => Stored::Real(x),
        Value::Text(text) => Stored::Text(text),
        Value::Blob(bytes) => Stored::Blob(bytes),
        Value::Null => Stored::Null,
    }
}

fn load(value: ValueRef<'_>) -> Result<Value, Error> {
    Ok(match value {
        ValueRef::Integer(n) => Value::Integer(n),
        ValueRef::Real(x) => Value::Real(x),
        ValueRef::Text(text) => Value::Text(
            String::from_utf8(text.to_vec())
                .map_err(|_| Error::Io("a text is not UTF-8".into()))?,
        ),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
        ValueRef::Null => Value::Null,
    })
}

impl Ctx {
    fn connection(&self, handle: &Resource<Connection>) -> Result<Connection, Error> {
        let connection = self.table.get(handle);
        connection.cloned().map_err(|_| Error::InvalidConnection)
    }
}

/// What runs for one statement: its columns, its rows, and how it ended.
type Started = (
    Vec<String>,
    StreamReader<RowResult>,
    FutureReader<Result<(), Error>>,
);

impl HostConnectionWithStore<Ctx> for HasSelf<Ctx> {
    async fn open_async(
        accessor: &Accessor<Ctx, Self>,
        database: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        let path = accessor.with(|mut ctx| {
            let ctx = ctx.get();
            if ctx.connections >= CONNECTIONS_MAX {
                return Err(Error::Io("too many connections opened".into()));
            }
            let path = ctx.offer.databases.get(&database).cloned();
            path.ok_or(Error::AccessDenied)
        });
        let path = match path {
            Ok(path) => path,
            Err(error) => return Ok(Err(error)),
        };
        let connection = match spawn_blocking(move || Connection::open(&path)).await? {
            Ok(connection) => connection,
            Err(error) => return Ok(Err(failed(error))),
        };
        accessor.with(|mut ctx| {
            let ctx = ctx.get();
            ctx.connections += 1;
            Ok(Ok(ctx.table.push(connection)?))
        })
    }

    async fn execute_async(
        accessor: &Accessor<Ctx, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<Started, Error>> {
        let connection = match accessor.with(|mut ctx| ctx.get().connection(&connection)) {
            Ok(connection) => connection,
            Err(error) => return Ok(Err(error)),
        };
        let (columns_in, columns_out) = oneshot::channel();
        let (rows_in, rows_out) = mpsc::channel(ROWS_AHEAD);
        let done = spawn_blocking(move || {
            connection.run(&statement, parameters, columns_in, &rows_in)
            // Here the rows end, and after them `done` tells how.
        });
        // A statement that cannot be prepared has no columns; its error is in the result.
        let columns = columns_out.await.unwrap_or_default();
        accessor.with(|mut ctx| {
            let rows = StreamReader::new(&mut ctx, Rows(rows_out))?;
            let result = FutureReader::new(&mut ctx, done)?;
            Ok(Ok((columns, rows, result)))
        })
    }

    async fn last_insert_rowid_async(
        accessor: &Accessor<Ctx, Self>,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<i64> {
        let connection = accessor.with(|mut ctx| ctx.get().connection(&connection))?;
        Ok(spawn_blocking(move || connection.lock().last_insert_rowid()).await?)
    }

    async fn changes_async(
        accessor: &Accessor<Ctx, Self>,
        connection: Resource<Connection>,
    ) -> wasmtime::Result<u64> {
        let connection = accessor.with(|mut ctx| ctx.get().connection(&connection))?;
        Ok(spawn_blocking(move || connection.lock().changes()).await?)
    }
}

/// The functions that block the component, which no `spin-sdk` since 6.0 calls.
fn only_async<T>() -> wasmtime::Result<T> {
    wasmtime::bail!("of spin:sqlite only the async functions are served")
}

impl Host for Ctx {}

impl HostConnection for Ctx {
    fn open(&mut self, _: String) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        only_async()
    }

    fn execute(
        &mut self,
        _: Resource<Connection>,
        _: String,
        _: Vec<Value>,
    ) -> wasmtime::Result<Result<QueryResult, Error>> {
        only_async()
    }

    fn last_insert_rowid(&mut self, _: Resource<Connection>) -> wasmtime::Result<i64> {
        only_async()
    }

    fn changes(&mut self, _: Resource<Connection>) -> wasmtime::Result<u64> {
        only_async()
    }

    fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        self.connections -= 1;
        Ok(())
    }
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
