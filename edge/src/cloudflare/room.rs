//! The Durable Object that is a session's Room: sockets and alarm in, what the core says out.
//!
//! The sockets hibernate: the platform keeps them, with what
//! [`Output::Remember`](crate::room::Output::Remember) put beside each, while this object is gone
//! from memory, and starts it anew for the next frame. Everything between an input and its last
//! output happens without waiting, so no two inputs meet.

use std::cell::RefCell;

use async_trait::async_trait;
use codecrafter_shared::api::SessionContent;
use codecrafter_shared::relay::CloseCode;
use worker::send::{IntoSendFuture as _, SendWrapper};
// Named by what `durable_object` expands to.
use worker::wasm_bindgen;
use worker::{
    DurableObject, Env, Error, Request, Response, ResponseBuilder, Socket, State, WebSocket,
    WebSocketIncomingMessage, WebSocketPair, durable_object,
};

use super::alarm::Alarm;
use super::glue;
use super::live_room::{self, LiveRoom, Taken};
use super::object;
use super::rooms::{CONNECT, VISITOR, Visitor};
use crate::error::Refusal;
use crate::ports::DbError;
use crate::room::Input;
use crate::room::shard::{self, RoomHost};
use crate::room::write::Written;

/// A session's realtime side.
#[durable_object]
pub struct Room {
    state: State,
    alarm: Alarm,
    /// `None` until something happens, and after storing has failed.
    live: RefCell<Option<LiveRoom>>,
}

impl DurableObject for Room {
    fn new(state: State, _: Env) -> Self {
        Self {
            alarm: Alarm::of(&state),
            state,
            live: RefCell::new(None),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        if request.path() == CONNECT {
            return self.accept(&request).await;
        }
        let (path, body) = object::call(request).await?;
        let host = Host(SendWrapper::new(self));
        Ok(object::answer(shard::handle(&host, &path, &body).await))
    }

    async fn websocket_message(
        &self,
        socket: WebSocket,
        message: WebSocketIncomingMessage,
    ) -> worker::Result<()> {
        // Counting for a benchmark never loses a message.
        let _ = glue::count("socketMessages");
        let Some(connection) = live_room::id_of(&self.state, &socket) else {
            return Ok(());
        };
        let input = match &message {
            WebSocketIncomingMessage::Binary(bytes) => Input::Frame { connection, bytes },
            WebSocketIncomingMessage::String(_) => {
                live_room::close(&socket, CloseCode::Malformed);
                Input::Disconnect { connection }
            }
        };
        // What failed is logged, and its sockets are closed: nobody is left to tell.
        let _ = self.take(input).await;
        Ok(())
    }

    async fn websocket_close(
        &self,
        socket: WebSocket,
        code: usize,
        reason: String,
        _was_clean: bool,
    ) -> worker::Result<()> {
        // Answers the other side's close frame. Codes like 1005 only say that there was none.
        let code = u16::try_from(code)
            .ok()
            .filter(|code| (3000..5000).contains(code));
        let _ = socket.close(Some(code.unwrap_or(1000)), Some(reason));
        self.gone(&socket).await;
        Ok(())
    }

    async fn websocket_error(&self, socket: WebSocket, _: Error) -> worker::Result<()> {
        self.gone(&socket).await;
        Ok(())
    }

    /// Never fails: the platform gives an alarm up after six errors. It is not set again for a
    /// room that failed: that has closed its sockets, and the alarm is for their sake.
    async fn alarm(&self) -> worker::Result<Response> {
        self.alarm.has_rung();
        let _ = self.take(Input::Tick).await;
        Response::empty()
    }

    async fn connect(&self, _: Socket) -> worker::Result<()> {
        Err("a room speaks WebSocket only".into())
    }
}

impl Room {
    async fn accept(&self, request: &Request) -> worker::Result<Response> {
        let visitor = request.headers().get(VISITOR)?;
        let visitor = visitor.as_deref().and_then(Visitor::from_header);
        let visitor = visitor.ok_or("nobody said who connects")?;
        let WebSocketPair { client, server } = WebSocketPair::new()?;
        let connected = self.live(|live| live.connect(&self.state, server, visitor));
        let connected = self.finish(connected).await;
        connected.map_err(|error| error.to_string())?;
        Ok(ResponseBuilder::new()
            .with_status(101)
            .with_websocket(client)
            .empty())
    }

    async fn gone(&self, socket: &WebSocket) {
        if let Some(connection) = live_room::id_of(&self.state, socket) {
            // As for a frame.
            let _ = self.take(Input::Disconnect { connection }).await;
        }
    }

    async fn take(&self, input: Input<'_>) -> Result<Option<Written>, DbError> {
        let taken = self.live(|live| live.take(input));
        self.finish(taken).await
    }

    /// Sets the alarm if the room wished for it. A room that could not store or load is dropped,
    /// as it may be ahead of what is stored, and its sockets connect anew.
    async fn finish(&self, taken: Result<Taken, DbError>) -> Result<Option<Written>, DbError> {
        match taken {
            Ok(taken) => {
                if taken.wake_at.is_some() {
                    self.alarm.ring_at(taken.wake_at).await;
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

    /// Runs `work` on the room, which is woken if it is not in memory.
    fn live<T>(
        &self,
        work: impl FnOnce(&mut LiveRoom) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let mut live = self.live.try_borrow_mut().map_err(|_| DbError::Busy)?;
        let live = match &mut *live {
            Some(live) => live,
            asleep => asleep.insert(LiveRoom::wake(&self.state)?),
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
struct Host<'a>(SendWrapper<&'a Room>);

#[async_trait]
impl RoomHost for Host<'_> {
    async fn feed(&self, input: Input<'_>) -> Result<Option<Written>, Refusal> {
        Ok(self.0.take(input).into_send().await?)
    }

    async fn content(&self) -> Result<Option<SessionContent>, Refusal> {
        Ok(self.0.live(LiveRoom::content)?)
    }
}
