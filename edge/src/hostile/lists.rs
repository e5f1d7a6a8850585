//! What a list costs does not grow with what others have made.

use codecrafter_shared::api::{ExecutionSummary, Page, SessionSummary};
use codecrafter_shared::limits;
use serde_json::{Value, json};

use super::World;

/// Many rows like the only one of `table`, with other ids.
fn copies(table: &str, columns: &str, n: u32) -> String {
    format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n}) \
         INSERT INTO {table} (tenant, id, {columns}) SELECT tenant, \
         substr(id, 1, 30) || printf('%06x', i), {columns} FROM {table}, n WHERE true"
    )
}

#[tokio::test]
async fn a_list_is_counted_as_far_as_it_matters() {
    let world = World::new().await;
    let wanted = json!({ "title": "t", "language": "python", "isPublic": true });
    let _: Value = world.asked("POST", "/api/v1/sessions", &wanted).await;
    world
        .execution(&json!({ "language": "python", "code": "1" }))
        .await;
    let n = limits::TOTAL_MAX + 500;
    let columns = "title, description, search_text, language, is_public, is_locked, join_role, \
                   max_participants, owner_id, access_version, created_at, updated_at";
    world.sql(&copies("session", columns, n)).await;
    let columns = "user_id, language, status, limits, attempts, duplicates, created_at";
    world.sql(&copies("execution", columns, n)).await;
    let last = limits::TOTAL_MAX / 100 + 5;
    for query in ["", "&q=t", "&language=python"] {
        let path = format!("/api/v1/sessions?scope=public&limit=100&page={last}{query}");
        let page: Page<SessionSummary> = world.asked("GET", &path, &Value::Null).await;
        assert_eq!(page.total, u64::from(limits::TOTAL_MAX), "{query}");
        assert_eq!(page.items.len(), 100, "what is not counted is there");
    }
    let path = format!("/api/v1/executions?limit=100&page={last}");
    let page: Page<ExecutionSummary> = world.asked("GET", &path, &Value::Null).await;
    assert_eq!(page.total, u64::from(limits::TOTAL_MAX));
    assert_eq!(page.items.len(), 100);
}
