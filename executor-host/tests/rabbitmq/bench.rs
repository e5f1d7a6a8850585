//! A place on the broker for one test.

use std::future::Future;
use std::time::Duration;

use executor_host::queue::RabbitMq;
use executor_host::queue::rabbitmq::{Address, Prefix};
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::time::{sleep, timeout};

/// A wait that is longer than this is taken for one without end.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The broker that the tests share.
pub fn url() -> String {
    std::env::var("CODECRAFTER_TEST_AMQP_URL")
        .expect("set CODECRAFTER_TEST_AMQP_URL to the URL of a RabbitMQ, such as amqp://127.0.0.1")
}

/// The names of one test, gone when it is over.
pub struct Bench {
    pub url: String,
    pub prefix: Prefix,
}

impl Bench {
    /// Nothing is there yet.
    pub async fn new() -> Self {
        Self::at(url()).await
    }

    pub async fn at(url: String) -> Self {
        let thread = std::thread::current();
        let test = thread.name().expect("tests run in threads with names");
        let name = test.rsplit("::").next().unwrap_or(test);
        let prefix = format!("test.{name}").parse().unwrap();
        let bench = Self { url, prefix };
        remove(&bench.url, &bench.prefix).await;
        bench
    }

    /// A host's end of the queue.
    pub fn queue(&self) -> RabbitMq {
        RabbitMq::new(self.url.parse::<Address>().unwrap(), self.prefix.clone())
    }

    /// The name of something under the test's prefix.
    pub fn name(&self, of: &str) -> String {
        format!("{}.{of}", self.prefix)
    }

    /// A channel beside those of the queue.
    pub async fn channel(&self) -> Channel {
        channel(&self.url).await
    }

    /// How many messages are ready in a queue; `None` if it does not exist.
    pub async fn ready(&self, of: &str) -> Option<u32> {
        let passive = QueueDeclareOptions::durable().passive();
        let declared = self
            .channel()
            .await
            .queue_declare(self.name(of).into(), passive, FieldTable::default())
            .await;
        declared.ok().map(|queue| queue.message_count())
    }

    /// Puts anything into a queue.
    pub async fn put(&self, of: &str, body: &[u8]) {
        let channel = self.channel().await;
        channel.confirm_select(Default::default()).await.unwrap();
        let options = BasicPublishOptions {
            mandatory: true,
            ..Default::default()
        };
        let properties = BasicProperties::default().with_delivery_mode(2);
        let sent = channel
            .basic_publish("".into(), self.name(of).into(), options, body, properties)
            .await;
        let confirmed = sent.unwrap().await.unwrap();
        assert!(confirmed.is_ack() && confirmed.take_message().is_none());
    }

    /// Waits for a dead letter and takes it out.
    pub async fn dead_letter(&self) -> (Vec<u8>, FieldTable) {
        let channel = self.channel().await;
        let taken = until(|| async {
            let no_ack = BasicGetOptions { no_ack: true };
            channel
                .basic_get(self.name("dead").into(), no_ack)
                .await
                .unwrap()
        });
        let message = taken.await.delivery;
        let headers = message.properties.headers().clone();
        (message.data, headers.unwrap_or_default())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let (url, prefix) = (self.url.clone(), self.prefix.clone());
        // The test's own runtime cannot wait here.
        let clean = move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(remove(&url, &prefix));
        };
        let _ = std::thread::spawn(clean).join();
    }
}

pub async fn channel(url: &str) -> Channel {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap();
    connection.create_channel().await.unwrap()
}

/// Removes everything that lives under a prefix.
async fn remove(url: &str, prefix: &Prefix) {
    let Ok(connection) = Connection::connect(url, ConnectionProperties::default()).await else {
        return; // A broker of the test's own, which has gone already.
    };
    let channel = connection.create_channel().await.unwrap();
    for queue in [
        "jobs",
        "results",
        "dead",
        "jobs.given_up",
        "jobs.delayed.2s",
        "jobs.delayed.4s",
        "jobs.delayed.30s",
        "jobs.delayed.600s",
    ] {
        let name = format!("{prefix}.{queue}");
        let deleted = channel.queue_delete((&*name).into(), QueueDeleteOptions::default());
        deleted.await.unwrap();
    }
    for exchange in ["control", "live", "workers"] {
        let name = format!("{prefix}.{exchange}");
        let deleted = channel.exchange_delete((&*name).into(), Default::default());
        deleted.await.unwrap();
    }
    let _ = connection.close(200, "done".into()).await;
}

/// Asks until there is an answer.
pub async fn until<T, F: Future<Output = Option<T>>>(ask: impl FnMut() -> F) -> T {
    within(PATIENCE, ask).await
}

/// The same for what takes its time.
pub async fn within<T, F: Future<Output = Option<T>>>(
    patience: Duration,
    mut ask: impl FnMut() -> F,
) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(patience, asked).await.expect("it waits for ever")
}

/// Waits for `future`, but not for ever.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it waits for ever")
}

/// Tries again until it works, as a host does after a loss.
pub async fn again<T, E>(work: impl AsyncFn() -> Result<T, E>) -> T {
    until(|| async { work().await.ok() }).await
}

/// A header's text.
pub fn text(headers: &FieldTable, name: &str) -> String {
    match headers.inner().get(name) {
        Some(AMQPValue::LongString(text)) => text.to_string(),
        other => panic!("{name}: {other:?}"),
    }
}
