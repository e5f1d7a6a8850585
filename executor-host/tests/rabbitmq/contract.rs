//! What every queue promises.

use std::sync::Arc;

use executor_host::queue::Queue;

use crate::bench::Bench;

async fn empty() -> (Arc<dyn Queue>, Bench) {
    let bench = Bench::new().await;
    (Arc::new(bench.queue()), bench)
}

executor_host::queue_contract!(empty().await, ignore = "needs RabbitMQ");
