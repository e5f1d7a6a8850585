//! The page: static files at every path that is no route.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use codecrafter_shared::error::ErrorCode;
use http::{Method, header};

use super::Edge;
use crate::error::Refusal;

/// Content types by extension; a file of any other kind is not part of the page.
const TYPES: &[(&str, &str)] = &[
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("map", "application/json"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("ico", "image/x-icon"),
    ("txt", "text/plain; charset=utf-8"),
];

/// Scripts and connections from here only. CodeMirror writes its styles into the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";

/// The file at the request's path; `/` is `index.html`.
pub async fn serve(State(edge): State<Edge>, request: Request) -> Result<Response, Refusal> {
    let not_found = || Refusal::new(ErrorCode::RouteNotFound);
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Err(not_found());
    }
    let path = match request.uri().path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    if path.contains("..") || !path.chars().all(plain) {
        return Err(not_found());
    }
    let extension = path.rsplit_once('.').map(|(_, extension)| extension);
    let content_type = TYPES.iter().find(|(known, _)| Some(*known) == extension);
    let (_, content_type) = content_type.ok_or_else(not_found)?;
    let bytes = edge.assets.get(path).await.ok_or_else(not_found)?;
    let headers = [
        (header::CONTENT_TYPE, *content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    ];
    Ok((headers, bytes).into_response())
}
