//! What others say about a job that runs or is about to: cancelled, typed at.

use codecrafter_shared::interaction::Interactive;
use codecrafter_shared::job::{Job, Verdict};
use executor_host::queue::Queue as _;
use executor_host::queue::contract::{cancel, execution, job, typed};

use crate::world::{World, outcome, started};

#[tokio::test]
async fn a_cancelled_job_ends_as_cancelled_and_its_neighbour_goes_on() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "begun\nwait").await;
    world.publish(2, "wait").await;
    started(&world, 2).await;
    world.queue.send_control(&cancel(1)).await.unwrap();
    let last = world.result().await;
    assert_eq!(last.execution_id, execution(1));
    assert_eq!(outcome(&last).verdict, Verdict::Cancelled);
    assert_eq!(outcome(&last).runs[0].stdout.data, "begun\n");
    let depth = world.queue.depth().await.unwrap();
    assert_eq!((depth.running, depth.ready, depth.results), (1, 0, 0));
    world.queue.send_control(&cancel(2)).await.unwrap();
    assert_eq!(world.result().await.execution_id, execution(2));
    running.stop().await;
    assert_eq!(world.queue.depth().await.unwrap(), Default::default());
}

#[tokio::test]
async fn a_job_that_was_cancelled_before_it_came_is_never_started() {
    let world = World::new();
    let running = world.start();
    // That one is heard shows that the host listens.
    world.publish(1, "wait").await;
    started(&world, 1).await;
    world.queue.send_control(&cancel(2)).await.unwrap();
    world.queue.send_control(&cancel(1)).await.unwrap();
    world.result().await;
    world.publish(2, "hello").await;
    let last = world.result().await;
    assert_eq!(last.execution_id, execution(2));
    assert_eq!((outcome(&last).verdict, last.seq), (Verdict::Cancelled, 0));
    assert_eq!(world.sandbox.echo.starts(execution(2)), 0);
    running.stop().await;
}

#[tokio::test]
async fn who_cancels_while_the_host_stops_is_obeyed_and_the_job_does_not_come_back() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "wait").await;
    started(&world, 1).await;
    running.stop.cancel();
    world.queue.send_control(&cancel(1)).await.unwrap();
    assert_eq!(outcome(&world.result().await).verdict, Verdict::Cancelled);
    running.stop().await;
    assert_eq!(world.queue.depth().await.unwrap(), Default::default());
}

#[tokio::test]
async fn to_cancel_what_has_ended_changes_nothing() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "hello").await;
    assert_eq!(outcome(&world.result().await).verdict, Verdict::Accepted);
    world.publish(2, "wait").await;
    started(&world, 2).await;
    world.queue.send_control(&cancel(1)).await.unwrap();
    world.queue.send_control(&cancel(2)).await.unwrap();
    let last = world.result().await;
    assert_eq!(last.execution_id, execution(2));
    running.stop().await;
    assert_eq!(world.queue.depth().await.unwrap(), Default::default());
}

#[tokio::test]
async fn what_is_typed_reaches_the_program_that_runs_or_is_about_to() {
    let world = World::new();
    let running = world.start();
    let interactive = |number: u64| Job {
        code: "read\nread\nread".into(),
        interactive: Some(Interactive::default()),
        ..job(number)
    };
    // That the first is heard shows that the host listens.
    world.queue.publish(&interactive(1)).await.unwrap();
    started(&world, 1).await;
    let told = [
        typed(2, 0, "early "),
        typed(1, 0, "one "),
        typed(1, 0, "one "),
        typed(1, 1, "two "),
        typed(1, 2, "three"),
    ];
    for control in told {
        world.queue.send_control(&control).await.unwrap();
    }
    let last = world.result().await;
    assert_eq!(last.execution_id, execution(1));
    assert_eq!(outcome(&last).runs[0].stdout.data, "one two three");
    world.queue.publish(&interactive(2)).await.unwrap();
    for control in [typed(2, 1, "and "), typed(2, 2, "later")] {
        world.queue.send_control(&control).await.unwrap();
    }
    let last = world.result().await;
    assert_eq!(outcome(&last).runs[0].stdout.data, "early and later");
    // Nobody types at what is not interactive: it reads the end at once.
    world.publish(3, "read\nread").await;
    let last = world.result().await;
    assert_eq!(outcome(&last).verdict, Verdict::Accepted);
    running.stop().await;
}
