//! What becomes of the queue when a connection, or the broker, goes away.

use std::time::Duration;

use executor_host::queue::contract::{cancel, execution, job, result};
use executor_host::queue::{Published, Queue as _, RabbitMq};
use tokio::time::sleep;

use crate::bench::{Bench, again, soon};
use crate::broker::Broker;
use crate::proxy::Proxy;
use crate::topology::causes;

/// A queue whose connections can be cut.
async fn cuttable(bench: &Bench) -> (Proxy, RabbitMq) {
    let proxy = Proxy::to(&bench.url).await;
    let queue = RabbitMq::new(proxy.url.parse().unwrap(), bench.prefix.clone());
    (proxy, queue)
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn what_was_in_hand_when_the_connection_was_cut_is_handed_out_again() {
    let bench = Bench::new().await;
    let (proxy, queue) = cuttable(&bench).await;
    queue.publish(&job(1)).await.unwrap();
    queue.store_result(&result(1)).await.unwrap();
    let delivery = soon(queue.take()).await.unwrap();
    let stored = soon(queue.take_results(9)).await.unwrap();
    proxy.cut();
    drop((delivery, stored));
    let delivery = again(async || queue.take().await).await;
    assert_eq!((&delivery.job, delivery.count), (&job(1), 2));
    let mut stored = again(async || queue.take_results(9).await).await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].report, result(1));
    delivery.ack().await.unwrap();
    stored.remove(0).confirm().await.unwrap();
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_job_that_was_done_when_its_acknowledgement_was_lost_is_not_run_again_by_that_worker() {
    let bench = Bench::new().await;
    let (proxy, queue) = cuttable(&bench).await;
    queue.publish(&job(1)).await.unwrap();
    let delivery = soon(queue.take()).await.unwrap();
    let waiting = queue.take();
    let cut = async {
        sleep(Duration::from_millis(100)).await;
        proxy.cut();
    };
    // Who waits on the same connection is told when its loss is noticed: an acknowledgement before
    // that might be sent into the void.
    let (waiting, ()) = tokio::join!(soon(waiting), cut);
    waiting.map(drop).expect_err("told");
    delivery.ack().await.expect_err("the connection was cut");
    again(async || queue.publish(&job(2)).await).await;
    let next = again(async || queue.take().await).await;
    assert_eq!(next.job.execution_id, execution(2));
    next.ack().await.unwrap();
    // Gone from the broker as well.
    let other = bench.queue();
    other.publish(&job(3)).await.unwrap();
    let next = soon(other.take()).await.unwrap();
    assert_eq!(next.job.execution_id, execution(3));
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn an_acknowledgement_that_is_sent_into_the_void_lets_no_job_run_again_on_that_worker() {
    let bench = Bench::new().await;
    let (proxy, queue) = cuttable(&bench).await;
    queue.publish(&job(1)).await.unwrap();
    let delivery = soon(queue.take()).await.unwrap();
    proxy.cut();
    // Too soon to notice, so that it may well look as if it had worked.
    let _ = delivery.ack().await;
    again(async || queue.publish(&job(2)).await).await;
    let next = again(async || queue.take().await).await;
    assert_eq!(next.job.execution_id, execution(2));
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_job_that_comes_again_while_it_runs_runs_once_and_is_settled_once() {
    let bench = Bench::new().await;
    let (proxy, queue) = cuttable(&bench).await;
    queue.publish(&job(1)).await.unwrap();
    let runs = soon(queue.take()).await.unwrap();
    for number in 2..=3 {
        proxy.cut();
        sleep(Duration::from_millis(100)).await;
        again(async || queue.publish(&job(number)).await).await;
        // Job 1 comes first, because what comes back keeps its place.
        let next = again(async || queue.take().await).await;
        assert_eq!(next.job.execution_id, execution(number));
        next.ack().await.unwrap();
    }
    assert_eq!(queue.depth().await.unwrap().running, 1);
    runs.ack().await.expect("by the message that came last");
    queue.close().await;
    let other = bench.queue();
    other.publish(&job(4)).await.unwrap();
    let next = soon(other.take()).await.unwrap();
    assert_eq!(next.job.execution_id, execution(4));
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_job_that_came_again_while_it_ran_is_given_back_once() {
    let bench = Bench::new().await;
    let (proxy, queue) = cuttable(&bench).await;
    for delay in [Duration::ZERO, Duration::from_secs(1)] {
        queue.publish(&job(1)).await.unwrap();
        let runs = soon(queue.take()).await.unwrap();
        proxy.cut();
        sleep(Duration::from_millis(100)).await;
        again(async || queue.publish(&job(2)).await).await;
        let next = again(async || queue.take().await).await;
        assert_eq!(next.job.execution_id, execution(2));
        next.ack().await.unwrap();
        runs.give_back(delay).await.unwrap();
        let again = soon(queue.take()).await.unwrap();
        assert_eq!((again.job.execution_id, again.count), (execution(1), 3));
        again.ack().await.unwrap();
    }
    assert_eq!(bench.ready("jobs").await, Some(0));
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn who_waits_when_the_connection_is_cut_is_told_and_may_wait_again() {
    let bench = Bench::new().await;
    let (proxy, queue) = cuttable(&bench).await;
    let queue = std::sync::Arc::new(queue);
    queue.depth().await.unwrap();
    let waiting = tokio::spawn({
        let queue = std::sync::Arc::clone(&queue);
        async move { queue.take().await.map(|delivery| delivery.job) }
    });
    let mut controls = queue.controls().await.unwrap();
    sleep(Duration::from_millis(200)).await;
    proxy.cut();
    soon(waiting).await.unwrap().expect_err("told");
    soon(controls.next()).await.expect_err("told");
    again(async || queue.publish(&job(1)).await).await;
    assert_eq!(again(async || queue.take().await).await.job, job(1));
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_publish_whose_confirmation_is_lost_is_an_error_and_may_be_repeated() {
    let bench = Bench::new().await;
    let (proxy, queue) = cuttable(&bench).await;
    queue.publish(&job(1)).await.unwrap();
    proxy.mute();
    let cut = async {
        sleep(Duration::from_millis(200)).await;
        proxy.cut();
    };
    let job = job(2);
    let (published, ()) = tokio::join!(queue.publish(&job), cut);
    published.expect_err("nobody has confirmed it");
    assert_eq!(
        again(async || queue.publish(&job).await).await,
        Published::Queued
    );
    // Once or twice: twice is what the edge is ready for.
    assert!((2..=3).contains(&bench.ready("jobs").await.unwrap()));
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_broker_that_is_killed_in_the_middle_of_a_job_loses_nothing() {
    let mut broker = Broker::start().await;
    let bench = Bench::at(broker.url.clone()).await;
    let queue = bench.queue();
    for number in [1, 2] {
        queue.publish(&job(number)).await.unwrap();
    }
    queue.store_result(&result(7)).await.unwrap();
    let delivery = soon(queue.take()).await.unwrap();
    broker.kill();
    queue
        .store_result(&result(1))
        .await
        .expect_err("there is no broker");
    broker.start_again().await;
    // As a host does: the result, then the job.
    again(async || queue.store_result(&result(1)).await).await;
    delivery
        .ack()
        .await
        .expect_err("it is of another connection");
    let next = again(async || queue.take().await).await;
    assert_eq!(next.job.execution_id, execution(2));
    next.ack().await.unwrap();
    let mut reported = Vec::new();
    while reported.len() < 2 {
        for stored in again(async || queue.take_results(9).await).await {
            reported.push(stored.report.clone());
            stored.confirm().await.unwrap();
        }
    }
    assert_eq!(reported, [result(7), result(1)]);
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_broker_that_is_short_of_memory_is_told_at_once_and_gets_each_job_once() {
    let broker = Broker::start().await;
    let bench = Bench::at(broker.url.clone()).await;
    let queue = bench.queue();
    queue.publish(&job(1)).await.unwrap();
    broker.starve(true).await;
    // The broker says so to who tries; what was tried first may wait at its door.
    let told = again(async || match queue.send_control(&cancel(1)).await {
        Ok(()) => Err(()),
        Err(error) => Ok(error),
    })
    .await;
    assert!(
        causes(&told).contains("short of memory"),
        "{}",
        causes(&told)
    );
    for _ in 0..3 {
        let refused = queue.publish(&job(2)).await.expect_err("it takes nothing");
        assert!(causes(&refused).contains("short of memory"));
    }
    // Whoever takes goes on.
    soon(queue.take()).await.unwrap().ack().await.unwrap();
    broker.starve(false).await;
    again(async || queue.publish(&job(2)).await).await;
    assert_eq!(bench.ready("jobs").await, Some(1));
}
