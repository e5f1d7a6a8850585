//! [`RoomGate`]: hands a WebSocket over to its Room, or refuses it without waking one.

use async_trait::async_trait;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::relay::SUBPROTOCOL;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use worker::send::IntoSendFuture as _;
use worker::{Env, WebSocket, WebSocketPair};

use super::object::Address;
use crate::error::Refusal;
use crate::notifications::visitor::FeedVisitor;
use crate::ports::{Closing, RoomGate};
use crate::room::{self, Principal, Wishes};

/// The private route of a Room that opens a socket.
pub const CONNECT: &str = "/connect";
/// Who connects, as [`to_header`] writes it. The request to the object is made here, from nothing that
/// came from outside, so nobody else can set this.
pub const VISITOR: &str = "x-codecrafter-visitor";

/// Who connects to a Room, and with what.
#[derive(Debug, Serialize, Deserialize)]
pub struct Visitor {
    /// Who it is, by a verified token.
    pub principal: Principal,
    /// What the client has asked for.
    pub wishes: Wishes,
}

/// A visitor as the value of a header, which carries ASCII only.
///
/// # Errors
/// As those of `serde_json`.
pub fn to_header<T: Serialize>(visitor: &T) -> Result<String, serde_json::Error> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(visitor)?))
}

/// Back from the header.
pub fn from_header<T: DeserializeOwned>(value: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(value).ok()?).ok()
}

/// The way into the Rooms and to the people of this deployment.
pub struct ObjectRooms(pub Env);

impl ObjectRooms {
    async fn connect<T: Serialize>(&self, to: Address, visitor: &T) -> Result<WebSocket, String> {
        let visitor = to_header(visitor).map_err(|error| error.to_string())?;
        to.connect(&self.0, CONNECT, (VISITOR, &visitor)).await
    }
}

#[async_trait]
impl RoomGate for ObjectRooms {
    async fn open(
        &self,
        session: SessionId,
        principal: &Principal,
        wishes: Wishes,
        request: Parts,
    ) -> Response {
        let visitor = Visitor {
            principal: principal.clone(),
            wishes,
        };
        let room = Address::of_room(session);
        match self.connect(room, &visitor).into_send().await {
            Ok(socket) => upgraded(socket, &request),
            Err(why) => {
                tracing::error!(session.id = %session, cause = %why, "a room did not take a socket");
                Refusal::new(ErrorCode::Unavailable).into_response()
            }
        }
    }

    async fn open_feed(&self, visitor: &FeedVisitor, request: Parts) -> Response {
        let person = Address::of_person(visitor.caller.user_id);
        match self.connect(person, visitor).into_send().await {
            Ok(socket) => upgraded(socket, &request),
            Err(why) => {
                tracing::error!(user.id = %visitor.caller.user_id, cause = %why, "a feed did not take a socket");
                Refusal::new(ErrorCode::Unavailable).into_response()
            }
        }
    }

    async fn refuse(&self, closing: Closing, request: Parts) -> Response {
        let words = room::permission_denied(closing.code.reason());
        answer(closed(closing, Some(words)), &request)
    }

    async fn refuse_feed(&self, closing: Closing, request: Parts) -> Response {
        answer(closed(closing, None), &request)
    }
}

fn answer(socket: worker::Result<WebSocket>, request: &Parts) -> Response {
    match socket {
        Ok(socket) => upgraded(socket, request),
        Err(error) => Refusal::internal(error).into_response(),
    }
}

/// A socket whose other end says why it closes, and closes.
fn closed(closing: Closing, words: Option<Vec<u8>>) -> worker::Result<WebSocket> {
    let WebSocketPair { client, server } = WebSocketPair::new()?;
    server.accept()?;
    if let Some(words) = words {
        server.send_with_bytes(words)?;
    }
    server.close(Some(closing.code.code()), Some(closing.reason()))?;
    Ok(client)
}

/// The answer to an upgrade. `socket` travels in its extensions up to the platform.
fn upgraded(socket: WebSocket, request: &Parts) -> Response {
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    response.extensions_mut().insert(socket);
    if offers_subprotocol(request) {
        let selected = HeaderValue::from_static(SUBPROTOCOL);
        response
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, selected);
    }
    response
}

/// A browser fails the connection if a subprotocol is selected that it did not offer.
fn offers_subprotocol(request: &Parts) -> bool {
    let offered = request.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    offered
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|protocol| protocol.trim() == SUBPROTOCOL)
}
