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

/// `GET /languages` (CC-EXEC-02). Not from the cache: an executor that has just joined is offered
/// at once.
pub async fn languages(State(edge): State<Edge>) -> Ok200<Languages> {
    edge.directory(&Offered {}).await.map(axum::Json)
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
