//! How many jobs run at a time, and what becomes of them when the host stops.

use std::time::Duration;

use codecrafter_shared::job::{Event, Verdict};
use executor_host::queue::Queue as _;

use crate::world::{World, outcome};

#[tokio::test]
async fn no_more_jobs_run_at_a_time_than_there_are_slots() {
    let world = World::new();
    let running = world.start();
    for number in 1..=5 {
        world.publish(number, "wait").await;
    }
    let mut started = 0;
    world
        .live_until(|report| {
            started += u32::from(report.event == Event::Started);
            started == 2
        })
        .await;
    let depth = world.queue.depth().await.unwrap();
    assert_eq!((depth.running, depth.ready), (2, 3));
    running.stop.cancel();
    running.ended.abort();
}

#[tokio::test]
async fn a_running_job_may_end_within_the_grace() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "sleep 300\nhello").await;
    world
        .live_until(|report| report.event == Event::Started)
        .await;
    running.stop.cancel();
    world.publish(2, "hello").await;
    running.stop().await;
    assert_eq!(outcome(&world.result().await).verdict, Verdict::Accepted);
    let depth = world.queue.depth().await.unwrap();
    assert_eq!(
        (depth.ready, depth.running),
        (1, 0),
        "nothing was taken after the stop"
    );
}

#[tokio::test]
async fn a_job_that_runs_longer_than_the_grace_is_given_back_and_not_called_cancelled() {
    let mut world = World::new();
    world.settings.grace = Duration::from_millis(50);
    let running = world.start();
    world.publish(1, "wait").await;
    world
        .live_until(|report| report.event == Event::Started)
        .await;
    running.stop().await;
    let depth = world.queue.depth().await.unwrap();
    assert_eq!((depth.ready, depth.running, depth.results), (1, 0, 0));
    assert_eq!(world.queue.take().await.unwrap().count, 2);
}
