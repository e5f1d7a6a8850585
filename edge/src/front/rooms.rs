//! `GET /rooms/{session}`: the way of a WebSocket into its room.
//!
//! The token is checked here, so that a stranger does not even wake the room. A refusal of a
//! token is told over the socket: a browser cannot see the status of a failed upgrade, and the
//! stock provider would try for ever (close codes: [`codecrafter_shared::relay::CloseCode`]).

use axum::extract::State;
use axum::response::Response;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::relay::{CloseCode, SUBPROTOCOL_TOKEN_PREFIX};
use http::header::{AUTHORIZATION, ORIGIN, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::request::Parts;

use super::Edge;
use super::extract::Path;
use super::finish::is_allowed_origin;
use super::limit;
use crate::error::Refusal;
use crate::limits::policy::Policy;
use crate::ports::Closing;
use crate::room::Wishes;

/// Where rooms are, under `/api/v1`; the session's id follows.
pub const ROOMS_PATH: &str = "/rooms";

/// Opens a room's socket.
pub async fn open(
    State(edge): State<Edge>,
    Path(id): Path<String>,
    request: Parts,
) -> Result<Response, Refusal> {
    let Some(rooms) = &edge.rooms else {
        let detail = "this deployment's platform has no WebSockets";
        return Err(Refusal::with_detail(ErrorCode::RouteNotFound, detail));
    };
    if !is_upgrade(&request) {
        let detail = "this is a WebSocket: connect a y-websocket provider to it";
        return Err(Refusal::with_detail(ErrorCode::RouteNotFound, detail));
    }
    is_from_allowed_origin(&edge, &request)?;
    let Ok(session) = id.parse::<SessionId>() else {
        return Ok(rooms.refuse(CloseCode::NotFound.into(), request).await);
    };
    let token = token(&request);
    let principal = token.map(|token| {
        edge.config
            .keys
            .verify_room(session, &token, edge.clock.now())
    });
    match principal {
        Some(Ok(principal)) => {
            let counted = limit::user(&edge, principal.user_id, Policy::Rooms).await;
            if let Err(refused) = counted {
                let too_fast = Closing {
                    code: CloseCode::TooFast,
                    retry_after_seconds: limit::retry_after(&refused),
                };
                return Ok(rooms.refuse(too_fast, request).await);
            }
            let caps = query(&request, "caps").unwrap_or_default();
            let wishes = Wishes::parse(&caps);
            Ok(rooms.open(session, &principal, wishes, request).await)
        }
        Some(Err(_)) | None => Ok(rooms.refuse(CloseCode::Unauthorized.into(), request).await),
    }
}

/// Whether the request asks for a WebSocket.
pub(crate) fn is_upgrade(request: &Parts) -> bool {
    let upgrade = request.headers.get(UPGRADE);
    let upgrade = upgrade.and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

/// Other sites' pages must not open sockets in the name of whoever looks at them.
///
/// # Errors
/// [`ErrorCode::Forbidden`].
pub(crate) fn is_from_allowed_origin(edge: &Edge, request: &Parts) -> Result<(), Refusal> {
    if request.headers.contains_key(ORIGIN) && !is_allowed_origin(edge, request) {
        let detail = "this origin is not allowed";
        return Err(Refusal::with_detail(ErrorCode::Forbidden, detail));
    }
    Ok(())
}

/// The token: a header or a subprotocol keeps it out of logs, a parameter is what examples use.
pub(crate) fn token(request: &Parts) -> Option<String> {
    let offered = request.headers.get_all(SEC_WEBSOCKET_PROTOCOL);
    let offered = offered.iter().filter_map(|value| value.to_str().ok());
    let mut offered = offered.flat_map(|list| list.split(',')).map(str::trim);
    offered
        .find_map(|protocol| protocol.strip_prefix(SUBPROTOCOL_TOKEN_PREFIX))
        .or_else(|| bearer(request))
        .map(str::to_owned)
        .or_else(|| query(request, "token"))
}

fn bearer(request: &Parts) -> Option<&str> {
    let value = request.headers.get(AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ")
}

pub(crate) fn query(request: &Parts, name: &str) -> Option<String> {
    let pairs = form_pairs(request.uri.query()?);
    pairs
        .into_iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

fn form_pairs(query: &str) -> Vec<(String, String)> {
    serde_urlencoded::from_str(query).unwrap_or_default()
}
