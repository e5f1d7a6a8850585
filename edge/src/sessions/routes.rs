//! `/sessions`: create, get, list, update, delete, join.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use codecrafter_shared::api::{
    CreateSession, Joined, Page, Session, SessionSummary, UpdateSession,
};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::limits;
use http::{StatusCode, header};
use serde::Deserialize;

use super::calls::{Create, Delete, Get, Join, List, Update};
use super::validate;
use crate::error::Refusal;
use crate::front::Edge;
use crate::front::extract::{Body, CodeBody, Ok200};
use crate::front::rooms::ROOMS_PATH;
use crate::front::validate::Fields;
use crate::token::Caller;

/// `POST /sessions` (CC-SAPI-01).
pub async fn create(
    State(edge): State<Edge>,
    caller: Caller,
    CodeBody(request): CodeBody<CreateSession>,
) -> Result<Response, Refusal> {
    let mut fields = Fields::default();
    validate::create(&mut fields, &request);
    fields.check()?;
    let committed = edge.directory(&Create { caller, request }).await?;
    let session: Session = edge.deliver(committed).await;
    let location = format!("/api/v1/sessions/{}", session.id);
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        axum::Json(session),
    )
        .into_response())
}

/// `GET /sessions/{id}` (CC-SAPI-03).
pub async fn get(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
) -> Ok200<Session> {
    let session_id = session_id(&id)?;
    edge.directory(&Get { caller, session_id })
        .await
        .map(axum::Json)
}

/// The query of `GET /sessions`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    page: Option<String>,
    limit: Option<String>,
    language: Option<String>,
}

/// `GET /sessions` (CC-SAPI-02).
pub async fn list(
    State(edge): State<Edge>,
    caller: Caller,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Ok200<Page<SessionSummary>> {
    let Query(query) = query
        .map_err(|error| Refusal::with_detail(ErrorCode::ValidationFailed, error.body_text()))?;
    let mut fields = Fields::default();
    let page = number(
        &mut fields,
        "page",
        query.page.as_deref(),
        1,
        limits::PAGE_MAX,
    );
    let limit = query.limit.as_deref();
    let limit = number(
        &mut fields,
        "limit",
        limit,
        limits::PAGE_ITEMS_DEFAULT,
        limits::PAGE_ITEMS_MAX,
    );
    if let Some(language) = &query.language {
        fields.language("language", language);
    }
    fields.check()?;
    let call = List {
        caller,
        page,
        limit,
        language: query.language,
    };
    edge.directory(&call).await.map(axum::Json)
}

fn number(fields: &mut Fields, name: &str, given: Option<&str>, default: u32, max: u32) -> u32 {
    let Some(given) = given else { return default };
    let number = given.parse().unwrap_or(0);
    fields.within(name, number, &(1..=max));
    number
}

/// `PUT` and `PATCH /sessions/{id}` (CC-SAPI-04): what is left out stays.
pub async fn update(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    Body(request): Body<UpdateSession>,
) -> Ok200<Session> {
    let session_id = session_id(&id)?;
    let mut fields = Fields::default();
    validate::update(&mut fields, &request);
    fields.check()?;
    let committed = edge
        .directory(&Update {
            caller,
            session_id,
            request,
        })
        .await?;
    Ok(axum::Json(edge.deliver(committed).await))
}

/// `DELETE /sessions/{id}` (CC-SAPI-05).
pub async fn delete(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let session_id = session_id(&id)?;
    let committed = edge.directory(&Delete { caller, session_id }).await?;
    edge.deliver(committed).await;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /sessions/{id}/join` (CC-SAPI-06).
pub async fn join(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
) -> Ok200<Joined> {
    let session_id = session_id(&id)?;
    let committed = edge.directory(&Join { caller, session_id }).await?;
    let joined = edge.deliver(committed).await;
    let now = edge.clock.now();
    let (room_token, room_token_expires_at) =
        edge.config.keys.room_token(session_id, &joined.pass, now)?;
    Ok(axum::Json(Joined {
        session: joined.session,
        room_token,
        room_token_expires_at,
        room_url: edge.rooms.is_some().then(|| format!("/api/v1{ROOMS_PATH}")),
    }))
}

/// An id that is not one names no session; that it could never be one is nobody's secret, but
/// one answer is simpler to handle than two.
fn session_id(text: &str) -> Result<SessionId, Refusal> {
    text.parse()
        .map_err(|_| Refusal::new(ErrorCode::SessionNotFound))
}
