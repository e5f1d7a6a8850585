//! What a host takes while its sandbox comes and goes, and what it leaves to others.

use std::sync::atomic::Ordering;

use codecrafter_shared::job::Verdict;
use executor_host::host::Offer;
use executor_host::queue::Queue as _;
use executor_host::queue::contract::{cancel, execution};
use tokio::time::timeout;

use crate::common::PATIENCE;
use crate::world::{World, outcome};

#[tokio::test]
async fn nothing_is_taken_while_the_sandbox_does_not_answer() {
    let world = World::new();
    world.sandbox.away.store(true, Ordering::SeqCst);
    world.publish(1, "hello").await;
    let running = world.start();
    // It has been asked twice: the first answer was understood.
    timeout(PATIENCE, world.sandbox.asked.notified())
        .await
        .unwrap();
    timeout(PATIENCE, world.sandbox.asked.notified())
        .await
        .unwrap();
    assert_eq!(world.queue.depth().await.unwrap().ready, 1);
    world.sandbox.away.store(false, Ordering::SeqCst);
    assert_eq!(outcome(&world.result().await).verdict, Verdict::Accepted);
    running.stop().await;
}

#[tokio::test]
async fn an_engine_that_goes_away_costs_jobs_time_and_nothing_else() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "hello").await;
    world.result().await;
    world.sandbox.away.store(true, Ordering::SeqCst);
    for number in 2..=4 {
        world.publish(number, "hello").await;
    }
    // Only the jobs that were taken before it showed have lost a delivery.
    world
        .live_until(|report| report.execution_id != execution(1))
        .await;
    world.sandbox.away.store(false, Ordering::SeqCst);
    for _ in 2..=4 {
        assert_eq!(outcome(&world.result().await).verdict, Verdict::Accepted);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_fault_that_is_not_the_engines_holds_no_other_job_back() {
    let mut world = World::new();
    world.settings.slots = 1;
    let running = world.start();
    world.publish(1, "hello").await;
    world.result().await;
    // Whoever is asked now what can be run, such as a broken image, takes for ever to say it.
    world.sandbox.silent.store(true, Ordering::SeqCst);
    world.publish(2, "fault 1\nhello").await;
    world.publish(3, "hello").await;
    for _ in 2..=3 {
        assert_eq!(outcome(&world.result().await).verdict, Verdict::Accepted);
    }
    running.stop().await;
}

#[tokio::test]
async fn what_the_sandbox_finds_out_later_is_offered_at_once() {
    let world = World::new();
    world.sandbox.bare.store(true, Ordering::SeqCst);
    let mut running = world.start();
    let mut offered = async |count| {
        let offers = |offer: &Offer| offer.as_deref().is_some_and(|all| all.len() == count);
        // Less than it takes a host to ask by itself.
        let known = timeout(PATIENCE / 2, running.offer.wait_for(offers)).await;
        assert!(known.expect("it is not offered").is_ok());
    };
    offered(0).await;
    world.sandbox.bare.store(false, Ordering::SeqCst);
    world.sandbox.changed.notify_one();
    offered(1).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_does_not_answer_any_more_is_offered_no_longer() {
    let world = World::new();
    let mut running = world.start();
    assert!(running.offer.wait_for(Option::is_some).await.is_ok());
    world.sandbox.silent.store(true, Ordering::SeqCst);
    world.sandbox.changed.notify_one();
    let withdrawn = running.offer.wait_for(Option::is_none);
    assert!(timeout(2 * PATIENCE, withdrawn).await.unwrap().is_ok());
    running.ended.abort();
}

#[tokio::test]
async fn a_host_whose_sandbox_fails_leaves_the_jobs_that_come_to_others() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "hello").await;
    world.result().await;
    world.sandbox.away.store(true, Ordering::SeqCst);
    world.publish(2, "hello").await;
    // It was asked when the host began, when job 2 failed, and once more after that.
    for _ in 0..3 {
        timeout(PATIENCE, world.sandbox.asked.notified())
            .await
            .unwrap();
    }
    assert_eq!(world.taken().await.job.execution_id, execution(2));
    running.stop().await;
}

#[tokio::test]
async fn a_host_without_any_language_leaves_every_job_to_others() {
    let world = World::new();
    world.sandbox.bare.store(true, Ordering::SeqCst);
    let mut running = world.start();
    let known = running.offer.wait_for(Option::is_some);
    assert!(timeout(PATIENCE, known).await.unwrap().is_ok());
    world.publish(1, "hello").await;
    // The queue answers in turn: whoever waited for the job has it by now.
    for _ in 0..3 {
        world.queue.depth().await.unwrap();
    }
    assert_eq!(world.taken().await.count, 1);
    running.stop().await;
}

#[tokio::test]
async fn a_host_that_hears_no_control_messages_leaves_the_jobs_that_come_to_others() {
    let world = World::new();
    let running = world.start();
    world.publish(1, "hello").await;
    world.result().await;
    world.queue.controls_fail.store(true, Ordering::SeqCst);
    // More than wait for a listener, who is told then that it has missed some.
    for number in 0..2000 {
        world.queue.send_control(&cancel(number)).await.unwrap();
    }
    let failed = async || timeout(PATIENCE, world.queue.failed.notified()).await;
    failed().await.unwrap();
    world.publish(3000, "hello").await;
    // It listens again in vain, and has had the time to take the job.
    failed().await.unwrap();
    assert_eq!(world.taken().await.job.execution_id, execution(3000));
    running.stop().await;
}
