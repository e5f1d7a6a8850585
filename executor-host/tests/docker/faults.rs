//! What goes wrong with the host is never shown as if a program had done it.

use executor_host::docker::{DockerSandbox, DockerSettings};
use executor_host::sandbox::Sandbox;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::world::{World, job};

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
    assert_eq!(world.containers().await.len(), 0);
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
}
