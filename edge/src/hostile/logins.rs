//! A login session that has ended takes its room tokens with it.

use codecrafter_shared::api::Joined;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::limits;
use serde_json::{Value, json};

use super::World;
use crate::accounts::calls::{OpenLoginSession, RefreshLoginSession};
use crate::accounts::store;
use crate::ports::Clock as _;
use crate::token::Caller;

impl World {
    async fn join(&self, id: SessionId) -> Joined {
        let path = format!("/api/v1/sessions/{id}/join");
        self.asked("POST", &path, &Value::Null).await
    }

    fn caller(&self) -> Caller {
        let keys = &self.edge.directory.config.keys;
        keys.verify_access(&self.token, self.edge.clock.now())
            .unwrap()
    }

    async fn logout(&self) {
        let (status, _, _) = self.ask("POST", "/api/v1/auth/logout", &Value::Null).await;
        assert_eq!(status, 204);
    }

    /// One more login session of the world's user.
    async fn login(&self) -> Caller {
        let call = OpenLoginSession {
            user_id: self.caller().user_id,
            rehashed: None,
        };
        let opened = store::open_login_session(&self.edge.directory, call).await;
        opened.unwrap().value.caller
    }
}

/// Which login ended, by what rooms were told.
fn logins(told: &[Value]) -> Vec<&str> {
    let logins = told.iter().map(|told| &told["login"]["loginSessionId"]);
    logins.map(|login| login.as_str().unwrap()).collect()
}

#[tokio::test]
async fn logging_out_tells_every_room_that_the_login_has_a_pass_for_and_no_other() {
    let mut world = World::new().await;
    let (one, two) = (world.session("1").await, world.session("2").await);
    let never_joined = world.session("3").await;
    let watched = world.watch("");
    for id in [one.id, two.id, one.id] {
        let joined = world.join(id).await;
        let keys = &world.edge.directory.config.keys;
        let now = world.edge.clock.now();
        let pass = keys.verify_room(id, &joined.room_token, now).unwrap();
        assert_eq!(pass.login_session_id, world.caller().login_session_id);
        assert_eq!(
            pass.expires_at.as_millis() / 1000,
            joined.room_token_expires_at.as_millis() / 1000
        );
    }
    world.logout().await;
    let told = watched.take("/login-ended");
    let own = world.caller().login_session_id.to_string();
    assert_eq!(logins(&told), [&own, &own], "not {}", never_joined.id);
    assert!(world.sql("SELECT 1 FROM outbox").await.is_empty());
    assert!(world.sql("SELECT 1 FROM pass").await.is_empty());
    let (status, _, _) = world
        .ask(
            "POST",
            &format!("/api/v1/sessions/{}/join", one.id),
            &Value::Null,
        )
        .await;
    assert_eq!(status, 401, "no new pass either");
}

#[tokio::test]
async fn a_room_that_cannot_be_reached_hears_of_the_logout_later() {
    let world = World::new().await;
    let session = world.session("1").await;
    world.join(session.id).await;
    world.edge.set_rooms_unreachable(true);
    world.logout().await;
    world.edge.set_rooms_unreachable(false);
    assert_eq!(world.sql("SELECT 1 FROM outbox").await.len(), 1);
    world.edge.clock.advance_ms(10_000);
    world.edge.directory.tick().await.unwrap();
    assert!(world.sql("SELECT 1 FROM outbox").await.is_empty());
}

#[tokio::test]
async fn a_copied_refresh_token_closes_the_rooms_of_its_login() {
    let mut world = World::new().await;
    let session = world.session("1").await;
    let refresh = async |world: &World, token: &str| {
        let wanted = json!({ "refreshToken": token });
        let (status, _, body) = world.ask("POST", "/api/v1/auth/refresh", &wanted).await;
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let caller = world.caller();
    let salt = world.sql("SELECT salt FROM login_session").await[0].get::<Vec<u8>>("salt");
    let first = world
        .edge
        .directory
        .config
        .keys
        .refresh_token(caller, 0, &salt.unwrap());
    world.join(session.id).await;
    let watched = world.watch("");
    assert_eq!(refresh(&world, &first).await.0, 200);
    world
        .edge
        .clock
        .advance_ms(limits::REFRESH_REUSE_GRACE_MS + 1);
    for _ in 0..2 {
        let (status, problem) = refresh(&world, &first).await;
        assert_eq!(
            (status, &problem["code"]),
            (401, &json!("login_session_ended"))
        );
    }
    let told = watched.take("/login-ended");
    assert_eq!(
        logins(&told),
        [caller.login_session_id.to_string()],
        "told once"
    );
}

#[tokio::test]
async fn a_login_that_gives_way_to_newer_ones_leaves_its_rooms() {
    let world = World::new().await;
    let session = world.session("1").await;
    world.join(session.id).await;
    for _ in 1..limits::LOGIN_SESSIONS_PER_USER_MAX {
        world.login().await;
    }
    assert!(world.sql("SELECT 1 FROM outbox").await.is_empty());
    world.login().await;
    assert_eq!(world.sql("SELECT 1 FROM outbox").await.len(), 1);
}

#[tokio::test]
async fn a_room_token_ends_with_its_login_at_the_latest() {
    let mut world = World::new().await;
    let session = world.session("1").await;
    let keys = world.edge.directory.config.keys.clone();
    let mut caller = world.caller();
    let left = limits::ROOM_TOKEN_MS / 2;
    let end = world
        .edge
        .clock
        .now()
        .plus_millis(limits::LOGIN_SESSION_MS_MAX);
    while end.since(world.edge.clock.now()) > left {
        let salt = world.sql("SELECT salt, counter FROM login_session").await;
        let (salt, counter) = (salt[0].get::<Vec<u8>>("salt"), salt[0].get("counter"));
        let token = keys.refresh_token(caller, counter.unwrap(), &salt.unwrap());
        let call = RefreshLoginSession {
            refresh_token: token,
        };
        let refreshed = store::refresh_login_session(&world.edge.directory, call).await;
        caller = refreshed.unwrap().value.unwrap().caller;
        let step = (limits::LOGIN_SESSION_IDLE_MS / 2)
            .min(end.since(world.edge.clock.now()) - left + 1_000);
        world.edge.clock.advance_ms(step);
    }
    world.token = keys.access_token(caller, world.edge.clock.now()).unwrap().0;
    let joined = world.join(session.id).await;
    assert!(joined.room_token_expires_at <= end);
}

#[tokio::test]
async fn one_login_has_passes_for_so_many_rooms_and_another_for_its_own() {
    let world = World::new().await;
    let session = world.session("1").await;
    let caller = world.caller();
    let now = world.edge.clock.now();
    let later = now.plus_millis(1_000);
    for n in 1..limits::ROOMS_PER_LOGIN_SESSION_MAX {
        let sql = format!(
            "INSERT INTO pass VALUES ('main', '{}', '{}', '{n}', {})",
            caller.user_id,
            caller.login_session_id,
            later.as_millis()
        );
        world.sql(&sql).await;
    }
    world.join(session.id).await;
    let second = world.session("2").await;
    let path = format!("/api/v1/sessions/{}/join", second.id);
    let (status, _, problem) = world.ask("POST", &path, &Value::Null).await;
    let problem: Value = serde_json::from_slice(&problem).unwrap();
    assert_eq!(status, 429, "{problem}");
    assert_eq!(problem["code"], ErrorCode::TooManyRooms.as_str());
    world.join(session.id).await;
    world
        .edge
        .clock
        .advance_ms(1_000 + limits::CLOCK_TOLERANCE_MS);
    world.join(second.id).await;
}
