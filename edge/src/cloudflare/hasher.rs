//! [`Hasher`]: Argon2id in Durable Objects that keep nothing, because a Worker's request has
//! 10 ms of CPU on the free plan, and an object's event 30 s (E6).

use std::borrow::Cow;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use worker::send::IntoSendFuture as _;
// Named by what `durable_object` expands to.
use worker::wasm_bindgen;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::clock::WorkerRng;
use super::object::{self, Address};
use crate::password;
use crate::ports::{self, HasherFailure, Rng, ShardResponse};

/// Objects that share the work: each is one thread.
const OBJECTS: u8 = 8;

const HASH: &str = "/hash";
const VERIFY: &str = "/verify";

#[derive(Serialize, Deserialize)]
struct ToHash<'a> {
    password: Cow<'a, str>,
    salt: [u8; 16],
}

#[derive(Serialize, Deserialize)]
struct ToVerify<'a> {
    password: Cow<'a, str>,
    phc: Cow<'a, str>,
}

/// Passwords are hashed by one of a few objects.
pub struct ObjectHasher(pub Env);

impl ObjectHasher {
    async fn call<T: DeserializeOwned>(
        &self,
        path: &str,
        call: &impl Serialize,
    ) -> Result<T, HasherFailure> {
        let failed = |error: serde_json::Error| HasherFailure(error.to_string());
        let body = serde_json::to_vec(call).map_err(failed)?;
        let [any] = (&WorkerRng as &dyn Rng).bytes();
        let object = Address::of_hasher(any % OBJECTS);
        let posted = object.post(&self.0, path, &body).into_send().await;
        let answer = posted.map_err(HasherFailure)?;
        if answer.status != 200 {
            let why = String::from_utf8_lossy(&answer.body);
            return Err(HasherFailure(format!("{}: {why}", answer.status)));
        }
        serde_json::from_slice(&answer.body).map_err(failed)
    }
}

#[async_trait]
impl ports::Hasher for ObjectHasher {
    async fn hash(&self, password: &str, salt: [u8; 16]) -> Result<String, HasherFailure> {
        let password = password.into();
        self.call(HASH, &ToHash { password, salt }).await
    }

    async fn verify(&self, password: &str, phc: &str) -> Result<bool, HasherFailure> {
        let (password, phc) = (password.into(), phc.into());
        self.call(VERIFY, &ToVerify { password, phc }).await
    }
}

/// An object that hashes. It has no state, so any of them can answer.
#[durable_object(fetch)]
pub struct Hasher;

impl DurableObject for Hasher {
    fn new(_: State, _: Env) -> Self {
        Self
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        let (path, body) = object::call(request).await?;
        let result = match path.as_str() {
            HASH => answer(&body, |call: ToHash<'_>| {
                password::hash(&call.password, call.salt)
            }),
            VERIFY => answer(&body, |call: ToVerify<'_>| {
                Ok(password::verify(&call.password, &call.phc))
            }),
            _ => Err("there is no such call".into()),
        };
        let (status, body) = match result {
            Ok(body) => (200, body),
            Err(why) => (500, why.into_bytes()),
        };
        Ok(object::answer(ShardResponse { status, body }))
    }
}

fn answer<'a, C: Deserialize<'a>, T: Serialize>(
    body: &'a [u8],
    work: impl FnOnce(C) -> Result<T, String>,
) -> Result<Vec<u8>, String> {
    let call = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    serde_json::to_vec(&work(call)?).map_err(|error| error.to_string())
}
