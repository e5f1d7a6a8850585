//! Calls between this Worker and its Durable Objects: which object answers for a shard, and how
//! a call travels there and back.

use codecrafter_shared::id::{SessionId, UserId};
use worker::js_sys::{Array, Promise, Uint8Array};
use worker::wasm_bindgen::{JsCast as _, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Env, Request, ResponseBuilder, WebSocket, web_sys};

use super::{glue, js};
use crate::ports::{Shard, ShardResponse};

/// The bindings of the objects' classes.
const DIRECTORY: &str = "DIRECTORY";
const ROOM: &str = "ROOM";
const HASHER: &str = "HASHER";
const PERSON: &str = "PERSON";
const LIMITS: &str = "LIMITS";

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
            Shard::Person { user } => Self::of_person(*user),
            Shard::Limits { number } => Self {
                binding: LIMITS,
                name: format!("limits-{number}"),
            },
        }
    }

    /// The shard of a person.
    pub fn of_person(user: UserId) -> Self {
        Self {
            binding: PERSON,
            name: user.to_string(),
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
        // The body is copied, because the platform reads it after this call has returned.
        let body = Uint8Array::from(body);
        let posted = glue::post_to_object(env, self.binding, &self.name, path, body);
        let answer: Array = settled(posted).await?.unchecked_into();
        let status = answer.get(0).as_f64().unwrap_or_default();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a status is of three digits"
        )]
        Ok(ShardResponse {
            status: status as u16,
            body: Uint8Array::unchecked_from_js(answer.get(1)).to_vec(),
        })
    }

    /// Opens a WebSocket to `path`, with one header; gives the client's end.
    ///
    /// # Errors
    /// A sentence, if the object did not accept.
    pub async fn connect(
        &self,
        env: &Env,
        path: &str,
        (header, value): (&str, &str),
    ) -> Result<WebSocket, String> {
        let asked = glue::connect_to_object(env, self.binding, &self.name, path, header, value);
        let socket: web_sys::WebSocket = settled(asked).await?.unchecked_into();
        Ok(socket.into())
    }
}

async fn settled(promise: Result<Promise, JsValue>) -> Result<JsValue, String> {
    let settled = async { JsFuture::from(promise?).await };
    settled.await.map_err(|error| js::describe(&error))
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
