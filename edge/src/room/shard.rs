//! A room's answers to the calls of front and Directory, wherever the room lives.

use codecrafter_shared::api::SessionContent;

use super::calls::{
    EndLogin, Initialise, ReadContent, TakeNotice, TakeReports, WhoIsHere, WriteText,
};
use super::host::{RoomHost, refusal, write};
use super::write::NotWritten;
use super::{Document, Input, Room, chat, history, versions};
use crate::ports::ShardResponse;
use crate::shard::{Call, answer, no_such_call, received};

/// Answers one call.
pub async fn handle(host: &dyn RoomHost, path: &str, body: &[u8]) -> ShardResponse {
    match path {
        Initialise::PATH => answer(
            async {
                let call: Initialise = received(body)?;
                host.take(Input::Notice(call.notice)).await?;
                host.take(Input::Initialise {
                    content: &call.content,
                    files: &call.files,
                })
                .await
                .map(drop)
            }
            .await,
        ),
        TakeNotice::PATH => answer(
            async {
                let call: TakeNotice = received(body)?;
                host.take(Input::Notice(call.notice)).await.map(drop)
            }
            .await,
        ),
        EndLogin::PATH => answer(
            async {
                let call: EndLogin = received(body)?;
                host.take(Input::LoginEnded(call.login)).await.map(drop)
            }
            .await,
        ),
        TakeReports::PATH => answer(
            async {
                let call: TakeReports = received(body)?;
                for report in &call.reports {
                    host.take(Input::Report(report)).await?;
                }
                Ok(())
            }
            .await,
        ),
        WhoIsHere::PATH => answer(
            async {
                let here = host.here().await?;
                Ok(here.into_iter().collect::<Vec<_>>())
            }
            .await,
        ),
        ReadContent::PATH => answer(
            async {
                let content = host.content().await?;
                content.ok_or_else(|| refusal(NotWritten::Deleted))
            }
            .await,
        ),
        WriteText::PATH => answer(
            async {
                let call = received(body)?;
                versions::shard::take_if_rested(host).await;
                write(host, &call).await
            }
            .await,
        ),
        _ => match versions::shard::handle(host, path, body).await {
            Some(answered) => answered,
            None => match history::shard::handle(host, path, body).await {
                Some(answered) => answered,
                None => chat::shard::handle(host, path, body)
                    .await
                    .unwrap_or_else(no_such_call),
            },
        },
    }
}

/// The text of a room whose document was provided.
#[must_use]
pub fn read(room: &Room) -> SessionContent {
    room.document().map(Document::read).unwrap_or_default()
}
