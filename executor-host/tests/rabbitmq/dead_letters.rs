//! What no worker can do anything with.

use codecrafter_shared::job::Job;
use executor_host::queue::contract::{job, result};
use executor_host::queue::dead_letters::{DeadLetters, Kind};
use executor_host::queue::rabbitmq::DELIVERY_LIMIT;
use executor_host::queue::{Published, Queue as _};
use lapin::options::QueueDeleteOptions;

use crate::bench::{Bench, again, soon, text, until};

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_message_that_cannot_be_read_is_put_aside_at_first_sight_with_its_reason() {
    let bench = Bench::new().await;
    let queue = bench.queue();
    queue.depth().await.unwrap();
    for of in ["jobs", "results"] {
        bench.put(of, b"{\"").await;
    }
    queue.publish(&job(1)).await.unwrap();
    queue.store_result(&result(1)).await.unwrap();
    assert_eq!(soon(queue.take()).await.unwrap().job, job(1));
    let stored = soon(queue.take_results(9)).await.unwrap();
    assert_eq!(stored[0].report, result(1));
    assert_eq!(queue.depth().await.unwrap().parked, 2);
    for _ in 0..2 {
        let (body, headers) = bench.dead_letter().await;
        assert_eq!(body, b"{\"");
        let reason = text(&headers, "codecrafter-reason");
        assert!(reason.contains("EOF"), "{reason}");
    }
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_job_of_an_unknown_version_is_put_aside_at_first_sight_and_its_owner_told() {
    let bench = Bench::new().await;
    let queue = bench.queue();
    let newer = Job {
        schema: 99,
        ..job(1)
    };
    queue.publish(&newer).await.unwrap();
    queue.publish(&job(2)).await.unwrap();
    assert_eq!(soon(queue.take()).await.unwrap().job, job(2));
    let told = soon(queue.take_results(9)).await.unwrap();
    assert_eq!(told[0].report.execution_id, newer.execution_id);
    let (body, headers) = bench.dead_letter().await;
    assert_eq!(body, serde_json::to_vec(&newer).unwrap());
    assert!(text(&headers, "codecrafter-reason").contains("version 99"));
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_dead_letter_is_listed_and_put_back_while_the_queue_is_in_use() {
    let bench = Bench::new().await;
    let queue = bench.queue();
    let letters = DeadLetters::OnBroker(bench.url.parse().unwrap(), bench.prefix.clone());
    assert_eq!(
        letters.list().await.unwrap(),
        [],
        "nothing is there, and nothing made"
    );
    for number in 1..=2 {
        queue.publish(&job(number)).await.unwrap();
        let taken = soon(queue.take()).await.unwrap();
        taken.park(&format!("reason {number}")).await.unwrap();
    }
    queue.store_result(&result(3)).await.unwrap();
    for _ in 0..2 {
        let list = letters.list().await.unwrap();
        let shown: Vec<_> = list
            .iter()
            .map(|letter| (letter.kind, &*letter.reason, letter.execution_id))
            .collect();
        let id = |number| Some(job(number).execution_id);
        let expected = [
            (Kind::Job, "reason 1", id(1)),
            (Kind::Job, "reason 2", id(2)),
        ];
        assert_eq!(shown, expected, "looking changes nothing");
    }
    let second = letters.list().await.unwrap().remove(1);
    assert!(!letters.put_back("no such").await.unwrap());
    assert!(letters.put_back(&second.id).await.unwrap());
    let taken = soon(queue.take()).await.unwrap();
    assert_eq!((&taken.job, taken.count), (&job(2), 1));
    until(async || (letters.list().await.unwrap().len() == 1).then_some(())).await;
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_job_that_no_worker_survives_comes_to_the_link_and_then_to_the_dead_letters() {
    let bench = Bench::new().await;
    let queue = bench.queue();
    queue.publish(&job(1)).await.unwrap();
    let limit = u32::try_from(DELIVERY_LIMIT).unwrap();
    for count in 1..=limit + 1 {
        let delivery = soon(queue.take()).await.unwrap();
        assert_eq!(delivery.count, count);
        drop(delivery);
    }
    let mut given_up = queue.given_up().await.unwrap();
    // A link that dies just then gets it again.
    for _ in 0..2 * limit {
        assert_eq!(soon(given_up.next()).await.unwrap().job, job(1));
    }
    soon(given_up.next()).await.unwrap().ack().await.unwrap();
    let (body, headers) = bench.dead_letter().await;
    assert_eq!(body, serde_json::to_vec(&job(1)).unwrap());
    assert_eq!(
        text(&headers, "codecrafter-reason"),
        "it came back too often"
    );
    for empty in ["jobs", "jobs.given_up"] {
        assert_eq!(bench.ready(empty).await, Some(0));
    }
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_message_for_a_queue_that_is_gone_is_an_error_and_the_queue_comes_back() {
    let bench = Bench::new().await;
    let queue = bench.queue();
    assert_eq!(queue.publish(&job(1)).await.unwrap(), Published::Queued);
    let delivery = soon(queue.take()).await.unwrap();
    let channel = bench.channel().await;
    let delete = QueueDeleteOptions::default();
    let deleted = channel.queue_delete(bench.name("jobs").into(), delete);
    deleted.await.unwrap();
    let error = queue.publish(&job(2)).await.expect_err("unroutable");
    let shown = format!("{error:?}");
    assert!(shown.contains(&bench.name("jobs")), "{shown}");
    again(async || queue.publish(&job(2)).await).await;
    drop(delivery);
    assert_eq!(again(async || queue.take().await).await.job, job(2));
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_worker_that_waits_when_its_queue_is_deleted_is_told_and_may_wait_again() {
    let bench = Bench::new().await;
    let queue = std::sync::Arc::new(bench.queue());
    queue.depth().await.unwrap();
    let waiting = tokio::spawn({
        let queue = std::sync::Arc::clone(&queue);
        async move { queue.take().await.map(|delivery| delivery.job) }
    });
    let channel = bench.channel().await;
    let name = bench.name("jobs");
    until(|| async {
        let passive = lapin::options::QueueDeclareOptions::durable().passive();
        let declared = channel.queue_declare((&*name).into(), passive, Default::default());
        (declared.await.unwrap().consumer_count() > 0).then_some(())
    })
    .await;
    let deleted = channel.queue_delete((&*name).into(), QueueDeleteOptions::default());
    deleted.await.unwrap();
    soon(waiting).await.unwrap().expect_err("told");
    again(async || queue.publish(&job(1)).await).await;
    assert_eq!(again(async || queue.take().await).await.job, job(1));
}
