//! Output while a program runs, cancelling, and what is left after all.

use std::collections::HashMap;
use std::sync::Arc;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::CreateContainerOptions;
use codecrafter_shared::job::{Stage, Stream, Verdict};
use executor_host::docker::harden::LABEL_HOST;
use executor_host::sandbox::Progress;

use crate::world::{PATIENCE, World, next, only_run, start, timed};

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn output_arrives_while_the_program_runs_and_cancelling_ends_it() {
    output_arrives_and_cancelling_ends(World::new("live").await).await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn cancelling_ends_a_program_for_a_host_that_cannot_see_cgroups() {
    let world = World::with("live-engine", |settings| settings.host_cgroups = false).await;
    output_arrives_and_cancelling_ends(world).await;
}

async fn output_arrives_and_cancelling_ends(world: World) {
    let world = Arc::new(world);
    // It never ends by itself, so what arrives arrives before its end.
    let code = "print('first')\nwhile True: pass";
    let (mut progress, cancel, task) = start(&world, timed(code, 15_000, 30_000));
    assert_eq!(next(&mut progress).await, Progress::Stage(Stage::Run));
    let mut seen = Vec::new();
    while seen != b"first\n" {
        match next(&mut progress).await {
            Progress::Output(Stream::Stdout, bytes) => seen.extend(bytes),
            other => panic!("{other:?}"),
        }
    }
    assert!(!task.is_finished());
    cancel.cancel();
    let outcome = tokio::time::timeout(PATIENCE, task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(outcome.verdict, Verdict::Cancelled);
    assert_eq!(
        outcome.message.as_deref(),
        Some("The execution was cancelled.")
    );
    assert_eq!(only_run(outcome).stdout.data, "first\n");
    world.nothing_is_left().await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_job_whose_future_is_dropped_leaves_nothing() {
    let world = Arc::new(World::new("dropped").await);
    let code = "print('first')\nwhile True: pass";
    let (mut progress, _cancel, task) = start(&world, timed(code, 15_000, 30_000));
    assert_eq!(next(&mut progress).await, Progress::Stage(Stage::Run));
    assert!(matches!(next(&mut progress).await, Progress::Output(..)));
    task.abort();
    world.wait_for_containers(0).await;
    // Also when it is dropped while its container is being made; one that ended by itself could
    // have gone before it was seen.
    let endless = "import time\ntime.sleep(3600)";
    let (_progress, _cancel, task) = start(&world, timed(endless, 15_000, 120_000));
    world.wait_for_containers(1).await;
    task.abort();
    world.wait_for_containers(0).await;
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn a_sweep_removes_what_a_crash_left() {
    let world = World::new("sweep").await;
    let leftover = ContainerCreateBody {
        image: Some("codecrafter/python:dev".into()),
        labels: Some(HashMap::from([(
            LABEL_HOST.to_owned(),
            world.instance.clone(),
        )])),
        ..ContainerCreateBody::default()
    };
    for _ in 0..2 {
        let options = None::<CreateContainerOptions>;
        world
            .docker
            .create_container(options, leftover.clone())
            .await
            .unwrap();
    }
    assert_eq!(world.containers().await.len(), 2);
    assert_eq!(world.sandbox.sweep().await.unwrap(), 2);
    assert_eq!(world.containers().await.len(), 0);
}
