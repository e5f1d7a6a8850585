//! Where a request enters the Worker and its answer leaves.

use std::cell::OnceCell;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::StatusCode;
use http_body_util::BodyExt as _;
use tower_service::Service as _;
use worker::js_sys::Uint8Array;
use worker::web_sys::{Request, Response};
use worker::{Context, Env, WebSocket, event};

use super::assets::AssetFiles;
use super::clock::{WorkerClock, WorkerRng};
use super::collector::OutgoingHttp;
use super::hasher::ObjectHasher;
use super::rooms::ObjectRooms;
use super::shards::ObjectShards;
use super::{glue, log, settings};
use crate::front::Ports;
use crate::limits::address::{self, Peer};
use crate::router::router;
use crate::spans::Exporter;

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
    let response = match enter(&request) {
        Ok(request) => {
            let Ok(response) = router.call(request).await;
            response
        }
        Err(error) => {
            tracing::info!(cause = %error, "a request was not of HTTP");
            let mut response = http::Response::new(Body::empty());
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
    };
    leave(response).await
}

fn make_router(env: Env) -> Result<Router, String> {
    let config = settings::config(&env)?;
    let counts = config.contract;
    let spans = config.collector.as_ref().map(|address| {
        let collector = OutgoingHttp::to(&env, address);
        Arc::new(Exporter::new(Arc::new(collector)))
    });
    let router = router(Ports {
        clock: Arc::new(WorkerClock),
        rng: Arc::new(WorkerRng),
        hasher: Arc::new(ObjectHasher(env.clone())),
        assets: Arc::new(AssetFiles::of(&env)),
        streamed_rooms: None,
        spans,
        rooms: Some(Arc::new(ObjectRooms(env.clone()))),
        shards: Arc::new(ObjectShards(env)),
        limit_memory: Arc::default(),
        config,
    });
    Ok(if counts {
        router.route(COSTS_PATH, get(costs))
    } else {
        router
    })
}

/// What the platform has charged for, for benchmarks: beside the contract's route, and as that one
/// not there unless [`Config::contract`](crate::config::Config::contract) asks for it.
const COSTS_PATH: &str = "/internal/costs";

async fn costs() -> Result<String, StatusCode> {
    glue::costs_so_far().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// A request as the core takes it. Its body is read when the core asks for it, and only as far as
/// the core's limits let it.
fn enter(request: &Request) -> worker::Result<http::Request<Body>> {
    let head = glue::request_head(request)?;
    let mut lines = head.split('\n');
    let peer = address::parse(lines.next().unwrap_or_default());
    let method = lines.next().unwrap_or_default();
    let mut entering = http::Request::builder()
        .method(method)
        .uri(lines.next().unwrap_or_default());
    while let Some((name, value)) = lines.next().zip(lines.next()) {
        entering = entering.header(name, value.as_bytes());
    }
    let body = request.body();
    let body = body.map_or_else(Body::empty, |body| Body::new(worker::Body::new(body)));
    Ok(entering.extension(Peer(peer)).body(body)?)
}

/// An answer as the platform takes it. Its body is in memory already, so it goes in one piece
/// instead of as a stream.
async fn leave(mut response: http::Response<Body>) -> worker::Result<Response> {
    let status = response.status().as_u16();
    let mut head = String::with_capacity(512);
    for (name, value) in response.headers() {
        let separator = if head.is_empty() { "" } else { "\n" };
        let value = String::from_utf8_lossy(value.as_bytes());
        // Writing to a string does not fail.
        let _ = write!(head, "{separator}{name}\n{value}");
    }
    let socket = response.extensions_mut().remove::<WebSocket>();
    if let Some(socket) = socket {
        return Ok(glue::make_response(
            status,
            &head,
            None,
            Some(socket.as_ref()),
        )?);
    }
    let body = response.into_body().collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    let body = (!body.is_empty()).then(|| Uint8Array::from(&*body));
    Ok(glue::make_response(status, &head, body, None)?)
}
