//! The Durable Object that is a tenant's Directory.

use std::sync::Arc;

// Named by what `durable_object` expands to.
use worker::wasm_bindgen;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::alarm::Alarm;
use super::cache::KvCache;
use super::clock::{WorkerClock, WorkerRng};
use super::db::ObjectDb;
use super::hasher::ObjectHasher;
use super::object;
use super::settings;
use super::shards::ObjectShards;
use super::signals::ObjectSignals;
use crate::directory;
use crate::ports::Clock as _;

/// While calls come, the alarm rings at least this often.
const ALARM_MS: i64 = 10_000;
/// When it rings again if its work could not be done.
const ALARM_RETRY_MS: i64 = 30_000;

/// A tenant's accounts, sessions and executions.
#[durable_object(alarm)]
pub struct Directory {
    alarm: Alarm,
    /// What answers, or why nothing can.
    core: Result<directory::Directory, String>,
}

impl DurableObject for Directory {
    fn new(state: State, env: Env) -> Self {
        Self {
            core: core(&state, env),
            alarm: Alarm::of(&state),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        let (path, body) = object::call(request).await?;
        let core = self.core.as_ref().map_err(String::as_str)?;
        // Before the work: whatever it leaves to be done later is then done, come what may.
        self.alarm
            .ring_by(WorkerClock.now().plus_millis(ALARM_MS))
            .await;
        Ok(object::answer(core.handle(&path, &body).await))
    }

    /// Never fails: the platform gives an alarm up after six errors.
    async fn alarm(&self) -> worker::Result<Response> {
        self.alarm.has_rung();
        let retry_at = WorkerClock.now().plus_millis(ALARM_RETRY_MS);
        self.alarm.ring_by(retry_at).await;
        match &self.core {
            Ok(core) => match core.tick().await {
                Ok(due) => self.alarm.ring_at(due).await,
                Err(refusal) => tracing::error!(cause = ?refusal, "the directory's tick failed"),
            },
            Err(why) => tracing::error!(cause = %why, "the directory cannot work"),
        }
        Response::empty()
    }
}

fn core(state: &State, env: Env) -> Result<directory::Directory, String> {
    let config = settings::config(&env)?;
    Ok(directory::Directory {
        db: Arc::new(ObjectDb::of(state).map_err(|error| error.to_string())?),
        clock: Arc::new(WorkerClock),
        rng: Arc::new(WorkerRng),
        signals: Arc::new(ObjectSignals::default()),
        cache: Arc::new(KvCache::of(&env)),
        hasher: Arc::new(ObjectHasher(env.clone())),
        shards: Arc::new(ObjectShards(env)),
        config,
        memory: Default::default(),
    })
}
