//! What is on the broker, and who may say so.

use executor_host::queue::contract::job;
use executor_host::queue::rabbitmq::Prefix;
use executor_host::queue::{Queue as _, RabbitMq};
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

use crate::bench::{Bench, soon};

pub fn causes(error: &dyn std::error::Error) -> String {
    let mut shown = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        shown = format!("{shown}: {error}");
        cause = error.source();
    }
    shown
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn declaring_what_is_there_changes_nothing() {
    let bench = Bench::new().await;
    let first = bench.queue();
    first.publish(&job(1)).await.unwrap();
    let second = bench.queue();
    assert_eq!(second.depth().await.unwrap().ready, 1);
    assert_eq!(soon(second.take()).await.unwrap().job, job(1));
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_queue_with_other_properties_is_left_alone_and_told_with_what_to_do() {
    let bench = Bench::new().await;
    let mut arguments = FieldTable::default();
    let quorum = AMQPValue::LongString("quorum".into());
    arguments.insert("x-queue-type".into(), quorum);
    let name = bench.name("jobs");
    let durable = QueueDeclareOptions::durable();
    let channel = bench.channel().await;
    let declared = channel.queue_declare((&*name).into(), durable, arguments);
    declared.await.unwrap();
    bench.put("jobs", b"precious").await;
    let error = bench.queue().publish(&job(1)).await.expect_err("differs");
    let shown = causes(&error);
    for needed in [
        &*name,
        "'x-dead-letter-exchange'",
        "current is none",
        "delete_queue",
    ] {
        assert!(shown.contains(needed), "{shown}");
    }
    assert_eq!(bench.ready("jobs").await, Some(1), "nothing was removed");
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn looking_makes_nothing() {
    let bench = Bench::new().await;
    let address = || bench.url.parse().unwrap();
    let empty = RabbitMq::inspect(address(), &bench.prefix).await.unwrap();
    assert_eq!(empty, Default::default());
    assert_eq!(bench.ready("jobs").await, None);
    let queue = bench.queue();
    queue.publish(&job(1)).await.unwrap();
    let depth = RabbitMq::inspect(address(), &bench.prefix).await.unwrap();
    assert_eq!((depth.ready, depth.results, depth.parked), (1, 0, 0));
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_broker_that_refuses_or_is_away_is_told_without_the_password() {
    let bench = Bench::new().await;
    let (_, at) = bench.url.rsplit_once(['/', '@']).unwrap();
    for url in [
        format!("amqp://nobody:hunter2@{at}"),
        "amqp://nobody:hunter2@127.0.0.1:1".into(),
        "amqp://nobody:hunter2@no-such-host.invalid".into(),
    ] {
        let queue = RabbitMq::new(url.parse().unwrap(), Prefix::default());
        let error = queue.depth().await.expect_err("refused");
        let shown = format!("{} {error:?}", causes(&error));
        assert!(shown.contains("amqp://"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
