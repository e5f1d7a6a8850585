//! `/executions`: create, with and without `wait`, and get.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use codecrafter_shared::api::{CreateExecution, Execution, ExecutionStatus};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::limits;
use http::{StatusCode, header};
use serde::Deserialize;

use super::calls::{Create, Get, Prepare};
use super::validate;
use crate::error::Refusal;
use crate::front::Edge;
use crate::front::extract::{CodeBody, Ok200};
use crate::front::validate::Fields;
use crate::ports::Shard;
use crate::room::calls::ReadContent;
use crate::shard::call;
use crate::token::Caller;

/// Whether to hold the request until the execution has ended.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitQuery {
    wait: Option<bool>,
}

type Wait = Result<Query<WaitQuery>, QueryRejection>;

fn wait_ms(wait: Wait) -> Result<i64, Refusal> {
    let Query(query) =
        wait.map_err(|error| Refusal::with_detail(ErrorCode::ValidationFailed, error.body_text()))?;
    Ok(if query.wait == Some(true) {
        limits::WAIT_MS_MAX
    } else {
        0
    })
}

/// `POST /executions` (CC-EXEC-01): prepare, fetch the source, take it in, and wait if asked to.
pub async fn create(
    State(edge): State<Edge>,
    caller: Caller,
    wait: Wait,
    CodeBody(request): CodeBody<CreateExecution>,
) -> Result<Response, Refusal> {
    let wait_ms = wait_ms(wait)?;
    let mut fields = Fields::default();
    let limits = validate::create(&mut fields, &request);
    fields.check()?;
    let session_language = match request.session_id {
        Some(session_id) => Some(edge.directory(&Prepare { caller, session_id }).await?),
        None => None,
    };
    let mut files = request.files;
    let code = match (request.code, request.session_id) {
        (Some(code), _) => code,
        (None, Some(session)) => {
            let live = call(&*edge.shards, &Shard::Room { session }, &ReadContent {}).await?;
            let named = |path: &str| files.iter().any(|file| file.path == path);
            let missing: Vec<_> = live
                .files
                .into_iter()
                .filter(|file| !named(&file.path))
                .collect();
            files.extend(missing);
            live.content
        }
        (None, None) => return Err(Refusal::new(ErrorCode::ValidationFailed)),
    };
    let execution = edge
        .directory(&Create {
            caller,
            session_id: request.session_id,
            language: request.language.or(session_language).unwrap_or_default(),
            code,
            files,
            stdin: request.stdin.unwrap_or_default(),
            args: request.args,
            limits,
        })
        .await?;
    let execution = if wait_ms > 0 {
        edge.directory(&Get {
            caller,
            execution_id: execution.id,
            wait_ms,
        })
        .await?
    } else {
        execution
    };
    let ended = execution.status == ExecutionStatus::Finished;
    let status = if ended {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let location = format!("/api/v1/executions/{}", execution.id);
    Ok((
        status,
        [(header::LOCATION, location)],
        axum::Json(execution),
    )
        .into_response())
}

/// `GET /executions/{id}` (CC-EXEC-04); with `?wait=true` it is held until the execution has
/// ended, at most 55 s.
pub async fn get(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    wait: Wait,
) -> Ok200<Execution> {
    let execution_id = id
        .parse()
        .map_err(|_| Refusal::new(ErrorCode::ExecutionNotFound))?;
    let wait_ms = wait_ms(wait)?;
    edge.directory(&Get {
        caller,
        execution_id,
        wait_ms,
    })
    .await
    .map(axum::Json)
}
