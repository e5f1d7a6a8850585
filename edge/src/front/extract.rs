//! What handlers take from a request: a JSON body within its limit, and who is asking.

use axum::extract::{FromRequest, FromRequestParts, Request};
use codecrafter_shared::error::{ErrorCode, FieldError};
use codecrafter_shared::limits;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;

use super::Edge;
use crate::error::Refusal;
use crate::token::Caller;

/// What is variable in the path. Where that is no text, there is no such route.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Edge> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Refusal> {
        let path = axum::extract::Path::from_request_parts(parts, edge).await;
        let axum::extract::Path(variable) =
            path.map_err(|_| Refusal::new(ErrorCode::RouteNotFound))?;
        Ok(Self(variable))
    }
}

/// What a handler gives that answers 200 with JSON.
pub type Ok200<T> = Result<axum::Json<T>, Refusal>;

/// A JSON body of at most [`limits::BODY_BYTES_MAX`].
pub struct Body<T>(pub T);

/// A JSON body with source code in it, of at most [`limits::CODE_BODY_BYTES_MAX`].
pub struct CodeBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Edge> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &Edge) -> Result<Self, Refusal> {
        json(request, limits::BODY_BYTES_MAX).await.map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<Edge> for CodeBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &Edge) -> Result<Self, Refusal> {
        json(request, limits::CODE_BODY_BYTES_MAX).await.map(Self)
    }
}

async fn json<T: DeserializeOwned>(request: Request, bytes_max: usize) -> Result<T, Refusal> {
    let declared = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = declared
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::new(ErrorCode::UnsupportedMediaType));
    }
    parse(&bytes(request, bytes_max).await?)
}

/// The whole body, if it is not longer than `bytes_max`.
///
/// # Errors
/// [`ErrorCode::BodyTooLarge`], before the rest of a longer body is read.
pub async fn bytes(request: Request, bytes_max: usize) -> Result<bytes::Bytes, Refusal> {
    let too_large = || {
        let detail = format!("at most {bytes_max} bytes");
        Refusal::with_detail(ErrorCode::BodyTooLarge, detail)
    };
    match Limited::new(request.into_body(), bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Err(error) => {
            let detail = format!("the body broke off: {error}");
            Err(Refusal::with_detail(ErrorCode::MalformedJson, detail))
        }
    }
}

/// JSON as a request type. What is not JSON and what is JSON of the wrong form are told apart,
/// and of the latter the field is named.
///
/// # Errors
/// [`ErrorCode::MalformedJson`], [`ErrorCode::ValidationFailed`].
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() {
            Refusal::fields(vec![field_error(field, &error.to_string())])
        } else {
            Refusal::with_detail(ErrorCode::MalformedJson, error.to_string())
        }
    })?;
    json.end()
        .map_err(|error| Refusal::with_detail(ErrorCode::MalformedJson, error.to_string()))?;
    Ok(value)
}

/// What the parser says of a value, without its position, and with the name of a missing field.
fn field_error(path: String, message: &str) -> FieldError {
    let message = message.split(" at line ").next().unwrap_or_default();
    let missing = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next());
    let field = match missing {
        Some(name) if path == "." => name.to_owned(),
        Some(name) => format!("{path}.{name}"),
        None => path,
    };
    let message = if missing.is_some() {
        "is needed"
    } else {
        message
    };
    FieldError {
        field,
        message: message.to_owned(),
    }
}

/// The token of `Authorization: Bearer …`.
///
/// # Errors
/// [`ErrorCode::TokenMissing`] if there is none, [`ErrorCode::TokenInvalid`] for another scheme.
pub fn bearer(parts: &Parts) -> Result<&str, Refusal> {
    let header = parts.headers.get(AUTHORIZATION);
    let header = header.ok_or_else(|| Refusal::new(ErrorCode::TokenMissing))?;
    bearer_of(header).ok_or_else(|| {
        Refusal::with_detail(
            ErrorCode::TokenInvalid,
            "wanted `Authorization: Bearer <token>`",
        )
    })
}

/// The token of a header `Authorization` of that scheme.
pub(super) fn bearer_of(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

impl FromRequestParts<Edge> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Refusal> {
        edge.config
            .keys
            .verify_access(bearer(parts)?, edge.clock.now())
    }
}
