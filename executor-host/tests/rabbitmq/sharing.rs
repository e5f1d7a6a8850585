//! Several processes around one broker.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use codecrafter_shared::id::ControlId;
use codecrafter_shared::job::{Control, ControlAction};
use executor_host::queue::contract::{execution, job, result};
use executor_host::queue::{Queue as _, RabbitMq};
use tokio::time::timeout;

use crate::bench::{Bench, again, soon};

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn workers_share_the_jobs_and_each_job_goes_to_one_of_them() {
    const JOBS: u64 = 40;
    let bench = Bench::new().await;
    let link = bench.queue();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let worker = bench.queue();
        workers.spawn(async move {
            let mut done = Vec::new();
            for _ in 0..JOBS / 4 {
                let delivery = worker.take().await.unwrap();
                done.push(delivery.job.execution_id);
                delivery.ack().await.unwrap();
            }
            done
        });
    }
    for number in 0..JOBS {
        link.publish(&job(number)).await.unwrap();
    }
    let mut done = soon(workers.join_all()).await.concat();
    done.sort_unstable();
    assert_eq!(done, (0..JOBS).map(execution).collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_worker_without_a_free_slot_keeps_no_job_from_the_others() {
    let bench = Bench::new().await;
    let (busy, free) = (bench.queue(), bench.queue());
    for number in 0..5 {
        busy.publish(&job(number)).await.unwrap();
    }
    let _running = soon(busy.take()).await.unwrap();
    for number in 1..5 {
        let delivery = soon(free.take()).await.unwrap();
        assert_eq!(delivery.job.execution_id, execution(number));
        assert_eq!(delivery.count, 1);
        delivery.ack().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_job_that_one_worker_gave_back_with_a_delay_is_counted_by_the_next() {
    let bench = Bench::new().await;
    let (first, second) = (bench.queue(), bench.queue());
    first.publish(&job(1)).await.unwrap();
    drop(soon(first.take()).await.unwrap());
    let delivery = soon(first.take()).await.unwrap();
    assert_eq!(delivery.count, 2);
    delivery.give_back(Duration::from_millis(1)).await.unwrap();
    let delivery = soon(second.take()).await.unwrap();
    assert_eq!((&delivery.job, delivery.count), (&job(1), 3));
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn there_is_one_link_and_another_takes_its_place_when_it_has_gone() {
    let bench = Bench::new().await;
    let (first, second) = (bench.queue(), bench.queue());
    assert_eq!(first.room(4).await.unwrap(), 4);
    let error = second.room(4).await.expect_err("there is a link");
    assert!(format!("{error:?}").contains("OtherLink"), "{error:?}");
    second.take_results(1).await.expect_err("there is a link");
    second.live().await.err().expect("there is a link");
    // A worker is never in the way.
    second.store_result(&result(1)).await.unwrap();
    assert_eq!(soon(first.take_results(9)).await.unwrap().len(), 1);
    first.close().await;
    let stored = again(async || second.take_results(9).await).await;
    assert_eq!(stored[0].report, result(1));
    assert_eq!(again(async || second.room(4).await).await, 4);
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_link_has_room_again_when_another_process_has_finished_a_job() {
    let bench = Bench::new().await;
    let (link, worker) = (Arc::new(bench.queue()), bench.queue());
    link.publish(&job(1)).await.unwrap();
    let delivery = soon(worker.take()).await.unwrap();
    let full = timeout(Duration::from_millis(300), link.room(1)).await;
    assert!(full.is_err(), "it runs, though elsewhere");
    worker.store_result(&result(1)).await.unwrap();
    delivery.ack().await.unwrap();
    let _reported = soon(link.take_results(9)).await.unwrap();
    assert_eq!(soon(link.room(1)).await.unwrap(), 1);
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn results_that_a_reporter_drops_keep_their_order() {
    let bench = Bench::new().await;
    let queue = bench.queue();
    for number in 0..9 {
        queue.store_result(&result(number)).await.unwrap();
    }
    let mut held = Vec::new();
    while held.len() < 9 {
        held.extend(soon(queue.take_results(4)).await.unwrap());
    }
    drop(held);
    let again = soon(queue.take_results(9)).await.unwrap();
    let again: Vec<_> = again.iter().map(|stored| stored.report.clone()).collect();
    assert_eq!(again, (0..9).map(result).collect::<Vec<_>>());
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_control_message_reaches_every_worker_once_and_in_order() {
    let bench = Bench::new().await;
    let workers: Vec<RabbitMq> = (0..3).map(|_| bench.queue()).collect();
    let mut listeners = Vec::new();
    for worker in &workers {
        listeners.push(worker.controls().await.unwrap());
    }
    let link = bench.queue();
    let control = |number: u64| Control {
        id: ControlId::random([number.to_le_bytes()[0]; 16]),
        execution_id: execution(number),
        action: ControlAction::Cancel,
    };
    for number in 0..20 {
        link.send_control(&control(number)).await.unwrap();
    }
    for listener in &mut listeners {
        for number in 0..20 {
            assert_eq!(soon(listener.next()).await.unwrap(), control(number));
        }
    }
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn live_reports_reach_the_link_in_order_and_as_urgent_as_a_worker_sent_them() {
    let bench = Bench::new().await;
    let (link, worker) = (bench.queue(), bench.queue());
    worker.send_live(&[result(0)], false).await.unwrap(); // Nobody listens: lost.
    let mut live = link.live().await.unwrap();
    for number in 1..20 {
        let urgent = number % 3 == 0;
        worker.send_live(&[result(number)], urgent).await.unwrap();
    }
    for number in 1..20 {
        let batch = soon(live.next()).await.unwrap();
        assert_eq!(batch.reports, [result(number)]);
        assert_eq!(batch.urgent, number % 3 == 0, "the link knows what waits");
    }
}

// ---- SIGKILL ----

const CHILD_PREFIX: &str = "CODECRAFTER_TEST_CHILD_PREFIX";

/// Not a test of its own: the worker that the next test kills.
#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn child_that_holds_a_delivery() {
    let Ok(prefix) = std::env::var(CHILD_PREFIX) else {
        return;
    };
    let url = crate::bench::url();
    let queue = RabbitMq::new(url.parse().unwrap(), prefix.parse().unwrap());
    let _held = queue.take().await.unwrap();
    println!("\nholding");
    std::future::pending::<()>().await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn what_a_killed_worker_held_is_handed_out_again_and_counted() {
    let bench = Bench::new().await;
    let queue = bench.queue();
    queue.publish(&job(1)).await.unwrap();
    let name = "sharing::child_that_holds_a_delivery";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--ignored"])
        .env(CHILD_PREFIX, bench.prefix.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let held = tokio::task::spawn_blocking(move || lines.any(|line| line.unwrap() == "holding"));
    assert!(soon(held).await.unwrap(), "the child ended");
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    let delivery = soon(queue.take()).await.unwrap();
    assert_eq!((&delivery.job, delivery.count), (&job(1), 2));
}
