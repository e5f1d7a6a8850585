//! `/sessions/{id}/chat`: what the participants of a session say to each other. The Directory says who
//! somebody is, the room keeps and tells what they say ([`crate::room::chat`]).

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use codecrafter_shared::api::{ChatMessage, ChatMessages, SendChatMessage};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::SessionId;
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use http::StatusCode;
use serde::Deserialize;

use crate::error::Refusal;
use crate::front::Edge;
use crate::front::extract::{Body, Ok200, Path};
use crate::front::validate::Fields;
use crate::notifications::mentions;
use crate::notifications::questions::Mention;
use crate::ports::Shard;
use crate::room::calls::{DeleteMessage, ReadMessages, SendMessage};
use crate::room::versions::Author;
use crate::sessions::calls::Stand;
use crate::sessions::routes::{number, session_id};
use crate::shard::call;
use crate::token::Caller;

/// The room, and who the caller is in it, as one of its participants.
async fn participant(
    edge: &Edge,
    caller: Caller,
    id: &str,
) -> Result<(Shard, Author, Role), Refusal> {
    let session_id = session_id(id)?;
    let standing = edge.directory(&Stand { caller, session_id }).await?;
    let role = standing.role.ok_or_else(|| {
        let detail = "the chat is for participants: join the session";
        Refusal::with_detail(ErrorCode::Forbidden, detail)
    })?;
    let room = Shard::Room {
        session: session_id,
    };
    Ok((room, standing.author, role))
}

/// `POST /sessions/{id}/chat` (CC-RT-07).
pub async fn send(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    Body(request): Body<SendChatMessage>,
) -> Result<Response, Refusal> {
    let mut fields = Fields::default();
    validate(&mut fields, &request);
    fields.check()?;
    let (room, author, _) = participant(&edge, caller, &id).await?;
    let send = SendMessage {
        author,
        text: request.text.trim().to_owned(),
        key: request.key,
    };
    let message: ChatMessage = call(&*edge.shards, &room, &send).await?;
    mention(&edge, caller, session_id(&id)?, &message).await?;
    Ok((StatusCode::CREATED, axum::Json(message)).into_response())
}

/// Tells those who are named in a message. Whoever gets no answer repeats the message, and this with
/// it, so that a message that was answered has told them.
async fn mention(
    edge: &Edge,
    caller: Caller,
    session_id: SessionId,
    message: &ChatMessage,
) -> Result<(), Refusal> {
    let names = mentions::named(&message.text);
    if names.is_empty() {
        return Ok(());
    }
    let mention = Mention {
        caller,
        session_id,
        seq: message.seq,
        at: message.sent_at,
        text: mentions::beginning(&message.text),
        names,
    };
    edge.deliver(edge.directory(&mention).await?).await;
    Ok(())
}

/// The query of the messages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadQuery {
    before: Option<String>,
    limit: Option<String>,
}

/// `GET /sessions/{id}/chat`.
pub async fn read(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    query: Result<Query<ReadQuery>, QueryRejection>,
) -> Ok200<ChatMessages> {
    let Query(query) = query
        .map_err(|error| Refusal::with_detail(ErrorCode::ValidationFailed, error.body_text()))?;
    let mut fields = Fields::default();
    let (default, max) = (limits::CHAT_PAGE_DEFAULT, limits::PAGE_ITEMS_MAX);
    let limit = number(&mut fields, "limit", query.limit.as_deref(), default, max);
    let before = query.before.as_deref().map(|before| {
        let before = before.parse().unwrap_or(0);
        if before == 0 {
            fields.wrong("before", "is the seq of a message");
        }
        before
    });
    fields.check()?;
    let (room, ..) = participant(&edge, caller, &id).await?;
    let read = ReadMessages { before, limit };
    call(&*edge.shards, &room, &read).await.map(axum::Json)
}

/// `DELETE /sessions/{id}/chat/{seq}`.
pub async fn delete(
    State(edge): State<Edge>,
    caller: Caller,
    Path((id, seq)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let (room, author, role) = participant(&edge, caller, &id).await?;
    let delete = DeleteMessage {
        seq: seq
            .parse()
            .map_err(|_| Refusal::new(ErrorCode::MessageNotFound))?,
        author,
        moderates: role.may_moderate(),
    };
    call(&*edge.shards, &room, &delete).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn validate(fields: &mut Fields, request: &SendChatMessage) {
    let SendChatMessage { text, key } = request;
    let chars = text.trim().chars().count();
    // Lines and tabs are kept; what else steers a terminal or a font is nothing that is said.
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !limits::CHAT_CHARS.contains(&chars) || text.trim().chars().any(odd) {
        let (min, max) = limits::CHAT_CHARS.into_inner();
        fields.wrong("text", format!("is text of {min}–{max} characters"));
    }
    if let Some(key) = key {
        fields.line("key", key, limits::CHAT_KEY_CHARS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_text_within_its_length() {
        let good = |text: &str, key: Option<&str>| {
            let mut fields = Fields::default();
            let request = SendChatMessage {
                text: text.into(),
                key: key.map(str::to_owned),
            };
            validate(&mut fields, &request);
            fields.check().is_ok()
        };
        assert!(good("hi\n\tthere <b>", None) && good(&"ü".repeat(2_000), Some("k")));
        assert!(!good(" \n", None) && !good(&"x".repeat(2_001), None));
        assert!(!good("bell\u{7}", None) && !good("hi", Some("")));
        assert!(!good("hi", Some(&"k".repeat(65))));
    }
}
