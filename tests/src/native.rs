//! A deployment in the process of the test, on the native ports.

use std::sync::Arc;

use codecrafter_edge::config::Config;
use codecrafter_edge::native::NativeEdge;

use crate::world::World;

/// The operator's secret of [`deployment`].
pub const SECRET: &str = "a secret of the tests, and of nobody else";

/// A deployment of its own, with `settings` beside the secret, and the way to it over HTTP. It is
/// served for as long as the runtime lives.
///
/// # Panics
/// If a setting is not valid, or there is no port.
pub async fn deployment(settings: &[(&str, &str)]) -> (Arc<NativeEdge>, World) {
    let get = |name: &str| {
        let all = settings.iter().chain(&[("CODECRAFTER_SECRET", SECRET)]);
        let mut found = all.filter(|(known, _)| *known == name);
        found.next().map(|(_, value)| (*value).to_owned())
    };
    let config = Config::from_settings(get).expect("valid settings");
    let edge = Arc::new(NativeEdge::new(config).expect("a database in memory"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let router = edge.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let world = World::new(format!("http://{address}"), SECRET).expect("a client");
    (edge, world)
}
