//! Where a request enters the Worker and its answer leaves.

use std::cell::OnceCell;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt as _;
use tower_service::Service as _;
use worker::{
    Context, Env, Headers, HttpRequest, Request, Response, ResponseBuilder, WebSocket, event,
};

use super::assets::AssetFiles;
use super::cache::KvCache;
use super::clock::{WorkerClock, WorkerRng};
use super::hasher::ObjectHasher;
use super::rooms::ObjectRooms;
use super::shards::ObjectShards;
use super::{log, settings};
use crate::front::Edge;
use crate::router;

thread_local! {
    /// Made once for an isolate: its bindings and settings are the same for every request.
    static ROUTER: OnceCell<Result<Router, String>> = const { OnceCell::new() };
}

#[event(start)]
fn start() {
    log::install();
}

#[event(fetch)]
async fn fetch(request: Request, env: Env, _: Context) -> worker::Result<Response> {
    let router = ROUTER.with(|router| router.get_or_init(|| make_router(env)).clone());
    let mut router = router.map_err(|why| {
        tracing::error!(cause = %why, "this deployment cannot answer");
        why
    })?;
    // The core's limits and refusals begin behind this conversion. It refuses what HTTP itself
    // does not allow, such as bytes in a header that are no text.
    let Ok(request) = HttpRequest::try_from(request) else {
        return Response::error("this is no HTTP request", 400);
    };
    let Ok(response) = router.call(request.map(Body::new)).await;
    leave(response).await
}

fn make_router(env: Env) -> Result<Router, String> {
    let config = settings::config(&env)?;
    Ok(router::router(Edge {
        clock: Arc::new(WorkerClock),
        rng: Arc::new(WorkerRng),
        cache: Arc::new(KvCache::of(&env)),
        hasher: Arc::new(ObjectHasher(env.clone())),
        assets: Arc::new(AssetFiles::of(&env)),
        rooms: Some(Arc::new(ObjectRooms(env.clone()))),
        shards: Arc::new(ObjectShards(env)),
        config,
    }))
}

/// Hands an answer of the core to the platform. Its body is in memory already, so it goes in one
/// piece instead of as a stream.
async fn leave(mut response: http::Response<Body>) -> worker::Result<Response> {
    let headers = Headers::new();
    for (name, value) in response.headers() {
        headers.append(name.as_str(), &String::from_utf8_lossy(value.as_bytes()))?;
    }
    let out = ResponseBuilder::new()
        .with_status(response.status().as_u16())
        .with_headers(headers);
    if let Some(socket) = response.extensions_mut().remove::<WebSocket>() {
        return Ok(out.with_websocket(socket).empty());
    }
    let body = response.into_body().collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    if body.is_empty() {
        return Ok(out.empty());
    }
    Ok(out.fixed(body.into()))
}
