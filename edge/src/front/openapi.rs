//! `GET /openapi.json`: the document that describes this API. What stands in it is made by the
//! test `openapi` from the types of `codecrafter_shared`; here it is only served.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::sessions::etag;

/// `docs/openapi.json` without its white space, by `build.rs`.
const DOCUMENT: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// Changes when the document does, which takes a new deployment.
static TAG: LazyLock<String> = LazyLock::new(|| URL_SAFE_NO_PAD.encode(Sha256::digest(DOCUMENT)));

/// The document; 304 for a client that says by `If-None-Match` that it has it.
pub async fn document(headers: HeaderMap) -> Response {
    let of_either = [
        (ETAG, etag::etag(&TAG)),
        (CACHE_CONTROL, "public, max-age=300".to_owned()),
    ];
    if etag::has(&headers, &TAG) {
        return (StatusCode::NOT_MODIFIED, of_either).into_response();
    }
    let json = [(CONTENT_TYPE, "application/json")];
    (of_either, json, DOCUMENT).into_response()
}
