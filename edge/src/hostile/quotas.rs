//! What one user may leave lying about.

use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use serde_json::{Value, json};

use super::World;
use crate::ports::{DbError, Shard};
use crate::room::AccessNotice;
use crate::room::calls::{Initialise, ReadContent, WriteText};
use crate::shard::call;

impl World {
    /// Rows of every table of the rooms' database, by its name.
    async fn rows_of_rooms(&self) -> Vec<(String, u32)> {
        let rooms = self.edge.rooms();
        let db = &rooms;
        let rows = db.transaction(|tx| async move {
            let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'room_%'";
            let mut rows = Vec::new();
            for row in tx.execute(sql, []).await? {
                let name: String = row.get("name")?;
                let count = format!("SELECT count(*) AS n FROM {name}");
                let count = tx.first(&count, []).await?.unwrap();
                rows.push((name, count.get("n")?));
            }
            Ok(rows)
        });
        let rows: Result<_, DbError> = rows.await;
        let kept = ["room_schema", "room_access"];
        let rows = rows.unwrap().into_iter();
        rows.filter(|(name, _)| !kept.contains(&&**name)).collect()
    }

    async fn delete(&self, id: SessionId) {
        let path = format!("/api/v1/sessions/{id}");
        let (status, _, _) = self.ask("DELETE", &path, &Value::Null).await;
        assert_eq!(status, 204);
    }
}

#[tokio::test]
async fn a_deleted_session_leaves_nothing_in_its_room_and_nothing_comes_back() {
    let world = World::new().await;
    let kept = world.session("kept").await;
    let gone = world.session("gone").await;
    let path = format!("/api/v1/sessions/{}/content", gone.id);
    let _: Value = world
        .asked("PUT", &path, &json!({ "content": "written over" }))
        .await;
    world.content(&kept).await;
    let before = world.rows_of_rooms().await;
    assert!(before.iter().any(|(_, n)| *n > 1), "{before:?}");

    // The room hears of it late.
    world.edge.set_rooms_unreachable(true);
    world.delete(gone.id).await;
    world.edge.set_rooms_unreachable(false);
    world.edge.clock.advance_ms(10_000);
    world.edge.directory.tick().await.unwrap();

    let room = Shard::Room { session: gone.id };
    let shards = &*world.edge.directory.shards;
    let notice = |access_version| AccessNotice {
        access_version,
        locked: false,
        deleted: false,
        participants: vec![(gone.owner_id, Role::Owner)],
    };
    let created = Initialise {
        files: Vec::new(),
        content: "late".into(),
        notice: notice(1),
    };
    call(shards, &room, &created).await.unwrap();
    let write = |access_version| WriteText {
        user_id: gone.owner_id,
        notice: notice(access_version),
        request: serde_json::from_value(json!({ "content": "late" })).unwrap(),
        expected: None,
    };
    for version in [1, 1_000] {
        let refusal = call(shards, &room, &write(version)).await.unwrap_err();
        assert_eq!(refusal.code, ErrorCode::SessionNotFound);
    }
    let refusal = call(shards, &room, &ReadContent {}).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::SessionNotFound);
    world.delete(kept.id).await;
    let left = world.rows_of_rooms().await;
    assert!(left.iter().all(|(_, n)| *n == 0), "{left:?}");
}

#[tokio::test]
async fn nobody_is_handed_more_sessions_than_one_may_own() {
    let world = World::new().await;
    let session = world.session("1").await;
    let full = UserId::at(session.created_at, [7; 10]);
    world
        .sql(&format!(
            "INSERT INTO account (tenant, id, username, username_key, email, email_key, \
             display_name, password, created_at) \
             VALUES ('main', '{full}', 'full', 'full', 'f@f', 'f@f', 'Full', '', 0)"
        ))
        .await;
    world
        .sql(&format!(
            "INSERT INTO participant VALUES ('main', '{}', '{full}', 'editor', 1)",
            session.id
        ))
        .await;
    for n in 0..limits::SESSIONS_PER_OWNER_MAX {
        world
            .sql(&format!(
                "INSERT INTO session (tenant, id, owner_id) VALUES ('main', '{n}', '{full}')"
            ))
            .await;
    }
    let path = format!("/api/v1/sessions/{}/transfer", session.id);
    let transfer = json!({ "userId": full });
    let (status, _, problem) = world.ask("POST", &path, &transfer).await;
    let problem: Value = serde_json::from_slice(&problem).unwrap();
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("too_many_sessions"))
    );
    // What is deleted is not owned.
    world
        .sql("UPDATE session SET deleted_at = 1 WHERE id = '0'")
        .await;
    let _: Value = world.asked("POST", &path, &transfer).await;
}
