//! Routes about the service itself: health, readiness, languages, keys.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use codecrafter_shared::api::{Health, Languages, Ready};
use codecrafter_shared::error::ErrorCode;
use http::{StatusCode, header};

use super::Edge;
use super::extract::Ok200;
use crate::directory::CONTRACT_PATH;
use crate::error::Refusal;
use crate::executors::calls::{Offered, State as ExecutorsState};
use crate::ports::Shard;

/// `GET /health` (CC-HTTP-09, X-44): this code runs.
pub async fn health(State(edge): State<Edge>) -> axum::Json<Health> {
    axum::Json(Health {
        status: "ok".into(),
        timestamp: edge.clock.now(),
    })
}

/// `GET /ready`: the Directory answers. 503 if not.
pub async fn ready(State(edge): State<Edge>) -> Response {
    match edge.directory(&ExecutorsState {}).await {
        Ok(ready) => axum::Json(ready).into_response(),
        Err(_) => {
            let unavailable = Ready {
                status: "unavailable".into(),
                live_executors: 0,
                waiting_executions: 0,
            };
            (StatusCode::SERVICE_UNAVAILABLE, axum::Json(unavailable)).into_response()
        }
    }
}

/// How long a list of languages may be remembered, in seconds. An executor itself counts as live
/// for as long after it was last heard of.
const LANGUAGES_SECONDS: u32 = 60;
const LANGUAGES_KEY: &str = "languages/v1";

/// `GET /languages` (CC-EXEC-02). Remembered only while somebody offers something, so that the
/// first executor of a deployment is seen at once.
pub async fn languages(State(edge): State<Edge>) -> Ok200<Languages> {
    let key = format!("{LANGUAGES_KEY}/{}", edge.config.tenant);
    if let Some(cached) = edge.cache.get(&key).await
        && let Ok(languages) = serde_json::from_slice(&cached)
    {
        return Ok(axum::Json(languages));
    }
    let languages = edge.directory(&Offered {}).await?;
    if languages.items.iter().any(|language| language.available)
        && let Ok(bytes) = serde_json::to_vec(&languages)
    {
        edge.cache.put(&key, &bytes, LANGUAGES_SECONDS).await;
    }
    Ok(axum::Json(languages))
}

/// `GET /.well-known/jwks.json` (E7).
pub async fn jwks(State(edge): State<Edge>) -> Response {
    let cacheable = [(header::CACHE_CONTROL, "public, max-age=300")];
    (cacheable, axum::Json(edge.config.keys.jwks())).into_response()
}

/// `GET /internal/contract`: what the ports of this platform promise, run in its Directory. For
/// tests only.
pub async fn contract(State(edge): State<Edge>) -> Result<Response, Refusal> {
    if !edge.config.contract {
        return Err(Refusal::new(ErrorCode::RouteNotFound));
    }
    let directory = Shard::Directory {
        tenant: edge.config.tenant.to_string(),
    };
    let answer = edge
        .shards
        .post(&directory, CONTRACT_PATH, Vec::new())
        .await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], answer.body).into_response())
}
