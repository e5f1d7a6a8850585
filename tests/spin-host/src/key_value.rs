//! `spin:key-value` over one SQLite file for all stores, as Spin keeps them by default. Nothing in
//! it expires.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use rusqlite::{OptionalExtension as _, params};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

use crate::bindings::key_value::{Error, Host, HostStore, HostStoreWithStore};
use crate::instance::Ctx;
use crate::rows::Rows;

/// Stores that one instance may hold open, as on Spin.
const STORES_MAX: usize = 256;

/// All stores.
#[derive(Clone)]
pub struct Stores(Arc<Mutex<rusqlite::Connection>>);

/// One store, by its label.
#[derive(Clone)]
pub struct Store {
    stores: Stores,
    label: String,
}

impl Stores {
    /// Opens the file, and makes it if it is not there.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let open = || -> rusqlite::Result<_> {
            let connection = rusqlite::Connection::open(path)?;
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS entry (
                    store TEXT NOT NULL,
                    key TEXT NOT NULL,
                    value BLOB NOT NULL,
                    PRIMARY KEY (store, key)
                )",
            )?;
            Ok(connection)
        };
        let connection = open().with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }
}

impl Store {
    /// Runs `work` where it may block.
    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&rusqlite::Connection, &str) -> rusqlite::Result<T> + Send + 'static,
    ) -> wasmtime::Result<Result<T, Error>> {
        let done = spawn_blocking(move || {
            let connection = self.stores.0.lock();
            let connection = connection.unwrap_or_else(PoisonError::into_inner);
            work(&connection, &self.label).map_err(|error| Error::Other(error.to_string()))
        });
        Ok(done.await?)
    }
}

fn store(accessor: &Accessor<Ctx>, handle: &Resource<Store>) -> wasmtime::Result<Store> {
    accessor.with(|mut ctx| Ok(ctx.get().table.get(handle)?.clone()))
}

impl HostStoreWithStore<Ctx> for HasSelf<Ctx> {
    async fn open(
        accessor: &Accessor<Ctx, Self>,
        label: String,
    ) -> wasmtime::Result<Result<Resource<Store>, Error>> {
        accessor.with(|mut ctx| {
            let ctx = ctx.get();
            if !ctx.offer.stores.contains(&label) {
                return Ok(Err(Error::AccessDenied));
            }
            if ctx.stores >= STORES_MAX {
                return Ok(Err(Error::StoreTableFull));
            }
            ctx.stores += 1;
            let stores = ctx.offer.key_value.clone();
            Ok(Ok(ctx.table.push(Store { stores, label })?))
        })
    }

    async fn get(
        accessor: &Accessor<Ctx, Self>,
        handle: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let work = move |connection: &rusqlite::Connection, label: &str| {
            let sql = "SELECT value FROM entry WHERE store = ? AND key = ?";
            let mut statement = connection.prepare_cached(sql)?;
            let value = statement.query_row(params![label, key], |row| row.get(0));
            value.optional()
        };
        store(accessor, &handle)?.run(work).await
    }

    async fn set(
        accessor: &Accessor<Ctx, Self>,
        handle: Resource<Store>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let work = move |connection: &rusqlite::Connection, label: &str| {
            let sql = "INSERT OR REPLACE INTO entry (store, key, value) VALUES (?, ?, ?)";
            let mut statement = connection.prepare_cached(sql)?;
            statement.execute(params![label, key, value]).map(drop)
        };
        store(accessor, &handle)?.run(work).await
    }

    async fn delete(
        accessor: &Accessor<Ctx, Self>,
        handle: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        let work = move |connection: &rusqlite::Connection, label: &str| {
            let sql = "DELETE FROM entry WHERE store = ? AND key = ?";
            let mut statement = connection.prepare_cached(sql)?;
            statement.execute(params![label, key]).map(drop)
        };
        store(accessor, &handle)?.run(work).await
    }

    async fn exists(
        accessor: &Accessor<Ctx, Self>,
        handle: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        let work = move |connection: &rusqlite::Connection, label: &str| {
            let sql = "SELECT 1 FROM entry WHERE store = ? AND key = ?";
            connection.prepare_cached(sql)?.exists(params![label, key])
        };
        store(accessor, &handle)?.run(work).await
    }

    async fn get_keys(
        accessor: &Accessor<Ctx, Self>,
        handle: Resource<Store>,
    ) -> wasmtime::Result<(StreamReader<String>, FutureReader<Result<(), Error>>)> {
        let (keys_in, keys_out) = mpsc::channel(4);
        let work = move |connection: &rusqlite::Connection, label: &str| {
            let mut statement =
                connection.prepare_cached("SELECT key FROM entry WHERE store = ?")?;
            let mut rows = statement.query([label])?;
            while let Some(row) = rows.next()? {
                if keys_in.blocking_send(row.get(0)?).is_err() {
                    break;
                }
            }
            Ok(())
        };
        let done = tokio::spawn(store(accessor, &handle)?.run(work));
        accessor.with(|mut ctx| {
            let keys = StreamReader::new(&mut ctx, Rows(keys_out))?;
            let result = FutureReader::new(&mut ctx, async move { done.await? })?;
            Ok((keys, result))
        })
    }
}

impl Host for Ctx {}

impl HostStore for Ctx {
    fn drop(&mut self, store: Resource<Store>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        self.stores -= 1;
        Ok(())
    }
}
