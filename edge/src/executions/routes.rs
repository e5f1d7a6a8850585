//! `/executions`: create and get, with and without `wait`; lists; cancel.

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use codecrafter_shared::api::{
    CreateExecution, Execution, ExecutionStatus, ExecutionSummary, GiveInput, Page,
};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::ExecutionId;
use codecrafter_shared::limits;
use http::{StatusCode, header};
use serde::Deserialize;

use super::calls::{Cancel, Create, Filter, Get, List, ListOfSession, Prepare, TakeInput};
use super::validate::{self, ListQuery};
use crate::error::Refusal;
use crate::front::Edge;
use crate::front::extract::{Body, CodeBody, Ok200, Path};
use crate::front::trace::{Known, Trace};
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
    Trace(traceparent): Trace,
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
    let (code, files) = match (request.code, request.session_id) {
        (Some(code), _) => (code, request.files),
        (None, Some(session)) => {
            let live = call(&*edge.shards, &Shard::Room { session }, &ReadContent {}).await?;
            validate::with_live(live, request.files)?
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
            expected: request.expected_output,
            limits,
            interactive: request.interactive,
            traceparent,
        })
        .await?;
    let execution = ended(&edge, caller, execution, wait_ms).await?;
    let status = status(&execution);
    let location = format!("/api/v1/executions/{}", execution.id);
    let known = Known(vec![
        ("execution.id", execution.id.to_string().into()),
        ("language", execution.language.as_str().into()),
    ]);
    Ok((
        status,
        [(header::LOCATION, location)],
        Extension(known),
        axum::Json(execution),
    )
        .into_response())
}

/// The execution when it has ended, or as it stands then. If the wait breaks off, it is still taken
/// in: to say that something failed would make people ask for it twice.
async fn ended(
    edge: &Edge,
    caller: Caller,
    execution: Execution,
    wait_ms: i64,
) -> Result<Execution, Refusal> {
    if wait_ms <= 0 || execution.status == ExecutionStatus::Finished {
        return Ok(execution);
    }
    let get = Get {
        caller,
        execution_id: execution.id,
        wait_ms,
    };
    match edge.directory(&get).await {
        Err(refusal) if refusal.code.status() >= 500 => Ok(execution),
        ended => ended,
    }
}

/// 200 for what has ended, 202 for what will.
fn status(execution: &Execution) -> StatusCode {
    if execution.status == ExecutionStatus::Finished {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    }
}

/// `GET /executions/{id}` (CC-EXEC-04); with `?wait=true` it is held until the execution has
/// ended, at most 55 s.
pub async fn get(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    wait: Wait,
) -> Ok200<Execution> {
    let execution_id = execution_id(&id)?;
    let wait_ms = wait_ms(wait)?;
    edge.directory(&Get {
        caller,
        execution_id,
        wait_ms,
    })
    .await
    .map(axum::Json)
}

/// `POST /executions/{id}/cancel` (CC-EXEC-05): 200 with what has ended as `cancelled`, 202 with
/// what its executor is asked to end; with `?wait=true` held until it has, at most 55 s.
pub async fn cancel(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    wait: Wait,
) -> Result<Response, Refusal> {
    let execution_id = execution_id(&id)?;
    let wait_ms = wait_ms(wait)?;
    let committed = edge
        .directory(&Cancel {
            caller,
            execution_id,
        })
        .await?;
    let execution = edge.deliver(committed).await;
    let execution = ended(&edge, caller, execution, wait_ms).await?;
    Ok((status(&execution), axum::Json(execution)).into_response())
}

/// `POST /executions/{id}/input`: 202 with how many inputs it has taken.
pub async fn input(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    Body(request): Body<GiveInput>,
) -> Result<Response, Refusal> {
    let execution_id = execution_id(&id)?;
    let mut fields = Fields::default();
    validate::input(&mut fields, &request);
    fields.check()?;
    let taken = edge
        .directory(&TakeInput {
            caller,
            execution_id,
            inputs: request.inputs,
            after: request.after,
        })
        .await?;
    Ok((StatusCode::ACCEPTED, axum::Json(taken)).into_response())
}

type Listed = Result<Query<ListQuery>, QueryRejection>;

fn filter(query: Listed) -> Result<Filter, Refusal> {
    let Query(query) = query
        .map_err(|error| Refusal::with_detail(ErrorCode::ValidationFailed, error.body_text()))?;
    let mut fields = Fields::default();
    let filter = validate::filter(&mut fields, query);
    fields.check()?;
    Ok(filter)
}

/// `GET /executions`: the caller's own.
pub async fn list(
    State(edge): State<Edge>,
    caller: Caller,
    query: Listed,
) -> Ok200<Page<ExecutionSummary>> {
    let filter = filter(query)?;
    edge.directory(&List { caller, filter })
        .await
        .map(axum::Json)
}

/// `GET /sessions/{id}/executions` (CC-EXEC-03): everybody's, for participants.
pub async fn list_of_session(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    query: Listed,
) -> Ok200<Page<ExecutionSummary>> {
    let session_id = id
        .parse()
        .map_err(|_| Refusal::new(ErrorCode::SessionNotFound))?;
    let filter = filter(query)?;
    let call = ListOfSession {
        caller,
        session_id,
        filter,
    };
    edge.directory(&call).await.map(axum::Json)
}

pub(super) fn execution_id(text: &str) -> Result<ExecutionId, Refusal> {
    text.parse()
        .map_err(|_| Refusal::new(ErrorCode::ExecutionNotFound))
}
