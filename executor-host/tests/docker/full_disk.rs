//! A host whose disk is full: the engine makes no container, says so, and is otherwise well.

use std::sync::Arc;

use codecrafter_shared::job::Verdict;
use executor_host::sandbox::Sandbox as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::refusing_engine::RefusingEngine;
use crate::world::{World, job};

const SAYS: &str = "mkdir /var/lib/docker/overlay2/x: no space left on device";

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_full_disk_is_the_hosts_fault_until_there_is_room_again() {
    let engine = RefusingEngine::new();
    let socket = engine.socket.clone();
    let world = World::with("full-disk", |settings| settings.socket = Some(socket)).await;
    let world = Arc::new(world);
    let outcome = world.run(&job("print('room')")).await;
    assert_eq!(outcome.verdict, Verdict::Accepted);
    engine.refuse(Some(SAYS));
    for _ in 0..3 {
        let (sender, _receiver) = mpsc::channel(1);
        let job = job("print('no room')");
        let run = world.sandbox.run(&job, sender, CancellationToken::new());
        let fault = run.await.expect_err("there is no room");
        assert!(
            fault.retry && fault.what.contains("no space left on device"),
            "{fault:?}"
        );
    }
    engine.refuse(None);
    let outcome = world.run(&job("print('room again')")).await;
    assert_eq!(outcome.verdict, Verdict::Accepted, "{outcome:?}");
    world.nothing_is_left().await;
}
