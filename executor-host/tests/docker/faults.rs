//! What goes wrong with the host is never shown as if a program had done it.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bollard::models::ContainerCreateBody;
use codecrafter_shared::job::{Stage, Verdict};
use executor_host::docker::{DockerSandbox, DockerSettings};
use executor_host::sandbox::{FaultScope, Progress, Sandbox};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::world::{World, job, next, only_run, printed, start, timed};

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_missing_image_is_a_fault_of_the_host_and_no_verdict() {
    let world = World::with("no-image", |settings| {
        settings.languages[0].image = "codecrafter/none:none".into();
    })
    .await;
    let (sender, _receiver) = mpsc::channel(1);
    let fault = world
        .sandbox
        .run(&job(""), sender, CancellationToken::new())
        .await
        .unwrap_err();
    assert!(
        fault.retry && fault.what.contains("codecrafter/none:none"),
        "{fault:?}"
    );
    assert_eq!(fault.scope, FaultScope::Language);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_runtime_that_is_not_in_the_image_is_a_fault_of_the_host() {
    let world = World::with("no-runtime", |settings| {
        settings.languages[0].run = vec!["python9".into()];
    })
    .await;
    let (sender, _receiver) = mpsc::channel(1);
    let fault = world
        .sandbox
        .run(&job(""), sender, CancellationToken::new())
        .await
        .unwrap_err();
    assert!(fault.retry && fault.what.contains("python9"), "{fault:?}");
    world.wait_for_containers(0).await;
}

/// How many of the containers to come the engine cannot start.
static LAME: AtomicU32 = AtomicU32::new(0);

/// Makes one of those.
fn lame(body: &mut ContainerCreateBody) {
    let less = |count: u32| count.checked_sub(1);
    if LAME.fetch_update(Relaxed, Relaxed, less).is_ok() {
        body.entrypoint = Some(vec!["/nowhere".into()]);
    }
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn in_place_of_a_container_that_does_not_start_another_is_started_once() {
    let world = World::with("lame", |settings| settings.weakened = Some(lame)).await;
    LAME.store(1, Relaxed);
    assert_eq!(printed(&world.python("print('on')").await), "on\n");
    assert_eq!(LAME.load(Relaxed), 0, "the first did not start");
    LAME.store(3, Relaxed);
    let (sender, _receiver) = mpsc::channel(1);
    let never = CancellationToken::new();
    let fault = world
        .sandbox
        .run(&job(""), sender, never)
        .await
        .unwrap_err();
    assert!(
        fault.retry && fault.what.contains("cannot be started"),
        "{fault:?}"
    );
    assert_eq!(fault.scope, FaultScope::Language);
    assert_eq!(
        LAME.load(Relaxed),
        1,
        "the second has been tried, and no third"
    );
    world.nothing_is_left().await;
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_a_fault_of_the_host() {
    let mut settings = DockerSettings::new("test-no-engine", Vec::new());
    settings.socket = Some("/nonexistent/docker.sock".into());
    let Err(fault) = DockerSandbox::connect(settings).await else {
        panic!("connected")
    };
    assert!(
        fault.retry && fault.what.contains("cannot be reached"),
        "{fault:?}"
    );
    assert_eq!(fault.scope, FaultScope::Engine);
}

/// Starts a program that never ends and gives its container's id once it runs.
macro_rules! running {
    ($world:expr, $wall_ms:expr) => {{
        let code = "print('on')\nwhile True: pass";
        let (mut progress, cancel, task) = start(&$world, timed(code, 15_000, $wall_ms));
        assert_eq!(next(&mut progress).await, Progress::Stage(Stage::Run));
        assert!(matches!(next(&mut progress).await, Progress::Output(..)));
        let container = $world.wait_for_containers(1).await.remove(0).id.unwrap();
        (container, task, (progress, cancel))
    }};
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn an_agent_that_hangs_is_ended_by_the_host() {
    let world = Arc::new(World::new("hang").await);
    // Long enough to freeze it before its agent would end it.
    let (container, task, _kept) = running!(world, 10_000);
    // Frozen, agent and all, as by a kernel that does not schedule it.
    world.docker.pause_container(&container).await.unwrap();
    let outcome = task.await.unwrap().unwrap();
    assert_eq!(outcome.verdict, Verdict::TimeLimit);
    assert_eq!(outcome.runs[0].stdout.data, "on\n");
    world.nothing_is_left().await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_host_that_stood_still_does_not_call_a_program_late_that_had_ended_in_time() {
    let world = Arc::new(World::new("still").await);
    let (mut progress, _cancel, task) = start(&world, timed("print('on')", 3_000, 3_000));
    while !matches!(next(&mut progress).await, Progress::Output(..)) {}
    // The one thread of this test is all the host there is.
    std::thread::sleep(Duration::from_secs(8));
    let outcome = task.await.unwrap().unwrap();
    assert_eq!(printed(&only_run(outcome)), "on\n");
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_container_that_an_operator_kills_is_a_fault_of_the_host() {
    let world = Arc::new(World::new("killed").await);
    let (container, task, _kept) = running!(world, 30_000);
    world.docker.kill_container(&container, None).await.unwrap();
    let fault = task.await.unwrap().unwrap_err();
    assert!(
        fault.retry && fault.what.contains("ended by itself"),
        "{fault:?}"
    );
    assert_eq!(fault.scope, FaultScope::Language);
    world.nothing_is_left().await;
}
