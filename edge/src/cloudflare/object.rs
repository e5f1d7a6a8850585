//! Calls between this Worker and its Durable Objects: which object answers for a shard, and how
//! JSON travels there and back.

use codecrafter_shared::id::SessionId;
use worker::js_sys::{ArrayBuffer, Promise, Uint8Array};
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::wasm_bindgen::{JsCast as _, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{Headers, RequestInit, Response};
use worker::{Env, Request, ResponseBuilder};

use super::js;
use crate::ports::{Shard, ShardResponse};

/// The class, and binding, of the objects that are Directories.
pub const DIRECTORY: &str = "DIRECTORY";
/// The class, and binding, of the objects that are Rooms.
pub const ROOM: &str = "ROOM";
/// The class, and binding, of the objects that hash.
pub const HASHER: &str = "HASHER";

/// Objects are addressed by stub; only the path of this URL means anything.
const ORIGIN: &str = "https://object";

#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
extern "C" {
    /// A stub of a Durable Object. `worker`'s own hides the response that carries a socket.
    type ObjectStub;

    #[wasm_bindgen(method, structural, catch)]
    fn fetch(this: &ObjectStub, url: &str, init: &RequestInit) -> Result<Promise, JsValue>;
}

/// A Durable Object, by name.
pub struct Address {
    binding: &'static str,
    name: String,
}

impl Address {
    /// The object that is `shard`.
    pub fn of(shard: &Shard) -> Self {
        match shard {
            Shard::Directory { tenant } => Self {
                binding: DIRECTORY,
                name: tenant.clone(),
            },
            Shard::Room { session } => Self::of_room(*session),
        }
    }

    /// The Room of a session.
    pub fn of_room(session: SessionId) -> Self {
        Self {
            binding: ROOM,
            name: session.to_string(),
        }
    }

    /// One of a few objects that hash.
    pub fn of_hasher(number: u8) -> Self {
        Self {
            binding: HASHER,
            name: format!("hasher-{number}"),
        }
    }

    /// Posts JSON to `path` and gives the answer.
    ///
    /// # Errors
    /// A sentence, if there was no answer; whether the object did anything is unknown then.
    pub async fn post(&self, env: &Env, path: &str, body: &[u8]) -> Result<ShardResponse, String> {
        let init = RequestInit::new();
        init.set_method("POST");
        // Copied, because the platform reads it after this call has returned.
        init.set_body(&Uint8Array::from(body));
        let response = self.fetch(env, path, &init).await?;
        let body = response
            .array_buffer()
            .map_err(|error| js::describe(&error))?;
        let body = settled::<ArrayBuffer>(body).await?;
        Ok(ShardResponse {
            status: response.status(),
            body: Uint8Array::new(&body).to_vec(),
        })
    }

    /// Asks for a WebSocket with the given headers, and gives the object's answer as it is.
    ///
    /// # Errors
    /// A sentence, if there was no answer.
    pub async fn upgrade(
        &self,
        env: &Env,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response, String> {
        let sent = Headers::new().map_err(|error| js::describe(&error))?;
        for (name, value) in headers.iter().chain(&[("upgrade", "websocket")]) {
            sent.set(name, value)
                .map_err(|error| js::describe(&error))?;
        }
        let init = RequestInit::new();
        init.set_headers(&sent);
        self.fetch(env, path, &init).await
    }

    async fn fetch(&self, env: &Env, path: &str, init: &RequestInit) -> Result<Response, String> {
        let stub = env
            .durable_object(self.binding)
            .and_then(|namespace| namespace.get_by_name(&self.name))
            .map_err(|error| error.to_string())?;
        let answer = stub
            .into_rpc::<ObjectStub>()
            .fetch(&format!("{ORIGIN}{path}"), init)
            .map_err(|error| js::describe(&error))?;
        settled(answer).await
    }
}

async fn settled<T: worker::wasm_bindgen::JsCast>(promise: Promise) -> Result<T, String> {
    JsFuture::from(promise)
        .await
        .and_then(JsValue::dyn_into)
        .map_err(|error| js::describe(&error))
}

/// The path and the body of a call that arrived at an object.
///
/// # Errors
/// If the caller went away before the body was read.
pub async fn call(mut request: Request) -> worker::Result<(String, Vec<u8>)> {
    let body = request.bytes().await?;
    Ok((request.path(), body))
}

/// An answer on its way back from an object.
pub fn answer(response: ShardResponse) -> worker::Response {
    ResponseBuilder::new()
        .with_status(response.status)
        .fixed(response.body)
}
