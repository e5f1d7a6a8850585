//! A room's answers to calls about its versions.

use codecrafter_shared::api::{
    Page, RestoredVersion, SessionContent, Version, VersionContent, VersionDiff, VersionKind,
    WriteContent,
};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::limits;
use codecrafter_shared::relay::AppFrame;

use super::store::{self, NewVersion};
use super::{Author, diff};
use crate::error::Refusal;
use crate::ports::ShardResponse;
use crate::room::calls::{
    DeleteVersion, DiffVersion, ListVersions, ReadVersion, RestoreVersion, TakeVersion, WriteText,
};
use crate::room::host::{RoomHost, Storage, write};
use crate::room::{AccessNotice, Input};
use crate::shard::{Call, answer, received};

/// Answers a call about versions; `None` if it is about something else.
pub async fn handle(host: &dyn RoomHost, path: &str, body: &[u8]) -> Option<ShardResponse> {
    Some(match path {
        TakeVersion::PATH => answer(async { take(host, received(body)?).await }.await),
        ListVersions::PATH => answer(async { list(host, received(body)?).await }.await),
        ReadVersion::PATH => answer(async { read(host, received(body)?).await }.await),
        DiffVersion::PATH => answer(async { compare(host, received(body)?).await }.await),
        RestoreVersion::PATH => answer(async { restore(host, received(body)?).await }.await),
        DeleteVersion::PATH => answer(
            async {
                let call: DeleteVersion = received(body)?;
                let Storage { db, session, .. } = host.storage().await?;
                store::delete(&*db, session, call.number, &call.author, call.moderates).await
            }
            .await,
        ),
        _ => return None,
    })
}

/// Takes a version if the document has changed and rests since then: for places where nothing
/// rings when it is time. What fails is only told in the log, as nobody has asked for it.
pub async fn take_if_rested(host: &dyn RoomHost) {
    let rested: Result<bool, Refusal> = async {
        let Storage { db, session, now } = host.storage().await?;
        Ok(store::has_come_to_rest(&*db, session, now).await?)
    }
    .await;
    match rested {
        Ok(true) => take_automatic(host).await,
        Ok(false) => {}
        Err(refusal) => not_taken(&refusal),
    }
}

/// Takes a version if the document differs enough from the newest one: it is time. What fails is
/// only told in the log.
pub async fn take_automatic(host: &dyn RoomHost) {
    let taken: Result<(), Refusal> = async {
        let (seq, content) = present(host).await?;
        let Storage { db, session, now } = host.storage().await?;
        let new = NewVersion {
            kind: VersionKind::Automatic,
            at: now,
            author: None,
            message: None,
            seq,
            content: &content,
        };
        let version = store::take_if_worth_it(&*db, session, new).await?;
        tell_taken(host, version.as_ref()).await
    }
    .await;
    if let Err(refusal) = taken {
        not_taken(&refusal);
    }
}

fn not_taken(refusal: &Refusal) {
    tracing::warn!(code = refusal.code.as_str(), "no version was taken");
}

async fn take(host: &dyn RoomHost, call: TakeVersion) -> Result<Version, Refusal> {
    let (seq, content) = present(host).await?;
    let Storage { db, session, now } = host.storage().await?;
    let new = NewVersion {
        kind: VersionKind::Manual,
        at: now,
        author: Some(&call.author),
        message: call.message.as_deref(),
        seq,
        content: &content,
    };
    let version = store::take(&*db, session, new).await?;
    tell_taken(host, Some(&version)).await?;
    Ok(version)
}

async fn list(host: &dyn RoomHost, call: ListVersions) -> Result<Page<Version>, Refusal> {
    take_if_rested(host).await;
    let Storage { db, session, .. } = host.storage().await?;
    let skipped = u64::from(call.page.saturating_sub(1)).saturating_mul(call.limit.into());
    let (items, total) = store::list(&*db, session, skipped, call.limit).await?;
    Ok(Page {
        items,
        page: call.page,
        limit: call.limit,
        total,
    })
}

async fn read(host: &dyn RoomHost, call: ReadVersion) -> Result<VersionContent, Refusal> {
    let Storage { db, session, .. } = host.storage().await?;
    let (version, text) = store::read(&*db, session, call.number).await?;
    Ok(VersionContent {
        version,
        content: text.content,
        files: text.files,
    })
}

async fn compare(host: &dyn RoomHost, call: DiffVersion) -> Result<VersionDiff, Refusal> {
    let Storage { db, session, .. } = host.storage().await?;
    let (_, old) = store::read(&*db, session, call.number).await?;
    let new = match call.with {
        Some(number) => store::read(&*db, session, number).await?.1,
        None => present(host).await?.1,
    };
    let (files, truncated) = diff::diff(&old, &new, limits::DIFF_LINES_MAX);
    Ok(VersionDiff {
        from: call.number,
        to: call.with,
        files,
        truncated,
    })
}

async fn restore(host: &dyn RoomHost, call: RestoreVersion) -> Result<RestoredVersion, Refusal> {
    let Storage { db, session, now } = host.storage().await?;
    let (restored, text) = store::read(&*db, session, call.number).await?;
    let before = bring_back(host, &call.author, call.notice, text).await?;
    let restored_by = AppFrame::VersionRestored {
        number: call.number,
        user_id: call.author.user_id,
        display_name: call.author.display_name,
        at: now,
    };
    host.take(Input::Tell(&restored_by)).await?;
    Ok(RestoredVersion { restored, before })
}

/// Gives the document a text that it had. First what it is now is kept, if it is not: that is
/// given back. Then it is written over as anybody would: what others type meanwhile stays, and so do
/// their cursors where nothing differs.
///
/// # Errors
/// As of [`RestoreVersion`].
pub(in crate::room) async fn bring_back(
    host: &dyn RoomHost,
    author: &Author,
    notice: AccessNotice,
    text: SessionContent,
) -> Result<Option<Version>, Refusal> {
    let Storage { db, session, now } = host.storage().await?;
    let (seq, content) = present(host).await?;
    let mut before = None;
    if content != text && !store::newest_is(&*db, session, &content).await? {
        let new = NewVersion {
            kind: VersionKind::BeforeRestore,
            at: now,
            author: Some(author),
            message: None,
            seq,
            content: &content,
        };
        before = Some(store::take(&*db, session, new).await?);
        tell_taken(host, before.as_ref()).await?;
    }
    let request = WriteContent {
        content: Some(text.content),
        files: Some(text.files),
    };
    let edit = WriteText {
        user_id: author.user_id,
        notice,
        request,
        expected: None,
    };
    write(host, &edit).await?;
    Ok(before)
}

/// The document as it stands, and the number of an update that is certainly in it.
async fn present(host: &dyn RoomHost) -> Result<(u64, SessionContent), Refusal> {
    // What waits to be stored is stored by this, so that it counts.
    host.take(Input::Flush).await?;
    let Storage { db, session, .. } = host.storage().await?;
    let seq = store::position(&*db, session).await?;
    let content = host.content().await?;
    let content = content.ok_or_else(|| Refusal::new(ErrorCode::SessionNotFound))?;
    Ok((seq, content))
}

async fn tell_taken(host: &dyn RoomHost, version: Option<&Version>) -> Result<(), Refusal> {
    if let Some(version) = version.cloned() {
        host.take(Input::Tell(&AppFrame::VersionTaken { version }))
            .await?;
    }
    Ok(())
}
