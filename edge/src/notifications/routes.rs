//! `/notifications`, and who of a session is online. A feed is opened as a room is: the caller gets a
//! token for it, which goes beside the upgrade of a socket or the request of an event stream.

use axum::Extension;
use axum::body::Body as Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use codecrafter_shared::api::{
    FeedFrame, FeedPass, MarkRead, Notifications, OnlinePeople, ReadState,
};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::UserId;
use codecrafter_shared::limits;
use codecrafter_shared::relay::CloseCode;
use codecrafter_shared::time::Timestamp;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use serde::Deserialize;

use super::calls::{Heard, ListNotes, Listen, ReadNotes};
use super::questions::{KeepOnline, OnlineIn, OpenFeed};
use super::visitor::{FeedVisitor, Mark};
use crate::accounts::calls::Me;
use crate::error::Refusal;
use crate::front::Edge;
use crate::front::extract::{Body, Ok200, Path};
use crate::front::limit;
use crate::front::rooms::{is_from_allowed_origin, is_upgrade, query, token};
use crate::front::validate::Fields;
use crate::limits::policy::Policy;
use crate::ports::{Closing, Shard};
use crate::room::calls::WhoIsHere;
use crate::sessions::routes::{number, session_id};
use crate::shard::call;
use crate::token::Caller;

/// Where feeds are.
const SOCKET_URL: &str = "/api/v1/notifications/socket";
const EVENTS_URL: &str = "/api/v1/notifications/events";

/// After so long, a client opens the next event stream.
const RETRY_MS: u32 = 100;
/// And a client of somebody who has too many of them.
const RETRY_CROWDED_MS: u32 = 10_000;
/// Where a browser's `EventSource` says how far it is.
const LAST_EVENT_ID: &str = "last-event-id";

fn shard(user: UserId) -> Shard {
    Shard::Person { user }
}

/// The query of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    before: Option<String>,
    limit: Option<String>,
}

/// `GET /notifications`.
pub async fn list(
    State(edge): State<Edge>,
    caller: Caller,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Ok200<Notifications> {
    let Query(query) = query
        .map_err(|error| Refusal::with_detail(ErrorCode::ValidationFailed, error.body_text()))?;
    let mut fields = Fields::default();
    let (default, max) = (limits::NOTIFICATIONS_PAGE_DEFAULT, limits::PAGE_ITEMS_MAX);
    let limit = number(&mut fields, "limit", query.limit.as_deref(), default, max);
    let before = query.before.as_deref().map(|before| {
        let before = before.parse().unwrap_or(0);
        if before == 0 {
            fields.wrong("before", "is the seq of a notification");
        }
        before
    });
    fields.check()?;
    // The login still stands: what a person was told is in a shard that does not know.
    edge.directory(&Me { caller }).await?;
    let user_id = caller.user_id;
    let list = ListNotes {
        user_id,
        before,
        limit,
    };
    let listed = call(&*edge.shards, &shard(user_id), &list).await?;
    Ok(axum::Json(listed))
}

/// `POST /notifications/read`.
pub async fn read(
    State(edge): State<Edge>,
    caller: Caller,
    Body(request): Body<MarkRead>,
) -> Ok200<ReadState> {
    edge.directory(&Me { caller }).await?;
    let user_id = caller.user_id;
    let up_to = request.up_to;
    let read = ReadNotes { user_id, up_to };
    let state = call(&*edge.shards, &shard(user_id), &read).await?;
    Ok(axum::Json(state))
}

/// `POST /notifications/connect`.
pub async fn connect(State(edge): State<Edge>, caller: Caller) -> Ok200<FeedPass> {
    let expires_at = edge.directory(&OpenFeed { caller }).await?;
    let now = edge.clock.now();
    let feed_token = edge.config.keys.feed_token(caller, now, expires_at)?;
    Ok(axum::Json(FeedPass {
        feed_token,
        feed_token_expires_at: expires_at,
        socket_url: edge.rooms.is_some().then(|| SOCKET_URL.to_owned()),
        events_url: EVENTS_URL.to_owned(),
    }))
}

/// `GET /notifications/socket`. As with rooms, a token is refused over the socket: a browser shows no
/// page the status of an upgrade.
pub async fn socket(State(edge): State<Edge>, request: Parts) -> Result<Response, Refusal> {
    let detail = "this deployment's platform has no WebSockets: `GET /notifications/events`";
    let Some(gate) = &edge.rooms else {
        return Err(Refusal::with_detail(ErrorCode::RouteNotFound, detail));
    };
    if !is_upgrade(&request) {
        let detail = "this is a WebSocket; without one, `GET /notifications/events`";
        return Err(Refusal::with_detail(ErrorCode::RouteNotFound, detail));
    }
    is_from_allowed_origin(&edge, &request)?;
    let unauthorized = CloseCode::Unauthorized.into();
    let Ok((caller, expires_at)) = visitor(&edge, &request) else {
        return Ok(gate.refuse_feed(unauthorized, request).await);
    };
    if let Err(refused) = limit::user(&edge, caller.user_id, Policy::Feeds).await {
        let too_fast = Closing {
            code: CloseCode::TooFast,
            retry_after_seconds: limit::retry_after(&refused),
        };
        return Ok(gate.refuse_feed(too_fast, request).await);
    }
    match online(&edge, caller, limits::ONLINE_LEASE_MS).await {
        Ok(()) => {
            let after = after(&request);
            let visitor = FeedVisitor {
                caller,
                expires_at,
                after,
            };
            Ok(gate.open_feed(&visitor, request).await)
        }
        Err(refusal) if refusal.code == ErrorCode::LoginSessionEnded => {
            Ok(gate.refuse_feed(unauthorized, request).await)
        }
        Err(refusal) => Err(refusal),
    }
}

/// `GET /notifications/events`.
pub async fn events(State(edge): State<Edge>, request: Parts) -> Result<Response, Refusal> {
    let (caller, expires_at) = visitor(&edge, &request)?;
    let standings = match limit::user(&edge, caller.user_id, Policy::Feeds).await {
        Ok(standings) => standings,
        Err(refused) => return Ok(refused),
    };
    let left_ms = expires_at.since(edge.clock.now()).max(0);
    let wait_ms = limits::FEED_WAIT_MS.min(left_ms);
    let seen_ms = wait_ms.saturating_add(limits::FEED_RETURN_MS);
    online(&edge, caller, seen_ms).await?;
    let listen = Listen {
        caller,
        after: after(&request),
        wait_ms: u32::try_from(wait_ms).unwrap_or(0),
    };
    let heard = call(&*edge.shards, &shard(caller.user_id), &listen).await?;
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
    ];
    let body = Bytes::from(written(&heard)?);
    Ok((headers, Extension(standings), body).into_response())
}

/// `GET /sessions/{id}/online`.
pub async fn online_in(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
) -> Ok200<OnlinePeople> {
    let session_id = session_id(&id)?;
    let seen = edge.directory(&OnlineIn { caller, session_id }).await?;
    let room = Shard::Room {
        session: session_id,
    };
    let mut here = call(&*edge.shards, &room, &WhoIsHere {}).await?;
    here.retain(|user| seen.participants.contains(user));
    here.extend(seen.online);
    here.sort_unstable();
    here.dedup();
    Ok(axum::Json(OnlinePeople { user_ids: here }))
}

/// Whose feed the request's token opens, and until when.
fn visitor(edge: &Edge, request: &Parts) -> Result<(Caller, Timestamp), Refusal> {
    let token = token(request).ok_or_else(|| Refusal::new(ErrorCode::TokenMissing))?;
    edge.config.keys.verify_feed(&token, edge.clock.now())
}

/// The caller is online for so long from now; refused if their login has ended.
async fn online(edge: &Edge, caller: Caller, millis: i64) -> Result<(), Refusal> {
    let until = edge.clock.now().plus_millis(millis);
    edge.directory(&KeepOnline { caller, until }).await
}

/// How far the client is; what is not of the form of an id, nobody has given.
fn after(request: &Parts) -> Option<Mark> {
    let last = request.headers.get(LAST_EVENT_ID);
    let last = last.and_then(|value| value.to_str().ok().map(str::to_owned));
    let last = last.or_else(|| query(request, "after"))?;
    Mark::parse(&last)
}

/// As server-sent events. The last has the id from which the next stream goes on; there is one without
/// data, if there is nothing to tell.
fn written(heard: &Heard) -> Result<String, Refusal> {
    let retry = if heard.crowded {
        RETRY_CROWDED_MS
    } else {
        RETRY_MS
    };
    let mut text = format!("retry: {retry}\n");
    for frame in &heard.frames {
        let data = serde_json::to_string(frame).map_err(Refusal::internal)?;
        let event = match frame {
            FeedFrame::Hello { .. } => "hello",
            FeedFrame::Notification { .. } => "notification",
            FeedFrame::Read { .. } => "read",
        };
        text.push_str(&format!("event: {event}\ndata: {data}\n\n"));
    }
    text.push_str(&format!("id: {}\n\n", heard.mark.id()));
    Ok(text)
}
