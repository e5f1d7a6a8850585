//! The edge on Spin: the only code that names `spin_sdk`. It translates, and decides nothing that
//! another platform would have to decide again.
//!
//! Spin needs to be 4.1 or later. It takes instances away between any two requests and gives none
//! a name, so nothing lasts but SQLite, and all shards are in this process.

mod assets;
mod cache;
mod clock;
mod collector;
mod db;
mod hasher;
mod log;
mod shards;
mod signals;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use spin_sdk::http::Request;
use spin_sdk::{http_service, variables};
use tower_service::Service as _;

use crate::config::Config;
use crate::directory::Directory;
use crate::front::Ports;
use crate::limits::address::{self, Peer};
use crate::limits::shard::LimitsShard;
use crate::notifications::shard::People;
use crate::room::stream::StreamedRooms;
use crate::router;
use crate::spans::Exporter;

/// The settings, each a variable of the component with the same name in lower case.
const SETTINGS: [&str; 11] = [
    "CODECRAFTER_SECRET",
    "CODECRAFTER_SECRET_PREVIOUS",
    "CODECRAFTER_TENANT",
    "CODECRAFTER_ORIGINS",
    "CODECRAFTER_WAITING_MAX",
    "CODECRAFTER_FRAMES_PER_SECOND",
    "CODECRAFTER_OTLP",
    "CODECRAFTER_LIMITS",
    "CODECRAFTER_TRUSTED_PROXIES",
    "CODECRAFTER_RESULTS_DAYS",
    "CODECRAFTER_CONTRACT",
];

/// Where Spin says who is at the other end of the connection.
const CLIENT_ADDRESS: &str = "spin-client-addr";

/// The routes, made by the first request of an instance: they hold nothing of any request, and
/// making the keys takes longer than most answers.
static ROUTER: OnceLock<Router> = OnceLock::new();

#[http_service]
async fn handle(request: Request) -> Response {
    let mut router = match ROUTER.get() {
        Some(router) => router.clone(),
        None => match start().await {
            Ok(router) => ROUTER.get_or_init(|| router).clone(),
            Err(error) => {
                tracing::error!(cause = %error, "this deployment cannot start");
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
        },
    };
    let mut request = request.map(Body::new);
    // A client can send the same header; the last of them is Spin's.
    let mut peers = request.headers().get_all(CLIENT_ADDRESS).iter();
    let peer = peers.next_back().and_then(|value| value.to_str().ok());
    let peer = Peer(peer.and_then(address::parse));
    request.extensions_mut().insert(peer);
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Puts the ports together.
async fn start() -> Result<Router, Box<dyn std::error::Error>> {
    log::install();
    let mut settings = Vec::new();
    for name in SETTINGS {
        // A manifest of one's own may leave out what is optional.
        match variables::get(name.to_ascii_lowercase()).await {
            Ok(value) => settings.push((name, value)),
            Err(variables::Error::Undefined(_)) => {}
            Err(error) => return Err(format!("{name}: {error}").into()),
        }
    }
    let setting = |name: &str| settings.iter().find(|(known, _)| *known == name);
    let config = Config::from_settings(|name| setting(name).map(|(_, value)| value.clone()))?;

    let clock = Arc::new(clock::SpinClock);
    let rng = Arc::new(clock::SpinRng);
    let hasher = Arc::new(hasher::InProcess);
    let rooms = Arc::new(StreamedRooms::new(
        Arc::new(db::SpinDb::of("rooms")),
        clock.clone(),
        rng.clone(),
        Arc::new(signals::NoSignals),
        config.frames_per_second,
    ));
    let people = People::new(
        Arc::new(db::SpinDb::of("feeds")),
        clock.clone(),
        Arc::new(signals::NoSignals),
    );
    let others = Arc::new(shards::Others::new(rooms.clone(), people));
    let directory = Directory {
        db: Arc::new(db::SpinDb::of("directory")),
        clock: clock.clone(),
        rng: rng.clone(),
        signals: Arc::new(signals::NoSignals),
        shards: others.clone(),
        cache: Arc::new(cache::KeyValueCache),
        hasher: hasher.clone(),
        config: config.clone(),
        memory: Default::default(),
    };
    let spans = config.collector.as_ref().map(|address| {
        let collector = collector::OutgoingHttp::to(address);
        Arc::new(Exporter::new(Arc::new(collector)))
    });
    let limits = LimitsShard::in_database(Arc::new(db::SpinDb::of("limits")), clock.clone());
    Ok(router::router(Ports {
        clock,
        rng,
        shards: Arc::new(shards::InProcess::new(directory, others, limits)),
        hasher,
        assets: Arc::new(assets::MountedFiles),
        rooms: None,
        streamed_rooms: Some(rooms),
        spans,
        limit_memory: Arc::default(),
        config,
    }))
}
