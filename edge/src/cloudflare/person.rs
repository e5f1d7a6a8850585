//! The Durable Object that is a person's shard: what they are told, over sockets that hibernate.
//!
//! Nothing is kept in memory for a socket: whose it is stands beside it, and what is told goes to all.
//! The alarm renews the person's lease of being online while a socket is open, and closes those whose
//! token has ended.

use std::rc::Rc;
use std::sync::Arc;

use codecrafter_shared::api::FeedFrame;
use codecrafter_shared::id::UserId;
use codecrafter_shared::limits;
use codecrafter_shared::relay::{CloseCode, PING, PONG};
use codecrafter_shared::time::Timestamp;
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::wasm_bindgen::{self, JsValue};
use worker::wasm_bindgen_futures::spawn_local;
use worker::{
    DurableObject, Env, Request, Response, ResponseBuilder, State, WebSocket, WebSocketPair,
    WebSocketRequestResponsePair, durable_object, web_sys,
};

use super::alarm::Alarm;
use super::clock::WorkerClock;
use super::db::ObjectDb;
use super::live_room::close;
use super::rooms::{CONNECT, VISITOR, from_header};
use super::shards::ObjectShards;
use super::signals::ObjectSignals;
use super::{js, object, settings};
use crate::error::Refusal;
use crate::notifications::events;
use crate::notifications::questions::SetOnline;
use crate::notifications::shard::{People, Told};
use crate::notifications::visitor::FeedVisitor;
use crate::ports::{Clock as _, Shard};
use crate::shard::call;

/// When the alarm rings again if this time it does not come to its end.
const AGAIN_MS: i64 = 60_000;
/// The lease is renewed when half of it is over.
const RENEW_MS: i64 = limits::ONLINE_LEASE_MS / 2;

/// What must reach all clients of one person.
#[durable_object(alarm)]
pub struct Person(Rc<Object>);

struct Object {
    state: State,
    env: Env,
    alarm: Alarm,
    /// What answers, or why nothing can.
    people: Result<People, String>,
}

impl DurableObject for Person {
    fn new(state: State, env: Env) -> Self {
        let set = WebSocketRequestResponsePair::new(PING, PONG)
            .and_then(|pair| state.as_raw().set_websocket_auto_response(&pair));
        if let Err(error) = set {
            tracing::error!(cause = %js::describe(&error), "nobody answers pings");
        }
        let people = ObjectDb::of(&state).map_err(|error| error.to_string());
        let people = people.map(|db| {
            let signals = ObjectSignals::default();
            People::new(Arc::new(db), Arc::new(WorkerClock), Arc::new(signals))
        });
        Self(Rc::new(Object {
            alarm: Alarm::of(&state),
            state,
            env,
            people,
        }))
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        if request.path() == CONNECT {
            return self.0.accept(&request).await;
        }
        let (path, body) = object::call(request).await?;
        let people = self.0.people.as_ref().map_err(String::as_str)?;
        let handled = people.handle(&path, &body).await;
        if let Some(told) = handled.told {
            self.0.tell(&told);
        }
        Ok(object::answer(handled.response))
    }

    /// Never fails: the platform gives an alarm up after six errors.
    async fn alarm(&self) -> worker::Result<Response> {
        let (object, now) = (&self.0, WorkerClock.now());
        object.alarm.has_rung();
        object.alarm.ring_at(Some(now.plus_millis(AGAIN_MS))).await;
        let before: Vec<_> = object.sockets().collect();
        for (socket, visitor) in &before {
            if visitor.expires_at <= now {
                close(socket, CloseCode::Unauthorized);
            }
        }
        let next = object.next_alarm(now);
        if let Some((_, visitor)) = before.first() {
            let renewed = next.map(|_| now.plus_millis(limits::ONLINE_LEASE_MS));
            let user = visitor.caller.user_id;
            object.set_online(user, renewed.unwrap_or(now)).await;
        }
        object.alarm.ring_at(next).await;
        Response::empty()
    }
}

/// What the platform calls for a socket.
#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
impl Person {
    /// Nothing is said to a feed but what the platform answers by itself.
    #[wasm_bindgen(js_name = webSocketMessage)]
    pub fn web_socket_message(&self, socket: &web_sys::WebSocket, _: &JsValue) {
        let socket = WebSocket::from(socket.clone());
        let visitor = beside(&socket);
        close(&socket, CloseCode::Malformed);
        self.0.gone(visitor);
    }

    /// The other side closes, or has gone.
    #[wasm_bindgen(js_name = webSocketClose)]
    pub fn web_socket_close(&self, socket: &web_sys::WebSocket, code: u16, reason: &str) {
        let socket = WebSocket::from(socket.clone());
        let visitor = beside(&socket);
        let code = if (3000..5000).contains(&code) {
            code
        } else {
            1000
        };
        let _ = socket.serialize_attachment(());
        let _ = socket.close(Some(code), Some(reason));
        self.0.gone(visitor);
    }

    /// The socket has broken.
    #[wasm_bindgen(js_name = webSocketError)]
    pub fn web_socket_error(&self, socket: &web_sys::WebSocket) {
        let socket = WebSocket::from(socket.clone());
        let visitor = beside(&socket);
        let _ = socket.serialize_attachment(());
        self.0.gone(visitor);
    }
}

impl Object {
    async fn accept(&self, request: &Request) -> worker::Result<Response> {
        let visitor = request.headers().get(VISITOR)?;
        let visitor = visitor.as_deref().and_then(from_header::<FeedVisitor>);
        let visitor = visitor.ok_or("nobody said who connects")?;
        let people = self.people.as_ref().map_err(String::as_str)?;
        let WebSocketPair { client, server } = WebSocketPair::new()?;
        let crowded = self.sockets().count() >= limits::FEED_SOCKETS_PER_USER_MAX;
        let news = people.news(visitor.caller, visitor.after).await;
        let refused = match &news {
            Err(_) => Some(CloseCode::Unauthorized),
            Ok(_) if crowded => Some(CloseCode::Overloaded),
            Ok(_) => None,
        };
        if let Some(code) = refused {
            // Without hibernation, as a room refuses.
            server.accept()?;
            close(&server, code);
        } else if let Ok(news) = news {
            // Nothing is waited for from here: what is told meanwhile comes behind.
            let state = self.state.as_raw();
            let tags = vec![visitor.caller.login_session_id.to_string().into()];
            let accepted = state.accept_websocket_with_tags(server.as_ref(), tags);
            accepted.map_err(|error| js::describe(&error))?;
            server.serialize_attachment(serde_json::to_string(&visitor)?)?;
            let hello = FeedFrame::Hello {
                seq: news.head.seq,
                read_seq: news.head.read_seq,
                unread: news.unread,
                gap: false,
            };
            let (frames, _) = events::frames(news, visitor.after);
            let greets = matches!(frames.first(), Some(FeedFrame::Hello { .. }));
            for frame in (!greets).then_some(&hello).into_iter().chain(&frames) {
                send(&server, frame);
            }
            if let Some(at) = self.next_alarm(WorkerClock.now()) {
                self.alarm.ring_by(at).await;
            }
        }
        Ok(ResponseBuilder::new()
            .with_status(101)
            .with_websocket(client)
            .empty())
    }

    /// The open sockets. One that is closing has nobody beside it.
    fn sockets(&self) -> impl Iterator<Item = (WebSocket, FeedVisitor)> + use<> {
        let sockets = self.state.as_raw().get_websockets().unwrap_or_default();
        let sockets = sockets.into_iter().map(WebSocket::from);
        sockets.filter_map(|socket| beside(&socket).map(|visitor| (socket, visitor)))
    }

    fn tell(self: &Rc<Self>, told: &Told) {
        for (socket, visitor) in self.sockets() {
            match told {
                Told::Frame(frame) => send(&socket, frame),
                Told::LoginEnded(login) if visitor.caller.login_session_id == *login => {
                    close(&socket, CloseCode::Unauthorized);
                    self.gone(Some(visitor));
                }
                Told::LoginEnded(_) => {}
            }
        }
    }

    /// When the alarm is to ring while sockets are open.
    fn next_alarm(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self
            .sockets()
            .map(|(_, visitor)| visitor.expires_at)
            .min()?;
        Some(ends.min(now.plus_millis(RENEW_MS)))
    }

    /// A socket has closed. With the last one, the person is not online any more.
    fn gone(self: &Rc<Self>, visitor: Option<FeedVisitor>) {
        let Some(visitor) = visitor else { return };
        if self.sockets().next().is_none() {
            let object = self.clone();
            let user = visitor.caller.user_id;
            spawn_local(async move { object.set_online(user, WorkerClock.now()).await });
        }
    }

    /// Tells the Directory. If it does not hear of it, the lease runs out.
    async fn set_online(&self, user_id: UserId, until: Timestamp) {
        let told = async {
            let config = settings::config(&self.env).map_err(Refusal::internal)?;
            let directory = Shard::Directory {
                tenant: config.tenant.to_string(),
            };
            let shards = ObjectShards(self.env.clone());
            call(&shards, &directory, &SetOnline { user_id, until }).await
        };
        if let Err(refusal) = told.await {
            tracing::warn!(
                code = refusal.code.as_str(),
                "nobody was told who is online"
            );
        }
    }
}

fn beside(socket: &WebSocket) -> Option<FeedVisitor> {
    let text: String = socket.deserialize_attachment().ok()??;
    serde_json::from_str(&text).ok()
}

/// Fails for a socket that is closing, of which the object hears by itself.
fn send(socket: &WebSocket, frame: &FeedFrame) {
    match serde_json::to_string(frame) {
        Ok(text) => {
            let _ = socket.send_with_str(&text);
        }
        Err(error) => tracing::error!(cause = %error, "a frame could not be written"),
    }
}
