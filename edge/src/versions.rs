//! `/sessions/{id}/versions` and `/sessions/{id}/fork`: what a document was, as its room keeps it.
//! How it came about is [`crate::history`].
//!
//! The Directory says who may, the room does it ([`crate::room::versions`]). Whoever may see a session
//! reads and forks its versions, who may run its code takes them, and who may edit restores them.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use codecrafter_shared::api::{
    ForkOf, ForkSession, Page, RestoredVersion, Session, SessionContent, TakeVersion, Version,
    VersionContent, VersionDiff,
};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use http::{StatusCode, header};
use serde::Deserialize;

use crate::error::Refusal;
use crate::front::Edge;
use crate::front::extract::{Body, Ok200, Path};
use crate::front::validate::Fields;
use crate::ports::Shard;
use crate::room::calls::{self, ReadContent};
use crate::sessions::calls::{Fork, Stand, Standing};
use crate::sessions::routes::{number, session_id};
use crate::sessions::validate;
use crate::shard::{Call, call};
use crate::token::Caller;

/// A session, and who the caller is in it.
pub(crate) struct Place {
    room: Shard,
    pub(crate) standing: Standing,
}

impl Place {
    /// # Errors
    /// [`ErrorCode::SessionNotFound`] for who may not see it.
    pub(crate) async fn find(edge: &Edge, caller: Caller, id: &str) -> Result<Self, Refusal> {
        let session_id = session_id(id)?;
        let standing = edge.directory(&Stand { caller, session_id }).await?;
        Ok(Self {
            room: Shard::Room {
                session: session_id,
            },
            standing,
        })
    }

    pub(crate) fn may(
        &self,
        allowed: impl FnOnce(Role) -> bool,
        wanted: &str,
    ) -> Result<(), Refusal> {
        if self.standing.role.is_some_and(allowed) {
            Ok(())
        } else {
            Err(Refusal::with_detail(ErrorCode::Forbidden, wanted))
        }
    }

    /// Whether the caller may edit the document now.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`].
    pub(crate) fn may_edit(&self) -> Result<(), Refusal> {
        let locked = self.standing.notice.locked;
        let wanted = if locked {
            "the session is locked: only its owner edits it"
        } else {
            "needs the role editor, admin or owner"
        };
        self.may(|role| role.may_edit(locked), wanted)
    }

    pub(crate) async fn ask<C: Call>(
        &self,
        edge: &Edge,
        question: &C,
    ) -> Result<C::Answer, Refusal> {
        call(&*edge.shards, &self.room, question).await
    }
}

/// `POST /sessions/{id}/versions` (CC-SESS-20, CC-SAPI-10).
pub async fn take(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    Body(request): Body<TakeVersion>,
) -> Result<Response, Refusal> {
    let mut fields = Fields::default();
    if let Some(message) = &request.message {
        fields.line("message", message, limits::VERSION_MESSAGE_CHARS);
    }
    fields.check()?;
    let place = Place::find(&edge, caller, &id).await?;
    let wanted = "needs the role editor, admin or owner";
    place.may(Role::may_take_versions, wanted)?;
    let take = calls::TakeVersion {
        author: place.standing.author.clone(),
        message: request.message.map(|message| message.trim().to_owned()),
    };
    let version: Version = place.ask(&edge, &take).await?;
    let path = format!("/api/v1/sessions/{id}/versions/{}", version.number);
    let location = [(header::LOCATION, path)];
    Ok((StatusCode::CREATED, location, axum::Json(version)).into_response())
}

/// The query of a list that is nothing but long.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    page: Option<String>,
    limit: Option<String>,
}

/// `GET /sessions/{id}/versions` (CC-SAPI-09).
pub async fn list(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Ok200<Page<Version>> {
    let query = read_query(query)?;
    let mut fields = Fields::default();
    let page = query.page.as_deref();
    let page = number(&mut fields, "page", page, 1, limits::PAGE_MAX);
    let (default, max) = (limits::PAGE_ITEMS_DEFAULT, limits::PAGE_ITEMS_MAX);
    let limit = number(&mut fields, "limit", query.limit.as_deref(), default, max);
    fields.check()?;
    let place = Place::find(&edge, caller, &id).await?;
    let list = calls::ListVersions { page, limit };
    place.ask(&edge, &list).await.map(axum::Json)
}

/// `GET /sessions/{id}/versions/{number}`.
pub async fn get(
    State(edge): State<Edge>,
    caller: Caller,
    Path((id, number)): Path<(String, String)>,
) -> Ok200<VersionContent> {
    let place = Place::find(&edge, caller, &id).await?;
    let number = version_number(&number)?;
    let read = calls::ReadVersion { number };
    place.ask(&edge, &read).await.map(axum::Json)
}

/// What a version is compared with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiffQuery {
    with: Option<String>,
}

/// `GET /sessions/{id}/versions/{number}/diff`.
pub async fn diff(
    State(edge): State<Edge>,
    caller: Caller,
    Path((id, number)): Path<(String, String)>,
    query: Result<Query<DiffQuery>, QueryRejection>,
) -> Ok200<VersionDiff> {
    let with = match read_query(query)?.with.as_deref() {
        None | Some("now") => None,
        Some(with) => Some(version_number(with)?),
    };
    let place = Place::find(&edge, caller, &id).await?;
    let number = version_number(&number)?;
    let diff = calls::DiffVersion { number, with };
    place.ask(&edge, &diff).await.map(axum::Json)
}

/// `POST /sessions/{id}/versions/{number}/restore`.
pub async fn restore(
    State(edge): State<Edge>,
    caller: Caller,
    Path((id, number)): Path<(String, String)>,
) -> Ok200<RestoredVersion> {
    let place = Place::find(&edge, caller, &id).await?;
    place.may_edit()?;
    let Standing { notice, author, .. } = place.standing.clone();
    let restore = calls::RestoreVersion {
        author,
        notice,
        number: version_number(&number)?,
    };
    place.ask(&edge, &restore).await.map(axum::Json)
}

/// `DELETE /sessions/{id}/versions/{number}`.
pub async fn delete(
    State(edge): State<Edge>,
    caller: Caller,
    Path((id, number)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let place = Place::find(&edge, caller, &id).await?;
    let wanted = "needs the role editor, admin or owner";
    place.may(Role::may_take_versions, wanted)?;
    let delete = calls::DeleteVersion {
        author: place.standing.author.clone(),
        moderates: place.standing.role.is_some_and(Role::may_moderate),
        number: version_number(&number)?,
    };
    place.ask(&edge, &delete).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /sessions/{id}/fork` (CC-SESS-21, CC-SAPI-08).
pub async fn fork(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    Body(request): Body<ForkSession>,
) -> Result<Response, Refusal> {
    let mut fields = Fields::default();
    validate::fork(&mut fields, &request);
    fields.check()?;
    let place = Place::find(&edge, caller, &id).await?;
    let content = match (request.version, request.step) {
        (Some(number), _) => {
            let version = place.ask(&edge, &calls::ReadVersion { number }).await?;
            SessionContent {
                content: version.content,
                files: version.files,
            }
        }
        (None, Some(step)) => place.ask(&edge, &calls::ReadStep { step }).await?,
        (None, None) => place.ask(&edge, &ReadContent {}).await?,
    };
    let mut fields = Fields::default();
    validate::forked(&mut fields, &content);
    fields.check()?;
    let of = ForkOf {
        session_id: session_id(&id)?,
        version: request.version,
    };
    let fork = Fork {
        caller,
        of,
        title: request.title,
        description: request.description,
        content,
    };
    let session: Session = edge.deliver(edge.directory(&fork).await?).await;
    let location = [(header::LOCATION, format!("/api/v1/sessions/{}", session.id))];
    Ok((StatusCode::CREATED, location, axum::Json(session)).into_response())
}

/// What is no number is the number of no version.
fn version_number(text: &str) -> Result<u64, Refusal> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = plain.then(|| text.parse().ok()).flatten();
    number.ok_or_else(|| Refusal::new(ErrorCode::VersionNotFound))
}

pub(crate) fn read_query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Refusal> {
    let Query(query) = query
        .map_err(|error| Refusal::with_detail(ErrorCode::ValidationFailed, error.body_text()))?;
    Ok(query)
}
