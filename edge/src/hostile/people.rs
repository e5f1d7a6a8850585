//! What people are told comes through, whatever is lost on the way, and to nobody else.

use axum::body::Body;
use codecrafter_shared::api::{FeedPass, Joined, Notifications, OnlinePeople};
use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::{Event, Outcome, Report, Verdict};
use codecrafter_shared::limits;
use codecrafter_shared::relay::CloseCode;
use serde_json::{Value, json};
use tower_service::Service as _;

use super::World;
use super::rooms::at_the_door;
use crate::accounts::calls::OpenAccount;
use crate::accounts::store::open_account;
use crate::limits::policy::{Limits, Policy};
use crate::ports::Clock as _;

/// A second user of the world; gives their access token.
async fn another(world: &World, name: &str) -> String {
    let account = OpenAccount {
        username: name.into(),
        email: format!("{name}@example.org"),
        display_name: name.into(),
        password: "not a hash".into(),
    };
    let opened = open_account(&world.edge.directory, account).await;
    let keys = &world.edge.directory.config.keys;
    let caller = opened.unwrap().value.caller;
    keys.access_token(caller, world.edge.clock.now()).unwrap().0
}

impl World {
    async fn as_somebody<T: serde::de::DeserializeOwned>(&self, token: &str, path: &str) -> T {
        let request = http::Request::get(path);
        let request = request.header("authorization", format!("Bearer {token}"));
        let (status, _, body) = self.send(request.body(Default::default()).unwrap()).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    /// What somebody was told, newest first.
    async fn told(&self, token: &str) -> Vec<Value> {
        let told: Notifications = self.as_somebody(token, "/api/v1/notifications").await;
        let events = told.items.into_iter().map(|note| note.event);
        events
            .map(|event| serde_json::to_value(event).unwrap())
            .collect()
    }

    async fn events(&self, feed_token: &str) -> (u16, String) {
        let request = http::Request::get("/api/v1/notifications/events");
        let request = request.header("authorization", format!("Bearer {feed_token}"));
        let (status, _, body) = self.send(request.body(Default::default()).unwrap()).await;
        (status, String::from_utf8(body).unwrap())
    }
}

#[tokio::test]
async fn a_person_whose_shard_does_not_answer_is_told_later_and_holds_nobody_up() {
    let world = World::new().await;
    let bob = another(&world, "bob").await;
    let session = world.session("1").await;
    world.edge.set_people_unreachable(true);
    let path = format!("/api/v1/sessions/{}/participants", session.id);
    let add = json!({ "username": "bob", "role": "editor" });
    let _: Value = world.asked("POST", &path, &add).await;
    let settings = format!("/api/v1/sessions/{}", session.id);
    let _: Value = world
        .asked("PATCH", &settings, &json!({ "isLocked": true }))
        .await;
    world.edge.set_people_unreachable(false);
    assert!(world.told(&bob).await.is_empty());
    world.edge.clock.advance_ms(60_000);
    world.edge.directory.tick().await.unwrap();
    let told = world.told(&bob).await;
    let types: Vec<_> = told.iter().map(|event| event["type"].as_str()).collect();
    assert_eq!(types, [Some("locked"), Some("added")]);
    assert!(world.sql("SELECT * FROM outbox").await.is_empty());
    world.edge.clock.advance_ms(60_000);
    world.edge.directory.tick().await.unwrap();
    assert_eq!(world.told(&bob).await.len(), 2);
}

#[tokio::test]
async fn nobody_is_told_of_what_they_have_done_themselves() {
    let world = World::new().await;
    let session = world.session("1").await;
    let settings = format!("/api/v1/sessions/{}", session.id);
    for locked in [true, false] {
        let _: Value = world
            .asked("PATCH", &settings, &json!({ "isLocked": locked }))
            .await;
    }
    let own = json!({ "text": "@eve, @nobody and @eve", "key": "k" });
    let _: Value = world.asked("POST", &format!("{settings}/chat"), &own).await;
    assert!(world.told(&world.token).await.is_empty());
}

#[tokio::test]
async fn who_sees_a_run_end_in_its_room_is_not_told_of_it_and_who_has_gone_is() {
    let world = World::new().await;
    let session = world.session("1").await;
    let path = format!("/api/v1/sessions/{}/join", session.id);
    let joined: Joined = world.asked("POST", &path, &Value::Null).await;
    let (link, id) = (world.link().await, session.id);
    let run = async || {
        let execution = world.execution(&json!({ "sessionId": id })).await;
        let job = world.lease(&link, 1).await.leases.remove(0).job;
        let report = Report {
            execution_id: execution.id,
            session_id: job.session_id,
            report_token: job.report_token,
            attempt_id: AttemptId::random([1; 16]),
            seq: 0,
            at: world.edge.clock.now(),
            event: Event::Finished {
                outcome: Box::new(Outcome::without_run(Verdict::Accepted, "done")),
            },
            traceparent: None,
        };
        let reports = json!({ "reports": [report] });
        let (status, taken) = world.signed(&link, "/internal/reports", &reports).await;
        assert_eq!(status, 200, "{taken}");
        world.told(&world.token).await.len()
    };
    let path = format!("/api/v1/rooms/{id}/events?token={}", joined.room_token);
    let request = http::Request::get(path).body(Body::empty()).unwrap();
    let stream = world.edge.router.clone().call(request).await.unwrap();
    assert_eq!(run().await, 0);
    drop(stream);
    world.edge.clock.advance_ms(60_000);
    assert_eq!(run().await, 1);
}

#[tokio::test]
async fn a_feed_token_ends_with_its_login_and_is_good_for_nothing_else() {
    let world = World::new().await;
    let pass: FeedPass = world
        .asked("POST", "/api/v1/notifications/connect", &Value::Null)
        .await;
    assert_eq!(pass.socket_url, None);
    let (status, text) = world.events(&pass.feed_token).await;
    assert_eq!(status, 200);
    assert!(
        text.contains("event: hello\n") && text.ends_with("id: 0.0\n\n"),
        "{text}"
    );

    assert_eq!(world.events(&world.token).await.0, 401);
    let request = http::Request::get("/api/v1/notifications");
    let request = request.header("authorization", format!("Bearer {}", pass.feed_token));
    assert_eq!(
        world
            .send(request.body(Default::default()).unwrap())
            .await
            .0,
        401
    );

    let (status, ..) = world.ask("POST", "/api/v1/auth/logout", &Value::Null).await;
    assert_eq!(status, 204);
    let (status, text) = world.events(&pass.feed_token).await;
    assert_eq!(status, 401);
    assert!(text.contains("login_session_ended"), "{text}");
    for path in ["", "/read", "/connect"] {
        let path = format!("/api/v1/notifications{path}");
        let method = if path.ends_with("notifications") {
            "GET"
        } else {
            "POST"
        };
        let (status, ..) = world.ask(method, &path, &json!({ "upTo": 1 })).await;
        assert_eq!(status, 401, "{path}");
    }
}

#[tokio::test]
async fn a_feed_token_ends_by_itself() {
    let world = World::new().await;
    let pass: FeedPass = world
        .asked("POST", "/api/v1/notifications/connect", &Value::Null)
        .await;
    let tolerance = limits::CLOCK_TOLERANCE_MS + 1_000;
    world
        .edge
        .clock
        .advance_ms(limits::FEED_TOKEN_MS + tolerance);
    let (status, text) = world.events(&pass.feed_token).await;
    assert_eq!(status, 401);
    assert!(text.contains("token_expired"), "{text}");
}

#[tokio::test]
async fn who_is_online_is_so_while_a_feed_is_open_and_no_longer() {
    let world = World::new().await;
    let session = world.session("1").await;
    let path = format!("/api/v1/sessions/{}/online", session.id);
    let online = async || -> usize {
        let online: OnlinePeople = world.asked("GET", &path, &Value::Null).await;
        online.user_ids.len()
    };
    assert_eq!(online().await, 0);
    let pass: FeedPass = world
        .asked("POST", "/api/v1/notifications/connect", &Value::Null)
        .await;
    assert_eq!(online().await, 0, "a token opens nothing by itself");
    for _ in 0..2 {
        world.events(&pass.feed_token).await;
        assert_eq!(online().await, 1, "however many tabs");
    }
    world
        .edge
        .clock
        .advance_ms(limits::FEED_WAIT_MS + limits::FEED_RETURN_MS + 1);
    assert_eq!(online().await, 0, "without a word of going");
}

#[tokio::test]
async fn who_opens_their_feed_too_often_is_told_over_the_socket_when_to_come_again() {
    let (world, doorman, room, room_token) = at_the_door().await;
    let pass: FeedPass = world
        .asked("POST", "/api/v1/notifications/connect", &Value::Null)
        .await;
    let path = format!("{}?token={}", pass.socket_url.unwrap(), pass.feed_token);
    let most = Limits::default().of(Policy::Feeds).unwrap().quota;
    for _ in 0..most {
        world.knock(&path, &[]).await;
    }
    assert!(doorman.take().iter().all(Result::is_ok));
    let mut refused = Vec::new();
    // Some have come back meanwhile.
    for _ in 0..10_000 {
        world.knock(&path, &[]).await;
        refused = doorman.take();
        if refused.iter().any(Result::is_err) {
            break;
        }
    }
    let closing = refused[0].clone().unwrap_err();
    assert_eq!(
        (closing.code, closing.retry_after_seconds),
        (CloseCode::TooFast, Some(1))
    );
    assert_eq!(closing.reason(), "too fast; try again; retry-after=1");
    // A room is another limit.
    world
        .knock(&format!("{room}?token={room_token}"), &[])
        .await;
    assert!(matches!(&doorman.take()[..], [Ok(_)]));
}

#[tokio::test]
async fn the_socket_of_a_feed_opens_by_its_own_token_for_pages_that_may_and_for_logins_that_stand()
{
    let (world, doorman, _, room_token) = at_the_door().await;
    let pass: FeedPass = world
        .asked("POST", "/api/v1/notifications/connect", &Value::Null)
        .await;
    let path = pass.socket_url.unwrap();
    let with = |token: &str| format!("{path}?token={token}");
    let own = with(&pass.feed_token);
    let elsewhere = [("host", "code.example"), ("origin", "https://evil.example")];
    assert_eq!(world.knock(&own, &elsewhere).await, 403);
    assert!(doorman.take().is_empty(), "nobody got in");
    for token in [&room_token, &world.token, &String::new()] {
        world.knock(&with(token), &[]).await;
        assert_eq!(doorman.take(), [Err(CloseCode::Unauthorized.into())]);
    }
    world.knock(&own, &[]).await;
    let came = doorman.take();
    assert!(matches!(&came[..], [Ok(_)]), "{came:?}");
    let (status, ..) = world.ask("POST", "/api/v1/auth/logout", &Value::Null).await;
    assert_eq!(status, 204);
    world.knock(&own, &[]).await;
    assert_eq!(doorman.take(), [Err(CloseCode::Unauthorized.into())]);
}
