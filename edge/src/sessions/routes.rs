//! `/sessions`: create, get, list, update, delete; join, leave, participants, transfer.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use codecrafter_shared::api::{
    AddParticipant, ChangeRole, CreateSession, Joined, Page, Participant, Session, SessionSummary,
    TransferSession, UpdateSession,
};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::limits;
use http::{StatusCode, header};
use serde::Deserialize;

use super::calls::{self, Create, Delete, Get, Join, List, RemoveParticipant, Scope, Update};
use super::validate;
use crate::error::Refusal;
use crate::front::Edge;
use crate::front::extract::{Body, CodeBody, Ok200, Path};
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
    scope: Option<String>,
    q: Option<String>,
    page: Option<String>,
    limit: Option<String>,
    language: Option<String>,
}

/// `GET /sessions` (CC-SAPI-02, CC-SESS-22 to 24).
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
    let scope = match query.scope.as_deref() {
        None | Some("mine") => Scope::Mine,
        Some("public") => Scope::Public,
        Some(_) => {
            fields.wrong("scope", "is mine or public");
            Scope::Mine
        }
    };
    let words = validate::search(&mut fields, query.q.as_deref());
    fields.check()?;
    let call = List {
        caller,
        scope,
        page,
        limit,
        language: query.language,
        words,
    };
    edge.directory(&call).await.map(axum::Json)
}

/// A number of the query, from 1.
pub(crate) fn number(
    fields: &mut Fields,
    name: &str,
    given: Option<&str>,
    default: u32,
    max: u32,
) -> u32 {
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
        room_url: edge.rooms.is_some().then(rooms_url),
        room_stream_url: edge.streamed_rooms.is_some().then(rooms_url),
    }))
}

fn rooms_url() -> String {
    format!("/api/v1{ROOMS_PATH}")
}

/// `POST /sessions/{id}/leave` (CC-SAPI-07).
pub async fn leave(
    edge: State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let user_id = caller.user_id.to_string();
    remove_participant(edge, caller, Path((id, user_id))).await
}

/// `POST /sessions/{id}/participants` (CC-SESS-16).
pub async fn add_participant(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    Body(request): Body<AddParticipant>,
) -> Result<Response, Refusal> {
    let session_id = session_id(&id)?;
    let mut fields = Fields::default();
    let role = validate::add_participant(&mut fields, &request);
    fields.check()?;
    let call = calls::AddParticipant {
        caller,
        session_id,
        username: request.username,
        role,
    };
    let added: Participant = edge.deliver(edge.directory(&call).await?).await;
    let path = format!(
        "/api/v1/sessions/{session_id}/participants/{}",
        added.user_id
    );
    let location = [(header::LOCATION, path)];
    Ok((StatusCode::CREATED, location, axum::Json(added)).into_response())
}

/// `PUT /sessions/{id}/participants/{userId}` (CC-SAPI-11).
pub async fn change_role(
    State(edge): State<Edge>,
    caller: Caller,
    Path((id, user_id)): Path<(String, String)>,
    Body(request): Body<ChangeRole>,
) -> Ok200<Participant> {
    let session_id = session_id(&id)?;
    let mut fields = Fields::default();
    let role = validate::role(&mut fields, request.role);
    fields.check()?;
    let call = calls::ChangeRole {
        caller,
        session_id,
        user_id: participant_id(&user_id)?,
        role,
    };
    let committed = edge.directory(&call).await?;
    Ok(axum::Json(edge.deliver(committed).await))
}

/// `DELETE /sessions/{id}/participants/{userId}` (CC-SAPI-12); of oneself, it is leaving.
pub async fn remove_participant(
    State(edge): State<Edge>,
    caller: Caller,
    Path((id, user_id)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let call = RemoveParticipant {
        caller,
        session_id: session_id(&id)?,
        user_id: participant_id(&user_id)?,
    };
    let committed = edge.directory(&call).await?;
    edge.deliver(committed).await;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /sessions/{id}/transfer` (CC-SESS-25).
pub async fn transfer(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    Body(request): Body<TransferSession>,
) -> Ok200<Session> {
    let call = calls::Transfer {
        caller,
        session_id: session_id(&id)?,
        user_id: request.user_id,
    };
    let committed = edge.directory(&call).await?;
    Ok(axum::Json(edge.deliver(committed).await))
}

/// As [`session_id`].
fn participant_id(text: &str) -> Result<UserId, Refusal> {
    text.parse()
        .map_err(|_| Refusal::new(ErrorCode::ParticipantNotFound))
}

/// An id that is not one names no session; that it could never be one is nobody's secret, but
/// one answer is simpler to handle than two.
pub(crate) fn session_id(text: &str) -> Result<SessionId, Refusal> {
    text.parse()
        .map_err(|_| Refusal::new(ErrorCode::SessionNotFound))
}
