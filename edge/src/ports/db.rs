//! Durable state is SQLite on every platform (E3). SQL is written once, next to the use-case that
//! needs it, on the common ground of all platforms: one statement per call, at most
//! [`BOUND_VALUES_MAX`] bound values, integers below 2^53, no pragmas, rows of at most 1 MB.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use codecrafter_shared::error::ErrorCode;
use futures_util::future::BoxFuture;

use crate::error::Refusal;

/// Values that one statement may bind.
pub const BOUND_VALUES_MAX: usize = 100;
/// The largest integer that every platform carries without loss: 2^53 − 1.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;
/// Bytes that one statement may bind together.
pub const BOUND_BYTES_MAX: usize = 1_000_000;

/// A database of one shard, or on Spin of all shards of a kind.
pub trait Db: Send + Sync {
    /// Runs `body` between begin and commit; commits if it gives `true`, else rolls back.
    ///
    /// Promises: all statements of the body take effect, or none; no other transaction sees a
    /// part of it; once this is `Ok`, a crash does not lose it. The body may be run again from
    /// the start if the platform asks for it, so it must do nothing but use its [`Tx`] and plain
    /// data, and must not wait for anything else.
    ///
    /// Use [`Db::transaction`](trait.Db.html#method.transaction) instead of this.
    fn run<'a>(&'a self, body: &'a TransactionBody<'a>) -> BoxFuture<'a, Result<(), DbError>>;

    /// Runs one statement as a transaction of its own, where the platform has a shorter way for
    /// that; `None` where it has none.
    ///
    /// Use [`Db::statement`](trait.Db.html#method.statement) instead of this.
    fn run_one<'a>(
        &'a self,
        _sql: &'a str,
        _values: &'a [Value],
    ) -> Option<BoxFuture<'a, Result<Rows, DbError>>> {
        None
    }
}

/// What [`Db::run`] runs.
pub type TransactionBody<'a> = dyn Fn(Tx) -> BoxFuture<'a, bool> + Send + Sync + 'a;

impl dyn Db + '_ {
    /// Runs `body` as one transaction, and gives what its last run gave. An `Err` of the body
    /// rolls everything back.
    ///
    /// ```ignore
    /// let title = &title;
    /// db.transaction(|tx| async move {
    ///     tx.execute("UPDATE session SET title = ? WHERE id = ?", [title.into(), id.into()]).await?;
    ///     Ok::<_, DbError>(())
    /// }).await
    /// ```
    ///
    /// # Errors
    /// The body's own, or a [`DbError`] of begin or commit.
    pub async fn transaction<T, E, F, R>(&self, body: F) -> Result<T, E>
    where
        F: Fn(Tx) -> R + Send + Sync,
        R: Future<Output = Result<T, E>> + Send,
        T: Send,
        E: From<DbError> + Send,
    {
        let given: Mutex<Option<Result<T, E>>> = Mutex::new(None);
        {
            let (body, given) = (&body, &given);
            let run = move |tx: Tx| -> BoxFuture<'_, bool> {
                Box::pin(async move {
                    let result = body(tx).await;
                    let commit = result.is_ok();
                    *given.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                    commit
                })
            };
            self.run(&run).await?;
        }
        given
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .unwrap_or_else(|| Err(DbError::Failed("the transaction was not run".into()).into()))
    }

    /// Runs one statement as a transaction of its own; gives all rows of its answer.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn query(&self, sql: &str, values: Vec<Value>) -> Result<Rows, DbError> {
        check_portable(sql, &values)?;
        if let Some(run) = self.run_one(sql, &values) {
            return run.await;
        }
        let values = &values;
        self.transaction(|tx| async move { tx.execute(sql, values.clone()).await })
            .await
    }

    /// Runs one statement as a transaction of its own; gives the first row of its answer.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn statement(&self, sql: &str, values: Vec<Value>) -> Result<Option<Row>, DbError> {
        check_portable(sql, &values)?;
        if let Some(run) = self.run_one(sql, &values) {
            return Ok(run.await?.into_iter().next());
        }
        let values = &values;
        self.transaction(|tx| async move { tx.first(sql, values.clone()).await })
            .await
    }
}

/// Why the database did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DbError {
    /// Somebody else held it for too long; trying again may help.
    #[error("the database is busy")]
    Busy,
    /// The statement leaves the common ground of the platforms: a programming error.
    #[error("the statement is not portable: {0}")]
    NotPortable(String),
    /// SQLite or the platform refused.
    #[error("the database failed: {0}")]
    Failed(String),
    /// A row has not the form that was asked for.
    #[error("column {column}: {problem}")]
    Decode {
        /// The column.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Busy => Self::retry_after(ErrorCode::Unavailable, 1),
            other => Self::internal(other),
        }
    }
}

/// What a transaction's body does its work with. Cheap to clone; of no use after the body.
#[derive(Clone)]
pub struct Tx(Arc<dyn Statements>);

/// The platform's side of a [`Tx`].
#[async_trait]
pub trait Statements: Send + Sync {
    /// Runs one statement with `?` placeholders, to its end, and gives all of its rows.
    async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<Rows, DbError>;
}

impl Tx {
    /// A transaction over the platform's statements.
    #[must_use]
    pub fn new(statements: Arc<dyn Statements>) -> Self {
        Self(statements)
    }

    /// Runs one statement with `?` placeholders.
    ///
    /// # Errors
    /// [`DbError::NotPortable`] if it leaves the common ground; else what the platform says.
    pub async fn execute(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value> + Send,
    ) -> Result<Rows, DbError> {
        let values: Vec<Value> = values.into_iter().collect();
        check_portable(sql, &values)?;
        self.0.execute(sql, values).await
    }

    /// The first row of a statement's answer, if there is one.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn first(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value> + Send,
    ) -> Result<Option<Row>, DbError> {
        Ok(self.execute(sql, values).await?.into_iter().next())
    }
}

/// Checked before every platform, so that a native test refuses what another would.
fn check_portable(sql: &str, values: &[Value]) -> Result<(), DbError> {
    let refuse = |what: &str| Err(DbError::NotPortable(what.into()));
    let first = sql
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_ascii_uppercase();
    if matches!(
        first.as_str(),
        "PRAGMA" | "BEGIN" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "ATTACH"
    ) {
        return refuse("no pragmas, transactions are the port's");
    }
    if sql.trim_end().trim_end_matches(';').contains(';') {
        return refuse("one statement per call, and no semicolon inside it");
    }
    if values.len() > BOUND_VALUES_MAX {
        return refuse("at most 100 bound values");
    }
    let mut bytes = 0_usize;
    for value in values {
        match value {
            Value::Integer(n) if n.unsigned_abs() > INTEGER_MAX.unsigned_abs() => {
                return refuse("integers stay below 2^53");
            }
            Value::Text(text) => bytes = bytes.saturating_add(text.len()),
            Value::Blob(blob) => bytes = bytes.saturating_add(blob.len()),
            _ => {}
        }
    }
    if bytes > BOUND_BYTES_MAX {
        return refuse("at most 1 MB bound at once, as rows stay below 1 MB");
    }
    Ok(())
}

/// A value of SQLite.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// An integer below 2^53.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Integer(n)
    }
}

impl From<u32> for Value {
    fn from(n: u32) -> Self {
        Self::Integer(n.into())
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Integer(yes.into())
    }
}

impl From<codecrafter_shared::time::Timestamp> for Value {
    fn from(at: codecrafter_shared::time::Timestamp) -> Self {
        Self::Integer(at.as_millis())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! id_values {
    ($($name:ident),+) => {$(
        impl From<codecrafter_shared::id::$name> for Value {
            fn from(id: codecrafter_shared::id::$name) -> Self {
                Self::Text(id.to_string())
            }
        }

        impl FromValue for codecrafter_shared::id::$name {
            fn from_value(value: &Value) -> Result<Self, String> {
                String::from_value(value)?.parse().map_err(|error| format!("{error}"))
            }
        }
    )+};
}

id_values!(
    UserId,
    LoginSessionId,
    SessionId,
    ExecutionId,
    AttemptId,
    LeaseId,
    ControlId,
    ExecutorId,
    RequestId,
    OutboxId
);

/// The rows of one answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    columns: Arc<[String]>,
    rows: Vec<Vec<Value>>,
}

impl Rows {
    /// Rows of the given columns.
    #[must_use]
    pub fn new(columns: Vec<String>, rows: Vec<Vec<Value>>) -> Self {
        Self {
            columns: columns.into(),
            rows,
        }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl IntoIterator for Rows {
    type Item = Row;
    type IntoIter = Box<dyn Iterator<Item = Row> + Send>;

    fn into_iter(self) -> Self::IntoIter {
        let columns = self.columns;
        Box::new(self.rows.into_iter().map(move |values| Row {
            columns: columns.clone(),
            values,
        }))
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    /// The value of a column, as the type that is asked for.
    ///
    /// # Errors
    /// [`DbError::Decode`] if there is no such column, or its value is of another type.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, DbError> {
        let decode = |problem: String| DbError::Decode {
            column: column.into(),
            problem,
        };
        let value = self
            .columns
            .iter()
            .position(|name| name == column)
            .and_then(|index| self.values.get(index))
            .ok_or_else(|| decode("there is no such column".into()))?;
        T::from_value(value).map_err(decode)
    }

    /// The value of a column of text, parsed by `parse`.
    ///
    /// # Errors
    /// [`DbError::Decode`] if there is no such column, or `parse` gives `None`.
    pub fn parse<T>(
        &self,
        column: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, DbError> {
        let text: String = self.get(column)?;
        parse(&text).ok_or_else(|| DbError::Decode {
            column: column.into(),
            problem: format!("{text:?} has no meaning here"),
        })
    }
}

/// A type that a column can be read as.
pub trait FromValue: Sized {
    /// The value as this type, or what is wrong with it.
    ///
    /// # Errors
    /// A sentence that says which type was found.
    fn from_value(value: &Value) -> Result<Self, String>;
}

fn unexpected<T>(wanted: &str, found: &Value) -> Result<T, String> {
    let found = match found {
        Value::Null => "NULL",
        Value::Integer(_) => "an integer",
        Value::Real(_) => "a real",
        Value::Text(_) => "text",
        Value::Blob(_) => "a blob",
    };
    Err(format!("wanted {wanted}, found {found}"))
}

impl FromValue for i64 {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Integer(n) => Ok(*n),
            // Workers hand every number over as a double.
            #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
            Value::Real(x) if x.fract() == 0.0 && x.abs() <= INTEGER_MAX as f64 => Ok(*x as i64),
            other => unexpected("an integer", other),
        }
    }
}

macro_rules! narrower_integers {
    ($($name:ty),+) => {$(
        impl FromValue for $name {
            fn from_value(value: &Value) -> Result<Self, String> {
                let n = i64::from_value(value)?;
                Self::try_from(n).map_err(|_| format!("{n} does not fit"))
            }
        }
    )+};
}

narrower_integers!(i32, u32, u64);

impl FromValue for bool {
    fn from_value(value: &Value) -> Result<Self, String> {
        Ok(i64::from_value(value)? != 0)
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Text(text) => Ok(text.clone()),
            other => unexpected("text", other),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Blob(bytes) => Ok(bytes.clone()),
            other => unexpected("a blob", other),
        }
    }
}

impl FromValue for codecrafter_shared::time::Timestamp {
    fn from_value(value: &Value) -> Result<Self, String> {
        i64::from_value(value).map(Self::from_millis)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Null => Ok(None),
            other => T::from_value(other).map(Some),
        }
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tx")
    }
}
