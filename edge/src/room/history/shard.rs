//! A room's answers to calls about its history.

use codecrafter_shared::api::{HistoryPage, RestoredStep, SessionContent};
use codecrafter_shared::relay::AppFrame;

use super::store::pages;
use crate::error::Refusal;
use crate::ports::ShardResponse;
use crate::room::Input;
use crate::room::calls::{ReadHistory, ReadStep, RestoreStep};
use crate::room::host::{RoomHost, Storage};
use crate::room::versions::shard::bring_back;
use crate::shard::{Call, answer, received};

/// Answers a call about the history; `None` if it is about something else.
pub async fn handle(host: &dyn RoomHost, path: &str, body: &[u8]) -> Option<ShardResponse> {
    Some(match path {
        ReadHistory::PATH => answer(async { read(host, received(body)?).await }.await),
        ReadStep::PATH => answer(
            async {
                let call: ReadStep = received(body)?;
                text(host, call.step).await
            }
            .await,
        ),
        RestoreStep::PATH => answer(async { restore(host, received(body)?).await }.await),
        _ => return None,
    })
}

async fn read(host: &dyn RoomHost, call: ReadHistory) -> Result<HistoryPage, Refusal> {
    // What waits to be stored is stored by this, so that it is told.
    host.take(Input::Flush).await?;
    let Storage { db, session, .. } = host.storage().await?;
    pages::read(&*db, session, call.from, call.limit).await
}

async fn text(host: &dyn RoomHost, step: u64) -> Result<SessionContent, Refusal> {
    let Storage { db, session, .. } = host.storage().await?;
    pages::text_after(&*db, session, step).await
}

async fn restore(host: &dyn RoomHost, call: RestoreStep) -> Result<RestoredStep, Refusal> {
    let RestoreStep {
        author,
        notice,
        step,
    } = call;
    let text = text(host, step).await?;
    let before = bring_back(host, &author, notice, text).await?;
    let restored = AppFrame::StepRestored {
        step,
        user_id: author.user_id,
        display_name: author.display_name,
        at: host.storage().await?.now,
    };
    host.take(Input::Tell(&restored)).await?;
    Ok(RestoredStep { step, before })
}
