//! A deployment in the process of the test, on the native ports.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use codecrafter_edge::config::Config;
use codecrafter_edge::limits::address::Peer;
use codecrafter_edge::native::NativeEdge;

use crate::world::World;

/// The operator's secret of [`deployment`].
pub const SECRET: &str = "a secret of the tests, and of nobody else";

/// Who is at the other end of the connection, as an adapter says it.
async fn with_peer(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(Peer(Some(peer.ip())));
    next.run(request).await
}

/// A deployment of its own, with `settings` beside the secret, and the way to it over HTTP. It is
/// served for as long as the runtime lives, and its clients are believed whence they come, because
/// each is to be another ([`World::stranger`]).
///
/// # Panics
/// If a setting is not valid, or there is no port.
pub async fn deployment(settings: &[(&str, &str)]) -> (Arc<NativeEdge>, World) {
    let own = [
        ("CODECRAFTER_SECRET", SECRET),
        ("CODECRAFTER_TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let get = |name: &str| {
        let all = settings.iter().chain(&own);
        let mut found = all.filter(|(known, _)| *known == name);
        found.next().map(|(_, value)| (*value).to_owned())
    };
    let config = Config::from_settings(get).expect("valid settings");
    let edge = Arc::new(NativeEdge::new(config).expect("a database in memory"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let router = edge.router.clone().layer(from_fn(with_peer));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    let world = World::new(format!("http://{address}"), SECRET).expect("a client");
    (edge, world)
}
