//! Forks: sessions that begin with the text of another (CC-SESS-14, CC-SESS-21).

use codecrafter_shared::api::{CreateSession, HistoryPerson, Session};
use codecrafter_shared::id::SessionId;

use super::calls::{Fork, Names, Stand, Standing};
use super::origin;
use super::store::{insert, may_own_one_more, notice, visible};
use crate::accounts::store::authorize;
use crate::directory::Directory;
use crate::directory::outbox::{Committed, Draft, RoomMessage};
use crate::error::Refusal;
use crate::room::versions::Author;

/// [`Fork`]. Settings that the request leaves out are those of the session that it is made of; it is
/// private, and nobody but the caller is in it.
///
/// # Errors
/// [`SessionNotFound`](codecrafter_shared::error::ErrorCode::SessionNotFound) for who may not see that
/// session; [`TooManySessions`](codecrafter_shared::error::ErrorCode::TooManySessions).
pub async fn fork(directory: &Directory, call: Fork) -> Result<Committed<Session>, Refusal> {
    let now = directory.clock.now();
    let id = SessionId::at(now, directory.rng.bytes());
    let outbox = &Draft::new(directory, now);
    let (call, tenant) = (&call, &*directory.config.tenant);
    let user_id = call.caller.user_id;
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let of = visible(&tx, tenant, call.of.session_id, user_id).await?;
            may_own_one_more(&tx, tenant, user_id).await?;
            let settings = CreateSession {
                title: call.title.clone().unwrap_or(of.title),
                description: Some(call.description.clone().unwrap_or(of.description)),
                language: of.language,
                max_participants: Some(of.max_participants),
                ..CreateSession::default()
            };
            insert(&tx, tenant, id, user_id, &settings, now).await?;
            origin::note(&tx, tenant, id, call.of).await?;
            let session = visible(&tx, tenant, id, user_id).await?;
            let created = RoomMessage::Created {
                content: call.content.content.clone(),
                files: call.content.files.clone(),
                notice: notice(&session, false),
            };
            outbox.commit(&tx, tenant, id, created, session).await
        })
        .await
}

/// [`Stand`].
///
/// # Errors
/// [`SessionNotFound`](codecrafter_shared::error::ErrorCode::SessionNotFound).
pub async fn stand(directory: &Directory, call: Stand) -> Result<Standing, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let (id, user_id) = (call.session_id, call.caller.user_id);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let session = visible(&tx, tenant, id, user_id).await?;
            let me = session.participants.iter().find(|p| p.user_id == user_id);
            let display_name = me.map(|me| me.display_name.clone()).unwrap_or_default();
            Ok(Standing {
                role: session.role,
                author: Author {
                    user_id,
                    display_name,
                },
                notice: notice(&session, false),
            })
        })
        .await
}

/// [`Names`].
///
/// # Errors
/// [`SessionNotFound`](codecrafter_shared::error::ErrorCode::SessionNotFound).
pub async fn names(directory: &Directory, call: Names) -> Result<Vec<HistoryPerson>, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let (caller, users) = (call.caller, &call.users);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, caller, now).await?;
            visible(&tx, tenant, call.session_id, caller.user_id).await?;
            let mut people = Vec::new();
            for user_id in users.iter().copied() {
                let sql = "SELECT display_name FROM account WHERE tenant = ? AND id = ?";
                let row = tx.first(sql, [tenant.into(), user_id.into()]).await?;
                if let Some(row) = row {
                    people.push(HistoryPerson {
                        user_id,
                        display_name: row.get("display_name")?,
                    });
                }
            }
            Ok(people)
        })
        .await
}
