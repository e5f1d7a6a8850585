//! [`Db`] over the SQLite of a Durable Object.
//!
//! The platform's calls are synchronous, and `exec` refuses `BEGIN`: a transaction is what
//! happens inside the callback of `storage.transactionSync`, which `worker` does not bind. So a
//! body is polled exactly once in there; one that would wait for something else is rolled back
//! and told so.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use worker::State;
use worker::js_sys::{Array, ArrayBuffer, Number, Uint8Array};
use worker::send::SendWrapper;
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::wasm_bindgen::{JsCast as _, JsValue};

use super::{glue, js};
use crate::ports::{Db, DbError, Rows, Statements, TransactionBody, Tx, Value};

#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
extern "C" {
    /// `ctx.storage` of a Durable Object.
    type Storage;

    #[wasm_bindgen(method, structural, catch, getter)]
    fn sql(this: &Storage) -> Result<JsValue, JsValue>;

    /// Commits when `body` returns, rolls back when it throws.
    #[wasm_bindgen(method, structural, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &Storage,
        body: &mut dyn FnMut() -> Result<JsValue, JsValue>,
    ) -> Result<JsValue, JsValue>;
}

/// The database of one Durable Object. Only code inside that object may use it.
pub struct ObjectDb {
    storage: SendWrapper<Storage>,
    statements: Arc<ObjectStatements>,
}

impl ObjectDb {
    /// The database of the object with `state`.
    ///
    /// # Errors
    /// If the class was not declared with SQLite (`new_sqlite_classes`, `enableSql`).
    pub fn of(state: &State) -> Result<Self, DbError> {
        let storage: Storage = JsValue::from(state.storage().as_raw()).unchecked_into();
        let sql = storage.sql().map_err(failed)?;
        Ok(Self {
            storage: SendWrapper::new(storage),
            statements: Arc::new(ObjectStatements(SendWrapper::new(sql))),
        })
    }

    fn run_now(&self, body: &TransactionBody<'_>) -> Result<(), DbError> {
        let mut wanted = Wanted::Nothing;
        let committed = self.storage.transaction_sync(&mut || {
            let tx = Tx::new(self.statements.clone());
            wanted = match body(tx).now_or_never() {
                Some(true) => Wanted::Commit,
                Some(false) => Wanted::Rollback,
                None => Wanted::ToWait,
            };
            match wanted {
                Wanted::Commit => Ok(JsValue::UNDEFINED),
                _ => Err(JsValue::NULL),
            }
        });
        match (wanted, committed) {
            (Wanted::Commit, Ok(_)) | (Wanted::Rollback, Err(_)) => Ok(()),
            (Wanted::ToWait, _) => Err(DbError::NotPortable(
                "a transaction's body may wait for nothing but its own statements".into(),
            )),
            (Wanted::Nothing | Wanted::Commit, Err(error)) => Err(failed(error)),
            (Wanted::Nothing | Wanted::Rollback, Ok(_)) => {
                Err(DbError::Failed("the transaction was not run".into()))
            }
        }
    }
}

/// What a body asked for.
#[derive(Clone, Copy)]
enum Wanted {
    /// It was not run.
    Nothing,
    Commit,
    Rollback,
    /// To be polled again: there is no such thing here.
    ToWait,
}

impl Db for ObjectDb {
    fn run<'a>(&'a self, body: &'a TransactionBody<'a>) -> BoxFuture<'a, Result<(), DbError>> {
        Box::pin(async move { self.run_now(body) })
    }

    /// What is not inside of `transactionSync` is committed by itself.
    fn run_one<'a>(
        &'a self,
        sql: &'a str,
        values: &'a [Value],
    ) -> Option<BoxFuture<'a, Result<Rows, DbError>>> {
        Some(Box::pin(self.statements.execute(sql, values.to_vec())))
    }
}

/// `ctx.storage.sql`.
struct ObjectStatements(SendWrapper<JsValue>);

#[async_trait]
impl Statements for ObjectStatements {
    async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<Rows, DbError> {
        let sql = with_integers(sql, &values);
        let bound: Array = values.into_iter().map(to_js).collect();
        let Some(rows) = glue::execute(&self.0, &sql, &bound).map_err(failed)? else {
            return Ok(Rows::default());
        };
        let mut rows = rows.iter().map(Array::unchecked_from_js);
        let columns = rows.next().unwrap_or_default();
        let columns = columns
            .iter()
            .map(|name| name.as_string().unwrap_or_default());
        let rows = rows.map(|row| row.iter().map(from_js).collect());
        Ok(Rows::new(
            columns.collect(),
            rows.collect::<Result<_, _>>()?,
        ))
    }
}

/// The platform binds every number as a double, so that `7 / ?` would be a fraction and an
/// integer put into a column of text would read `2.0`. Says of each integer that it is one.
fn with_integers<'a>(sql: &'a str, values: &[Value]) -> Cow<'a, str> {
    if !values
        .iter()
        .any(|value| matches!(value, Value::Integer(_)))
    {
        return Cow::Borrowed(sql);
    }
    let mut out = String::with_capacity(sql.len().saturating_mul(2));
    let mut quote = None;
    // SQLite numbers a bare `?` one higher than the highest before it.
    let mut highest = 0_usize;
    let mut rest = sql.chars();
    while let Some(c) = rest.next() {
        match quote {
            // A doubled quote ends the text and begins it again.
            Some(open) if open == c => quote = None,
            Some(_) => {}
            None if matches!(c, '\'' | '"' | '`') => quote = Some(c),
            None if c == '?' => {
                let after = rest
                    .as_str()
                    .trim_start_matches(|c: char| c.is_ascii_digit());
                let digits = rest.as_str().strip_suffix(after).unwrap_or_default();
                rest = after.chars();
                let number = digits.parse().unwrap_or_else(|_| highest.saturating_add(1));
                highest = highest.max(number);
                let value = number.checked_sub(1).and_then(|index| values.get(index));
                match value {
                    Some(Value::Integer(_)) => out.extend(["CAST(?", digits, " AS INTEGER)"]),
                    _ => out.extend(["?", digits]),
                }
                continue;
            }
            None => {}
        }
        out.push(c);
    }
    Cow::Owned(out)
}

fn to_js(value: Value) -> JsValue {
    match value {
        Value::Null => JsValue::NULL,
        // Exact: the port refuses integers from 2^53 on.
        Value::Integer(n) => JsValue::from_f64(n as f64),
        Value::Real(x) => JsValue::from_f64(x),
        Value::Text(text) => JsValue::from_str(&text),
        Value::Blob(bytes) => Uint8Array::from(bytes.as_slice()).into(),
    }
}

fn from_js(value: JsValue) -> Result<Value, DbError> {
    if let Some(text) = value.as_string() {
        return Ok(Value::Text(text));
    }
    if let Some(x) = value.as_f64() {
        return Ok(from_number(x));
    }
    if value.is_null() {
        return Ok(Value::Null);
    }
    match value.dyn_into::<ArrayBuffer>() {
        Ok(buffer) => Ok(Value::Blob(Uint8Array::new(&buffer).to_vec())),
        Err(other) => Err(DbError::Failed(format!(
            "SQLite gave a value of no known type: {}",
            js::describe(&other)
        ))),
    }
}

/// A whole number is taken for an integer: the platform does not tell them apart.
fn from_number(x: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
    if x.fract() == 0.0 && x.abs() <= Number::MAX_SAFE_INTEGER {
        Value::Integer(x as i64)
    } else {
        Value::Real(x)
    }
}

fn failed(error: JsValue) -> DbError {
    DbError::Failed(js::describe(&error))
}
