//! The Durable Object that is a session's Room: sockets, timers and alarm in, what the core says
//! out.
//!
//! The sockets hibernate: the platform keeps them, with what
//! [`Output::Remember`](crate::room::Output::Remember) put beside each, while this object is gone
//! from memory, and starts it anew for the next frame. Everything between an input and its last
//! output happens without waiting, so no two inputs meet. For the same reason what the platform
//! calls for a socket is exported here as plain functions: a promise for each frame would cost more
//! than most frames do.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use async_trait::async_trait;
use codecrafter_shared::api::SessionContent;
use codecrafter_shared::id::UserId;
use codecrafter_shared::limits;
use codecrafter_shared::relay::{CloseCode, PING, PONG};
use worker::js_sys::Uint8Array;
use worker::send::SendWrapper;
use worker::wasm_bindgen::closure::Closure;
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::wasm_bindgen::{self, JsValue};
use worker::wasm_bindgen_futures::spawn_local;
use worker::{
    DurableObject, Env, Request, Response, ResponseBuilder, State, WebSocketPair,
    WebSocketRequestResponsePair, durable_object, web_sys,
};

use super::alarm::Alarm;
use super::clock::WorkerClock;
use super::db::ObjectDb;
use super::live_room::{self, LiveRoom, Taken};
use super::object;
use super::rooms::{CONNECT, VISITOR, Visitor, from_header};
use super::{glue, js, settings};
use crate::error::Refusal;
use crate::ports::{Clock as _, DbError};
use crate::room::host::{RoomHost, Storage};
use crate::room::shard;
use crate::room::write::Written;
use crate::room::{Input, versions};

/// Bytes of the largest frame that the room takes.
const FRAME_BYTES_MAX: u32 = limits::SYNC_STEP2_FRAME_BYTES_MAX as u32;

/// When the alarm rings again if this time it does not come to its end.
const AGAIN_MS: i64 = 60_000;

/// A session's realtime side.
#[durable_object(alarm)]
pub struct Room(Rc<Object>);

struct Object {
    state: State,
    alarm: Alarm,
    frames_per_second: u32,
    /// `None` until something happens, and after storing has failed.
    live: RefCell<Option<LiveRoom>>,
}

impl DurableObject for Room {
    fn new(state: State, env: Env) -> Self {
        answer_pings(&state);
        Self(Rc::new(Object {
            alarm: Alarm::of(&state),
            frames_per_second: settings::frames_per_second(&env),
            state,
            live: RefCell::new(None),
        }))
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        if request.path() == CONNECT {
            return self.0.accept(&request);
        }
        let (path, body) = object::call(request).await?;
        let host = Host(SendWrapper::new(self.0.clone()));
        Ok(object::answer(shard::handle(&host, &path, &body).await))
    }

    /// Never fails: the platform gives an alarm up after six errors. It is set again before
    /// anything is done, so that not even what ends the whole object ends its alarms.
    async fn alarm(&self) -> worker::Result<Response> {
        let object = &self.0;
        object.alarm.has_rung();
        let again = WorkerClock.now().plus_millis(AGAIN_MS);
        object.alarm.ring_at(Some(again)).await;
        let taken = object.live(|live| live.take(Input::Tick));
        let done = taken.as_ref().is_ok_and(|taken| taken.wake_at.is_none());
        let ticked = object.finish(taken);
        if done && ticked.is_ok() {
            object.alarm.ring_at(None).await;
        }
        Response::empty()
    }
}

/// Has the platform answer [`PING`], so that a socket can be looked after while the room sleeps.
fn answer_pings(state: &State) {
    let set = WebSocketRequestResponsePair::new(PING, PONG)
        .and_then(|pair| state.as_raw().set_websocket_auto_response(&pair));
    if let Err(error) = set {
        tracing::error!(cause = %js::describe(&error), "nobody answers pings");
    }
}

/// What the platform calls for a socket.
#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
impl Room {
    /// A frame has come: an `ArrayBuffer`, or text, which is not of the protocol.
    #[wasm_bindgen(js_name = webSocketMessage)]
    pub fn web_socket_message(&self, socket: &web_sys::WebSocket, message: &JsValue) {
        glue::count_message();
        let Some(connection) = self.0.id_of(socket) else {
            return;
        };
        let frame = (!message.is_string()).then(|| Uint8Array::new(message));
        let refused = match &frame {
            None => Some(CloseCode::Malformed),
            // Not even copied: the platform takes messages of 32 MiB.
            Some(frame) if frame.length() > FRAME_BYTES_MAX => Some(CloseCode::TooLarge),
            Some(_) => None,
        };
        if let Some(code) = refused {
            live_room::close(&socket.clone().into(), code);
            self.0.take_or_close(Input::Disconnect { connection });
        } else if let Some(frame) = frame {
            let bytes = &frame.to_vec();
            self.0.take_or_close(Input::Frame { connection, bytes });
        }
    }

    /// The other side closes, or has gone.
    #[wasm_bindgen(js_name = webSocketClose)]
    pub fn web_socket_close(&self, socket: &web_sys::WebSocket, code: u16, reason: &str) {
        // Answers the other side's close frame. Codes like 1005 only say that there was none.
        let code = if (3000..5000).contains(&code) {
            code
        } else {
            1000
        };
        let _ = socket.close_with_code_and_reason(code, reason);
        self.0.gone(socket);
    }

    /// The socket has broken.
    #[wasm_bindgen(js_name = webSocketError)]
    pub fn web_socket_error(&self, socket: &web_sys::WebSocket) {
        self.0.gone(socket);
    }
}

impl Object {
    fn accept(self: &Rc<Self>, request: &Request) -> worker::Result<Response> {
        let visitor = request.headers().get(VISITOR)?;
        let visitor = visitor.as_deref().and_then(from_header::<Visitor>);
        let visitor = visitor.ok_or("nobody said who connects")?;
        let WebSocketPair { client, server } = WebSocketPair::new()?;
        let connected = self.live(|live| live.connect(&self.state, &server, visitor));
        self.finish(connected).map_err(|error| error.to_string())?;
        Ok(ResponseBuilder::new()
            .with_status(101)
            .with_websocket(client)
            .empty())
    }

    fn gone(self: &Rc<Self>, socket: &web_sys::WebSocket) {
        if let Some(connection) = self.id_of(socket) {
            self.take_or_close(Input::Disconnect { connection });
        }
    }

    fn id_of(&self, socket: &web_sys::WebSocket) -> Option<crate::room::ConnectionId> {
        let found = self.live(|live| Ok(live.id_of(socket)));
        found.ok().flatten()
    }

    /// As [`Object::take`]; what failed is logged, and the sockets are closed: nobody is left to
    /// tell.
    fn take_or_close(self: &Rc<Self>, input: Input<'_>) {
        let _ = self.take(input);
    }

    fn take(self: &Rc<Self>, input: Input<'_>) -> Result<Option<Written>, DbError> {
        let taken = self.live(|live| live.take(input));
        self.finish(taken)
    }

    /// Sets alarm and timer if the room wished for them. A room that could not store or load is
    /// dropped, as it may be ahead of what is stored, and its sockets connect anew.
    fn finish(self: &Rc<Self>, taken: Result<Taken, DbError>) -> Result<Option<Written>, DbError> {
        match taken {
            Ok(taken) => {
                if let Some(at) = taken.wake_at {
                    let object = self.clone();
                    // The platform has the new time when this begins to wait.
                    spawn_local(async move { object.alarm.ring_at(Some(at)).await });
                }
                if let Some(millis) = taken.flush_in {
                    self.flush_in(millis);
                }
                if taken.take_version {
                    let host = Host(SendWrapper::new(self.clone()));
                    spawn_local(async move { versions::shard::take_automatic(&host).await });
                }
                Ok(taken.written)
            }
            Err(error) => {
                tracing::error!(cause = %error, "a room was dropped");
                self.drop_live();
                Err(error)
            }
        }
    }

    /// The object stays in memory until then. If it is gone nevertheless, so are its sockets, and
    /// the clients offer again what they had edited.
    fn flush_in(self: &Rc<Self>, millis: u32) {
        let object = self.clone();
        let flush = Closure::once_into_js(move || object.take_or_close(Input::Flush));
        if let Err(error) = glue::later(millis, flush) {
            tracing::error!(cause = %js::describe(&error), "no timer was set");
            self.take_or_close(Input::Flush);
        }
    }

    /// Runs `work` on the room, which is woken if it is not in memory.
    fn live<T>(
        &self,
        work: impl FnOnce(&mut LiveRoom) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let mut live = self.live.try_borrow_mut().map_err(|_| DbError::Busy)?;
        let live = match &mut *live {
            Some(live) => live,
            asleep => asleep.insert(LiveRoom::wake(&self.state, self.frames_per_second)?),
        };
        work(live)
    }

    fn drop_live(&self) {
        if let Ok(mut live) = self.live.try_borrow_mut() {
            *live = None;
        }
        for socket in self.state.as_raw().get_websockets().unwrap_or_default() {
            live_room::close(&socket.into(), CloseCode::Overloaded);
        }
    }
}

/// The Room as the place where the core's room lives.
struct Host(SendWrapper<Rc<Object>>);

#[async_trait]
impl RoomHost for Host {
    async fn take(&self, input: Input<'_>) -> Result<Option<Written>, Refusal> {
        Ok(self.0.take(input)?)
    }

    async fn content(&self) -> Result<Option<SessionContent>, Refusal> {
        self.0.take(Input::Flush)?;
        Ok(self.0.live(LiveRoom::content)?)
    }

    async fn here(&self) -> Result<BTreeSet<UserId>, Refusal> {
        Ok(self.0.live(|live| Ok(live.here()))?)
    }

    async fn storage(&self) -> Result<Storage, Refusal> {
        Ok(Storage {
            db: Arc::new(ObjectDb::of(&self.0.state)?),
            session: self.0.live(|live| Ok(live.session()))?,
            now: WorkerClock.now(),
        })
    }
}
