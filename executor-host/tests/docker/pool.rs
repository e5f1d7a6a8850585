//! Which languages are offered, and for which of them containers wait.

use std::time::{Duration, Instant};

use bollard::models::ContainerSummaryStateEnum;
use codecrafter_shared::job::{Job, Verdict};
use codecrafter_shared::language::LanguageRow;
use executor_host::docker::DockerSettings;
use executor_host::docker::harden::{LABEL_JOB, LABEL_LANGUAGE};
use executor_host::sandbox::{HostFault, Sandbox};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::world::{PATIENCE, World, job};

/// Adds a language that is Python by another name, but for what `change` does.
fn add_twin(settings: &mut DockerSettings, change: impl FnOnce(&mut LanguageRow)) {
    let mut twin = settings.languages[0].clone();
    twin.id = "twin".into();
    change(&mut twin);
    settings.languages.push(twin);
}

async fn offered(world: &World) -> Vec<String> {
    let languages = world.sandbox.languages().await.unwrap();
    languages.into_iter().map(|language| language.id).collect()
}

async fn run(world: &World, language: &str, code: &str) -> Result<Verdict, HostFault> {
    let job = Job {
        language: language.into(),
        ..job(code)
    };
    let (sender, _receiver) = mpsc::channel(1);
    let cancel = CancellationToken::new();
    let ended = world.sandbox.run(&job, sender, cancel).await;
    ended.map(|outcome| outcome.verdict)
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn an_image_that_hangs_holds_no_other_language_back() {
    let world = World::with("hanging", |settings| {
        add_twin(settings, |twin| {
            twin.version = vec!["sleep".into(), "300".into()];
        });
        settings.languages.swap(0, 1);
    })
    .await;
    // The version command is given up after half a minute.
    let limit = Duration::from_secs(25);
    let soon = tokio::time::timeout(limit, offered(&world)).await;
    assert_eq!(soon.expect("it is waited for"), ["python"]);
    world.sandbox.close().await;
    assert_eq!(world.containers().await.len(), 0);
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn an_image_whose_jobs_keep_failing_is_withdrawn_until_it_works_when_tried() {
    let world = World::with("failing", |settings| {
        add_twin(settings, |twin| twin.run = vec!["python9".into()]);
    })
    .await;
    assert_eq!(world.sandbox.all_languages().await.unwrap().len(), 2);
    for _ in 0..2 {
        assert_eq!(offered(&world).await, ["python", "twin"]);
        run(&world, "twin", "").await.unwrap_err();
    }
    assert_eq!(offered(&world).await, ["python"]);
    assert_eq!(run(&world, "python", "").await.unwrap(), Verdict::Accepted);
    let back = async {
        while offered(&world).await.len() < 2 {
            world.sandbox.changed().await;
        }
    };
    tokio::time::timeout(PATIENCE, back).await.unwrap();
}

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn no_more_containers_wait_than_the_memory_for_them_allows() {
    let world = World::with("warm-bytes", |settings| {
        settings.languages = executor_host::languages::load(None).unwrap();
        let two = ["javascript", "python"];
        settings.languages.retain(|row| two.contains(&&*row.id));
        settings.warm = 1;
        // One container's.
        settings.warm_bytes = 16 << 20;
    })
    .await;
    assert_eq!(world.sandbox.all_languages().await.unwrap().len(), 2);
    for language in ["python", "javascript", "python"] {
        assert_eq!(run(&world, language, "").await.unwrap(), Verdict::Accepted);
        wait_until_ready(&world, language).await;
    }
    world.sandbox.close().await;
    assert_eq!(world.containers().await.len(), 0);
}

/// Waits until one container is there, which runs ahead of any job of this language.
async fn wait_until_ready(world: &World, language: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let container = world.wait_for_containers(1).await.remove(0);
        let labels = container.labels.as_ref().unwrap();
        let is_ahead = !labels.contains_key(LABEL_JOB);
        let is_of = labels.get(LABEL_LANGUAGE).is_some_and(|id| id == language);
        if is_ahead && is_of && container.state == Some(ContainerSummaryStateEnum::RUNNING) {
            return;
        }
        assert!(Instant::now() < deadline, "{container:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
