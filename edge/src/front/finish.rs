//! The outermost layer: what every request and every answer goes through.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use codecrafter_shared::id::RequestId;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW,
    CONTENT_TYPE, ETAG, HOST, HeaderName, HeaderValue, LOCATION, ORIGIN, REFERRER_POLICY,
    RETRY_AFTER, STRICT_TRANSPORT_SECURITY, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};

use super::{Edge, limit};
use crate::error::Refusal;

/// Headers of this prefix are ours: they carry identity from the front to a shard (E4), and are
/// removed from whatever comes from outside.
pub const INTERNAL_HEADER_PREFIX: &str = "x-codecrafter-";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Strips internal headers, answers preflights, writes refusals as problem documents, and adds
/// the headers that every answer has (CC-HTTP-01, CC-HTTP-02).
pub async fn answer(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    strip_internal(request.headers_mut());
    let request_id = RequestId::at(edge.clock.now(), edge.rng.bytes());
    request.extensions_mut().insert(request_id);
    let origin = allowed_origin(&edge, request.headers());
    let preflight = request.method() == Method::OPTIONS && request.headers().contains_key(ORIGIN);
    let mut response = if preflight {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let standings = response.extensions_mut().remove::<limit::Standings>();
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        response = problem(&refusal, request_id, response.headers().get(ALLOW).cloned());
    }
    let headers = response.headers_mut();
    if let Some(standings) = standings {
        limit::write(headers, &standings);
    }
    if let Ok(id) = HeaderValue::from_str(&request_id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
    headers.insert(STRICT_TRANSPORT_SECURITY, year);
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        allow(headers, origin, preflight);
    }
    response
}

fn strip_internal(headers: &mut HeaderMap) {
    let internal = |name: &&HeaderName| name.as_str().starts_with(INTERNAL_HEADER_PREFIX);
    let names: Vec<HeaderName> = headers.keys().filter(internal).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

fn problem(refusal: &Refusal, request_id: RequestId, allow: Option<HeaderValue>) -> Response {
    let status = StatusCode::from_u16(refusal.code.status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(&refusal.problem(Some(request_id))).unwrap_or_default();
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if let Some(seconds) = refusal.retry_after_seconds {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(allow) = allow {
        headers.insert(ALLOW, allow);
    }
    response
}

/// The request's origin, if it is on the list: an exact one, never `*`.
fn allowed_origin(edge: &Edge, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let listed = edge
        .config
        .origins
        .iter()
        .any(|allowed| allowed.as_bytes() == origin.as_bytes());
    listed.then(|| origin.clone())
}

/// Whether the request comes from a page of this deployment, or of a listed origin.
pub fn is_allowed_origin(edge: &Edge, request: &Parts) -> bool {
    let origin = request
        .headers
        .get(ORIGIN)
        .and_then(|value| value.to_str().ok());
    let own = request
        .headers
        .get(HOST)
        .and_then(|value| value.to_str().ok());
    let host = origin
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, host)| host);
    (host.is_some() && host == own) || allowed_origin(edge, &request.headers).is_some()
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue, preflight: bool) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    let [allowed, remaining, reset] = limit::OLDER;
    let limits = [
        limit::RATE_LIMIT,
        limit::RATE_LIMIT_POLICY,
        allowed,
        remaining,
        reset,
    ];
    let mut exposed = format!("{REQUEST_ID}, {RETRY_AFTER}, {LOCATION}, {ETAG}");
    for name in limits {
        exposed.push_str(", ");
        exposed.push_str(name.as_str());
    }
    if let Ok(exposed) = HeaderValue::from_str(&exposed) {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    if preflight {
        let methods = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        let allowed = HeaderValue::from_static(
            "authorization, content-type, if-match, if-none-match, traceparent",
        );
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}
