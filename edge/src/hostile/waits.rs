//! Who asks for many answers that are held open gets most of them at once.

use std::time::Duration;

use codecrafter_shared::api::{Execution, ExecutionStatus};
use codecrafter_shared::limits;
use serde_json::{Value, json};

use super::World;

impl World {
    /// How many requests of the world's user are held open.
    async fn held(&self) -> usize {
        self.sql("SELECT 1 FROM waiter").await.len()
    }

    async fn until_held(&self, wanted: u32) {
        let wanted = usize::try_from(wanted).unwrap();
        while self.held().await != wanted {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test]
async fn so_many_requests_of_a_user_wait_and_one_more_is_answered_at_once() {
    let world = World::new().await;
    let wanted = json!({ "language": "python", "code": "1" });
    let execution = world.execution(&wanted).await;
    let get = format!("/api/v1/executions/{}?wait=true", execution.id);
    let waits = (0..limits::WAITS_PER_USER_MAX).map(|_| world.ask("GET", &get, &Value::Null));
    let waits = futures_util::future::join_all(waits);
    let rest = async {
        world.until_held(limits::WAITS_PER_USER_MAX).await;
        // If one of these were held, the test would take a minute.
        let asked: Execution = world.asked("GET", &get, &Value::Null).await;
        assert_eq!(asked.status, ExecutionStatus::Queued);
        let create = "/api/v1/executions?wait=true";
        let (status, _, other) = world.ask("POST", create, &wanted).await;
        assert_eq!(status, 202);
        let other: Execution = serde_json::from_slice(&other).unwrap();
        for id in [other.id, execution.id] {
            let path = format!("/api/v1/executions/{id}/cancel?wait=true");
            let (status, _, _) = world.ask("POST", &path, &Value::Null).await;
            assert_eq!(status, 200);
        }
    };
    let (waits, ()) = futures_util::future::join(waits, rest).await;
    for (status, _, execution) in waits {
        let execution: Execution = serde_json::from_slice(&execution).unwrap();
        assert_eq!((status, execution.status), (200, ExecutionStatus::Finished));
    }
    assert_eq!(world.held().await, 0, "every place is given back");
}

#[tokio::test]
async fn a_wait_that_broke_off_takes_no_place_for_longer_than_it_would_have_lasted() {
    let world = World::new().await;
    let wanted = json!({ "language": "python", "code": "1" });
    let execution = world.execution(&wanted).await;
    let path = format!("/api/v1/executions/{}?wait=true", execution.id);
    {
        let wait = std::pin::pin!(world.ask("GET", &path, &Value::Null));
        futures_util::future::select(wait, std::pin::pin!(world.until_held(1))).await;
    }
    assert_eq!(world.held().await, 1, "nobody was there to give it back");
    world.edge.clock.advance_ms(limits::WAIT_MS_MAX);
    {
        let wait = std::pin::pin!(world.ask("GET", &path, &Value::Null));
        let first = "SELECT 1 FROM waiter WHERE until > (SELECT created_at FROM execution) + 55000";
        let again = async {
            while world.sql(first).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        futures_util::future::select(wait, std::pin::pin!(again)).await;
    }
    assert_eq!(world.held().await, 1, "the old one is forgotten");
}
