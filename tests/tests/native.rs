//! The promises of the HTTP API on the native ports: quick, and without anything installed.

use codecrafter_shared::error::ErrorCode;
use codecrafter_tests::client::refused_so_far;
use codecrafter_tests::conformance::{CASES, LIMITS};
use codecrafter_tests::native::deployment;

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_of_the_api_is_kept_natively() {
    let (_edge, world) = deployment(&[("CODECRAFTER_LIMITS", LIMITS)]).await;
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
