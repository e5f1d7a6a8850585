//! `/executors`: what operators call, with the deployment's operator token.

use axum::extract::{FromRequestParts, State};
use codecrafter_shared::api::Executors;
use codecrafter_shared::error::ErrorCode;
use http::StatusCode;
use http::request::Parts;

use super::calls::{List, Revoke};
use crate::error::Refusal;
use crate::front::Edge;
use crate::front::extract::{self, Ok200, Path};

/// Proof that the request carries the operator token.
pub struct Operator(());

impl FromRequestParts<Edge> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Refusal> {
        if edge.config.keys.is_operator_token(extract::bearer(parts)?) {
            Ok(Self(()))
        } else {
            let detail = "not the operator token of this edge";
            Err(Refusal::with_detail(ErrorCode::TokenInvalid, detail))
        }
    }
}

/// `GET /executors` (CC-QUEUE-06).
pub async fn list(State(edge): State<Edge>, _: Operator) -> Ok200<Executors> {
    edge.directory(&List {}).await.map(axum::Json)
}

/// `DELETE /executors/{id}`.
pub async fn revoke(
    State(edge): State<Edge>,
    _: Operator,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let executor_id = id
        .parse()
        .map_err(|_| Refusal::new(ErrorCode::ExecutorNotFound))?;
    edge.directory(&Revoke { executor_id }).await?;
    Ok(StatusCode::NO_CONTENT)
}
