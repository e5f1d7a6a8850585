//! `/sessions/{id}/content`: the document without a socket, read and written through its room.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use codecrafter_shared::api::{SessionContent, WriteContent};
use http::header::{CACHE_CONTROL, ETAG};
use http::{HeaderMap, HeaderName, StatusCode};

use super::calls::{Get, MayEdit};
use super::routes::session_id;
use super::{etag, validate};
use crate::error::Refusal;
use crate::front::Edge;
use crate::front::extract::{CodeBody, Path};
use crate::front::validate::Fields;
use crate::ports::Shard;
use crate::room::calls::{ReadContent, WriteText};
use crate::room::tag::tag;
use crate::shard::call;
use crate::token::Caller;

/// `GET /sessions/{id}/content`: for everybody who may see the session. 304 for a client that says
/// by `If-None-Match` that it has it.
pub async fn get(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let session = session_id(&id)?;
    let session_id = session;
    edge.directory(&Get { caller, session_id }).await?;
    let content = call(&*edge.shards, &Shard::Room { session }, &ReadContent {}).await?;
    let tag = tag(&content);
    if etag::has(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, tagged(&tag)).into_response());
    }
    Ok((tagged(&tag), axum::Json(content)).into_response())
}

/// `PUT /sessions/{id}/content`: an ordinary edit, for those who may edit. With `If-Match`, only
/// over the text that it names. The room decides both, with the newest access that it or the
/// Directory knows of.
pub async fn put(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    CodeBody(request): CodeBody<WriteContent>,
) -> Result<Response, Refusal> {
    let session = session_id(&id)?;
    let mut fields = Fields::default();
    validate::write(&mut fields, &request);
    fields.check()?;
    let session_id = session;
    let notice = edge.directory(&MayEdit { caller, session_id }).await?;
    let write = WriteText {
        user_id: caller.user_id,
        notice,
        request,
        expected: etag::expected(&headers),
    };
    let content: SessionContent = call(&*edge.shards, &Shard::Room { session }, &write).await?;
    Ok((tagged(&tag(&content)), axum::Json(content)).into_response())
}

/// The tag, and that it is to be asked about before what a cache has is shown.
fn tagged(tag: &str) -> [(HeaderName, String); 2] {
    [
        (ETAG, etag::etag(tag)),
        (CACHE_CONTROL, "private, no-cache".to_owned()),
    ]
}
