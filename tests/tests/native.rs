//! The promises of the HTTP API on the native ports: quick, and without anything installed.

use codecrafter_edge::config::Config;
use codecrafter_edge::native::NativeEdge;
use codecrafter_shared::error::ErrorCode;
use codecrafter_tests::client::refused_so_far;
use codecrafter_tests::conformance::CASES;
use codecrafter_tests::world::World;

const SECRET: &str = "a secret of the tests, and of nobody else";

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_of_the_api_is_kept_natively() {
    let get = |name: &str| (name == "CODECRAFTER_SECRET").then(|| SECRET.to_owned());
    let edge = NativeEdge::new(Config::from_settings(get).unwrap()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, edge.router).await });
    let world = World::new(url, SECRET).unwrap();
    let mut broken = Vec::new();
    for case in CASES {
        match (case.run)(world.clone()).await {
            Ok(()) => println!("ok {}", case.name),
            Err(error) => broken.push(format!("{}: {error:#}", case.name)),
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));

    // A client meets every code, except those that take a deployment in trouble.
    let trouble = ["internal", "queue_full", "unavailable"];
    let met = refused_so_far();
    let missing: Vec<&str> = ErrorCode::ALL
        .iter()
        .map(|code| code.as_str())
        .filter(|code| !met.contains(code) && !trouble.contains(code))
        .collect();
    assert!(missing.is_empty(), "no promise is about {missing:?}");
}

#[test]
#[ignore = "needs Docker, Node and the wasm targets: run `cargo xtask test`"]
fn every_promise_is_kept_on_workerd_and_on_spin() {
    panic!("run `cargo xtask test`");
}
