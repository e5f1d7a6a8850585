//! What operators are told of containers that wait.

use std::time::Instant;

use executor_host::sandbox::Sandbox as _;

use crate::world::{PATIENCE, World, job};

#[tokio::test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
async fn containers_that_wait_are_counted_by_language_and_those_of_jobs_are_not() {
    let world = World::with("ready", |settings| settings.warm = 2).await;
    assert_eq!(world.sandbox.ready(), [], "nothing was tried out");
    world.sandbox.all_languages().await.unwrap();
    let wait_for = async |count: usize| {
        let began = Instant::now();
        while world.sandbox.ready() != [("python".to_owned(), count)] {
            assert!(began.elapsed() < PATIENCE, "{:?}", world.sandbox.ready());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    wait_for(2).await;
    let (sender, _) = tokio::sync::mpsc::channel(1);
    let (job, cancel) = (job("import time; time.sleep(60)"), Default::default());
    let run = world.sandbox.run(&job, sender, cancel);
    // The job that has taken one of them is ended with the test.
    tokio::select! {
        ended = run => panic!("{ended:?}"),
        () = wait_for(1) => {}
    }
    world.sandbox.close().await;
    world.sandbox.sweep().await.unwrap();
}
