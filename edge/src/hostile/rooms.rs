//! Who gets as far as a room's socket.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use codecrafter_shared::api::Joined;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::relay::CloseCode;
use http::Request;
use http::request::Parts;
use serde_json::Value;

use super::World;
use crate::front::Ports;
use crate::native::NoAssets;
use crate::notifications::visitor::FeedVisitor;
use crate::ports::{Closing, RoomGate};
use crate::room::{Principal, Wishes};

/// A gate that writes down who came.
#[derive(Default)]
pub(super) struct Doorman(Mutex<Vec<Result<String, Closing>>>);

impl Doorman {
    /// Who came since the last time, or why they were sent away.
    pub(super) fn take(&self) -> Vec<Result<String, Closing>> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[async_trait::async_trait]
impl RoomGate for Doorman {
    async fn open(&self, _: SessionId, who: &Principal, _: Wishes, _: Parts) -> Response {
        self.0.lock().unwrap().push(Ok(who.username.clone()));
        ().into_response()
    }

    async fn open_feed(&self, visitor: &FeedVisitor, _: Parts) -> Response {
        let who = visitor.caller.user_id.to_string();
        self.0.lock().unwrap().push(Ok(who));
        ().into_response()
    }

    async fn refuse(&self, closing: Closing, _: Parts) -> Response {
        self.0.lock().unwrap().push(Err(closing));
        ().into_response()
    }

    async fn refuse_feed(&self, closing: Closing, _: Parts) -> Response {
        self.0.lock().unwrap().push(Err(closing));
        ().into_response()
    }
}

/// A world with a doorman at its rooms, the path of one of them, and a token for it.
pub(super) async fn at_the_door() -> (World, Arc<Doorman>, String, String) {
    let mut world = World::new().await;
    let session = world.session("print(1)").await;
    let path = format!("/api/v1/sessions/{}/join", session.id);
    let joined: Joined = world.asked("POST", &path, &Value::Null).await;
    let doorman = Arc::new(Doorman::default());
    let directory = &world.edge.directory;
    world.edge.router = crate::router::router(Ports {
        clock: directory.clock.clone(),
        rng: directory.rng.clone(),
        shards: directory.shards.clone(),
        hasher: directory.hasher.clone(),
        assets: Arc::new(NoAssets),
        streamed_rooms: None,
        rooms: Some(doorman.clone()),
        spans: None,
        limit_memory: Arc::default(),
        config: directory.config.clone(),
    });
    let path = format!("/api/v1/rooms/{}", session.id);
    (world, doorman, path, joined.room_token)
}

impl World {
    /// Asks for a socket, and gives the status.
    pub(super) async fn knock(&self, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::get(path).header("upgrade", "websocket");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (status, _, _) = self.send(request.body(Body::empty()).unwrap()).await;
        status
    }
}

#[tokio::test]
async fn another_sites_page_opens_no_socket() {
    let (world, doorman, path, token) = at_the_door().await;
    let path = format!("{path}?token={token}");
    let host = ("host", "code.example");
    for origin in [
        "https://evil.example",
        "https://code.example.evil.example",
        "null",
        "",
    ] {
        let status = world.knock(&path, &[host, ("origin", origin)]).await;
        assert_eq!(status, 403, "{origin}");
    }
    assert!(doorman.0.lock().unwrap().is_empty(), "nobody got in");
    for headers in [&[host, ("origin", "https://code.example")][..], &[host]] {
        assert_eq!(world.knock(&path, headers).await, 200);
    }
    assert_eq!(
        *doorman.0.lock().unwrap(),
        [Ok("eve".into()), Ok("eve".into())]
    );
}

#[tokio::test]
async fn a_room_token_may_stay_out_of_addresses_and_opens_one_room() {
    let (world, doorman, path, token) = at_the_door().await;
    let offered = format!("yjs, token.{token}");
    let protocol = ("sec-websocket-protocol", offered.as_str());
    world.knock(&path, &[protocol]).await;
    let other = world.session("print(2)").await;
    let others = format!("/api/v1/rooms/{}", other.id);
    world.knock(&others, &[protocol]).await;
    world.knock(&path, &[]).await;
    let access = format!("{path}?token={}", world.token);
    world.knock(&access, &[]).await;
    let refused = Err(CloseCode::Unauthorized.into());
    assert_eq!(
        *doorman.0.lock().unwrap(),
        [Ok("eve".into()), refused.clone(), refused.clone(), refused]
    );
}
