//! The Durable Object that is one shard of limits.

use std::sync::Arc;

// Named by what `durable_object` expands to.
use worker::wasm_bindgen;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::clock::WorkerClock;
use super::db::ObjectDb;
use super::object;
use crate::limits::shard::LimitsShard;

/// Who has asked how often, for some of the keys.
#[durable_object(fetch)]
pub struct Limits(Result<LimitsShard, String>);

impl DurableObject for Limits {
    fn new(state: State, _: Env) -> Self {
        let db = ObjectDb::of(&state).map_err(|error| error.to_string());
        Self(db.map(|db| LimitsShard::in_memory(Arc::new(db), Arc::new(WorkerClock))))
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        let (path, body) = object::call(request).await?;
        let core = self.0.as_ref().map_err(String::as_str)?;
        Ok(object::answer(core.handle(&path, &body).await))
    }
}
