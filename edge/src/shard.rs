//! Calls from the front to a shard, typed once for both ends: the route, what is sent, what is
//! answered. On the wire they are JSON posts that nobody outside can reach ([`Shards`]).

use codecrafter_shared::error::ErrorCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Refusal;
use crate::ports::{Shard, ShardResponse, Shards};

/// A call that a shard answers.
pub trait Call: Serialize + DeserializeOwned + Send + Sync {
    /// The private route.
    const PATH: &'static str;
    /// What a successful call gives.
    type Answer: Serialize + DeserializeOwned + Send;
}

/// Declares calls: `"/path" => Name { fields } -> Answer`.
macro_rules! calls {
    ($($(#[doc = $doc:literal])+ $path:literal => $name:ident { $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty,)* } -> $answer:ty;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name { $($(#[doc = $field_doc])+ pub $field: $type,)* }

        impl $crate::shard::Call for $name {
            const PATH: &'static str = $path;
            type Answer = $answer;
        }
    )+};
}
pub(crate) use calls;

/// Makes a call.
///
/// # Errors
/// What the shard refused with, or [`ErrorCode::Unavailable`] if it did not answer.
pub async fn call<C: Call>(
    shards: &dyn Shards,
    shard: &Shard,
    call: &C,
) -> Result<C::Answer, Refusal> {
    let body = serde_json::to_vec(call).map_err(Refusal::internal)?;
    let response = shards.post(shard, C::PATH, body).await?;
    if response.status == 200 {
        return serde_json::from_slice(&response.body).map_err(Refusal::internal);
    }
    match serde_json::from_slice::<Refusal>(&response.body) {
        Ok(refusal) => Err(refusal),
        Err(_) => Err(Refusal::internal(format_args!(
            "{} answered {} without a refusal",
            C::PATH,
            response.status
        ))),
    }
}

/// The shard's side: what came in, as the call that its route says it is.
///
/// # Errors
/// [`ErrorCode::Internal`]: only our own front calls.
pub fn received<C: Call>(body: &[u8]) -> Result<C, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::internal(format_args!("{}: {error}", C::PATH)))
}

/// The shard's answer to a call.
#[must_use]
pub fn answer<T: Serialize>(result: Result<T, Refusal>) -> ShardResponse {
    let written = match &result {
        Ok(value) => serde_json::to_vec(value).map(|body| (200, body)),
        Err(refusal) => serde_json::to_vec(refusal).map(|body| (refusal.code.status(), body)),
    };
    match written {
        Ok((status, body)) => ShardResponse { status, body },
        Err(error) => {
            tracing::error!(cause = %error, "an answer could not be written");
            ShardResponse {
                status: 500,
                body: Vec::new(),
            }
        }
    }
}

/// The answer to a route that the shard does not have.
#[must_use]
pub fn no_such_call() -> ShardResponse {
    answer::<()>(Err(Refusal::new(ErrorCode::RouteNotFound)))
}
