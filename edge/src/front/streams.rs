//! `GET /rooms/{session}/events` and `POST /rooms/{session}/frames`: the way into a room where there
//! are no WebSockets (R6).
//!
//! As with sockets, a token is checked here, and why somebody is not let in is told in the stream,
//! by the close codes that sockets have: a client has one place for them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::limits;
use codecrafter_shared::relay::CloseCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http_body_util::{BodyExt as _, Limited};

use super::Edge;
use super::extract::Path;
use super::limit;
use super::rooms::{query, token};
use crate::error::Refusal;
use crate::limits::policy::Policy;
use crate::ports::Closing;
use crate::room::stream::{NotPosted, Resume, StreamedRooms, joined, refused, split};
use crate::room::{ConnectionId, Principal, Wishes};

const EVENT_STREAM: &str = "text/event-stream";
const FRAMES: &str = "application/octet-stream";
/// Where a browser's `EventSource` says how far it is.
const LAST_EVENT_ID: &str = "last-event-id";
/// Bytes of a body: the largest frame, and what else waits beside it.
const BODY_BYTES_MAX: usize = limits::SYNC_STEP2_FRAME_BYTES_MAX + limits::BODY_BYTES_MAX;

/// Opens a room's event stream, or goes on with one.
pub async fn events(
    State(edge): State<Edge>,
    Path(id): Path<String>,
    request: Parts,
) -> Result<Response, Refusal> {
    let rooms = rooms(&edge)?;
    let (session, principal) = match visitor(&edge, &id, &request) {
        Ok(visitor) => visitor,
        Err(code) => return Ok(stream(Body::from(refused(code.into())))),
    };
    let counted = limit::user(&edge, principal.user_id, Policy::Rooms).await;
    if let Err(response) = counted {
        let too_fast = Closing {
            code: CloseCode::TooFast,
            retry_after_seconds: limit::retry_after(&response),
        };
        return Ok(stream(Body::from(refused(too_fast))));
    }
    let last = request.headers.get(LAST_EVENT_ID);
    let last = last.and_then(|value| value.to_str().ok().map(str::to_owned));
    let last = last.or_else(|| query(&request, "after"));
    let resume = last.and_then(|id| Resume::parse(&id));
    let wishes = Wishes::parse(&query(&request, "caps").unwrap_or_default());
    let events = rooms.open(session, principal, wishes, resume).await?;
    Ok(stream(Body::from_stream(events)))
}

/// Takes frames of a connection, and gives what is for it alone.
pub async fn frames(
    State(edge): State<Edge>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let rooms = rooms(&edge)?;
    let (parts, body) = request.into_parts();
    let (session, principal) = visitor(&edge, &id, &parts).map_err(|code| match code {
        CloseCode::NotFound => Refusal::new(ErrorCode::SessionNotFound),
        _ => Refusal::new(ErrorCode::TokenInvalid),
    })?;
    let connection = query(&parts, "connection").and_then(|id| id.parse().ok());
    let connection = ConnectionId(connection.unwrap_or_default());
    let leaves = query(&parts, "leave").is_some();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|_| Refusal::new(ErrorCode::BodyTooLarge))?;
    let body = body.to_bytes();
    let frames = split(&body)
        .map_err(|error| Refusal::with_detail(ErrorCode::MalformedFrames, error.to_string()))?;
    let posted = rooms.post(session, &principal, connection, &frames, leaves);
    match posted.await {
        Ok(posted) => Ok(([(CONTENT_TYPE, FRAMES)], joined(&posted.frames)).into_response()),
        Err(NotPosted::Gone) => Err(Refusal::new(ErrorCode::ConnectionGone)),
        Err(NotPosted::Failed(refusal)) => Err(refusal),
    }
}

fn rooms(edge: &Edge) -> Result<&Arc<StreamedRooms>, Refusal> {
    let detail = "rooms of this deployment are WebSockets: `GET /rooms/{id}`";
    let missing = || Refusal::with_detail(ErrorCode::RouteNotFound, detail);
    edge.streamed_rooms.as_ref().ok_or_else(missing)
}

/// Who comes to which room.
fn visitor(edge: &Edge, id: &str, request: &Parts) -> Result<(SessionId, Principal), CloseCode> {
    let session = id.parse().map_err(|_| CloseCode::NotFound)?;
    let token = token(request).ok_or(CloseCode::Unauthorized)?;
    let now = edge.clock.now();
    let principal = edge.config.keys.verify_room(session, &token, now);
    let principal = principal.map_err(|_| CloseCode::Unauthorized)?;
    Ok((session, principal))
}

fn stream(body: Body) -> Response {
    let headers = [(CONTENT_TYPE, EVENT_STREAM), (CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}
