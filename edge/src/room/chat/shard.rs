//! A room's answers to calls about its chat.

use codecrafter_shared::api::ChatMessage;
use codecrafter_shared::relay::AppFrame;

use super::store::{self, NewMessage};
use crate::error::Refusal;
use crate::ports::ShardResponse;
use crate::room::Input;
use crate::room::calls::{DeleteMessage, ReadMessages, SendMessage};
use crate::room::host::{RoomHost, Storage};
use crate::shard::{Call, answer, received};

/// Answers a call about the chat; `None` if it is about something else.
pub async fn handle(host: &dyn RoomHost, path: &str, body: &[u8]) -> Option<ShardResponse> {
    Some(match path {
        SendMessage::PATH => answer(async { send(host, received(body)?).await }.await),
        ReadMessages::PATH => answer(
            async {
                let call: ReadMessages = received(body)?;
                let Storage { db, session, .. } = host.storage().await?;
                Ok(store::read(&*db, session, call.before, call.limit).await?)
            }
            .await,
        ),
        DeleteMessage::PATH => answer(async { delete(host, received(body)?).await }.await),
        _ => return None,
    })
}

async fn send(host: &dyn RoomHost, call: SendMessage) -> Result<ChatMessage, Refusal> {
    let Storage { db, session, now } = host.storage().await?;
    let new = NewMessage {
        author: &call.author,
        at: now,
        text: &call.text,
        key: call.key.as_deref(),
    };
    let (message, is_new) = store::send(&*db, session, new).await?;
    if is_new {
        let told = AppFrame::ChatMessage {
            message: message.clone(),
        };
        host.take(Input::Tell(&told)).await?;
    }
    Ok(message)
}

async fn delete(host: &dyn RoomHost, call: DeleteMessage) -> Result<(), Refusal> {
    let Storage { db, session, .. } = host.storage().await?;
    let DeleteMessage {
        seq,
        author,
        moderates,
    } = call;
    if store::delete(&*db, session, seq, &author, moderates).await? {
        host.take(Input::Tell(&AppFrame::ChatDeleted { seq }))
            .await?;
    }
    Ok(())
}
