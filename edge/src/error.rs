//! The one way to refuse (E10): a [`Refusal`] becomes a problem document at the edge of the
//! system, and travels as itself between front and shard. Causes are logged, never sent.

use axum::response::{IntoResponse, Response};
use codecrafter_shared::error::{ErrorCode, FieldError, Problem};
use codecrafter_shared::id::RequestId;
use serde::{Deserialize, Serialize};

/// Why a request is refused, as its sender may know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The stable code; decides the status.
    pub code: ErrorCode,
    /// What was wrong this time, and what would be right.
    pub detail: Option<String>,
    /// Fields that broke a rule.
    #[serde(default)]
    pub errors: Vec<FieldError>,
    /// When trying again makes sense.
    #[serde(default)]
    pub retry_after_seconds: Option<u32>,
}

impl Refusal {
    /// A refusal that the code's title says all about.
    #[must_use]
    pub const fn new(code: ErrorCode) -> Self {
        Self {
            code,
            detail: None,
            errors: Vec::new(),
            retry_after_seconds: None,
        }
    }

    /// A refusal with more to say.
    #[must_use]
    pub fn with_detail(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..Self::new(code)
        }
    }

    /// Fields that broke a rule.
    #[must_use]
    pub fn fields(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..Self::new(ErrorCode::ValidationFailed)
        }
    }

    /// A refusal that passes by itself.
    #[must_use]
    pub fn retry_after(code: ErrorCode, seconds: u32) -> Self {
        Self {
            retry_after_seconds: Some(seconds),
            ..Self::new(code)
        }
    }

    /// Our fault: `cause` goes to the log, and nowhere else.
    #[must_use]
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(cause = %cause, "a request failed");
        Self::new(ErrorCode::Internal)
    }

    /// The problem document for this refusal.
    #[must_use]
    pub fn problem(&self, request_id: Option<RequestId>) -> Problem {
        Problem {
            kind: format!("urn:codecrafter:problem:{}", self.code.as_str()),
            title: self.code.title().to_owned(),
            status: self.code.status(),
            detail: self.detail.clone(),
            code: self.code,
            request_id,
            errors: self.errors.clone(),
        }
    }
}

impl IntoResponse for Refusal {
    /// The status alone; the front's outermost layer writes the body, because only it knows the
    /// request's id.
    fn into_response(self) -> Response {
        let status = http::StatusCode::from_u16(self.code.status())
            .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
