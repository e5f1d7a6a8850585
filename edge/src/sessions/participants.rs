//! Who is in a session, and as what (CC-SESS-16, 17 and 25).
//!
//! Each change is one transaction, so of two at once one wins: a session has exactly one owner,
//! and never more participants than it allows.

use codecrafter_shared::api::{Participant, Session};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;

use super::calls::{
    AddParticipant, ChangeRole, Join, JoinedSession, MayEdit, RemoveParticipant, Transfer,
};
use super::decided::{self, decide, role_to_join_with};
use super::store::{add_participant, may_own_one_more, notice, read, visible};
use crate::accounts::passes;
use crate::accounts::store::{authorize, find_user_by_name};
use crate::directory::Directory;
use crate::directory::outbox::{Committed, Draft, RoomMessage};
use crate::error::Refusal;
use crate::notifications::telling::Telling;
use crate::ports::Tx;
use crate::room::{AccessNotice, Principal};
use crate::token::Caller;

/// [`Join`]. Harmless to repeat.
///
/// # Errors
/// [`ErrorCode::SessionNotFound`], also for a private session of others;
/// [`ErrorCode::SessionFull`]; [`ErrorCode::ParticipantRemoved`]; [`ErrorCode::TooManyRooms`].
pub async fn join(directory: &Directory, call: Join) -> Result<Committed<JoinedSession>, Refusal> {
    let now = directory.clock.now();
    let outbox = &Draft::new(directory, now);
    let (id, caller, tenant) = (call.session_id, call.caller, &*directory.config.tenant);
    directory
        .db
        .transaction(|tx| async move {
            let login_ends_at = authorize(&tx, tenant, caller, now).await?;
            let before = visible(&tx, tenant, id, caller.user_id).await?;
            let expires_at = now.plus_millis(limits::ROOM_TOKEN_MS).min(login_ends_at);
            passes::note(&tx, tenant, caller, id, expires_at, now).await?;
            if before.role.is_some() {
                let joined = joined(before, caller, expires_at)?;
                return Ok(Committed::nothing_to_send(joined));
            }
            has_place(&before)?;
            let role = before.join_role;
            let role = role_to_join_with(&tx, tenant, id, caller.user_id, role).await?;
            add_participant(&tx, tenant, id, caller.user_id, role, now.into()).await?;
            let session = raise(&tx, tenant, id, caller.user_id).await?;
            let message = access(&session);
            let joined = joined(session, caller, expires_at)?;
            outbox.commit(&tx, tenant, id, message, joined).await
        })
        .await
}

/// [`AddParticipant`].
///
/// # Errors
/// [`ErrorCode::SessionNotFound`]; [`ErrorCode::Forbidden`] for who may not give that role;
/// [`ErrorCode::UserNotFound`]; [`ErrorCode::AlreadyParticipant`]; [`ErrorCode::SessionFull`].
pub async fn add(
    directory: &Directory,
    call: AddParticipant,
) -> Result<Committed<Participant>, Refusal> {
    let now = directory.clock.now();
    let outbox = &Draft::new(directory, now);
    let (call, tenant) = (&call, &*directory.config.tenant);
    let (id, caller) = (call.session_id, call.caller);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, caller, now).await?;
            let before = visible(&tx, tenant, id, caller.user_id).await?;
            may_grant(&before, call.role)?;
            let user = find_user_by_name(&tx, tenant, &call.username).await?;
            let user = user.ok_or_else(|| Refusal::new(ErrorCode::UserNotFound))?;
            if before.participants.iter().any(|p| p.user_id == user.id) {
                return Err(Refusal::new(ErrorCode::AlreadyParticipant));
            }
            has_place(&before)?;
            decide(&tx, tenant, id, user.id, Some(call.role)).await?;
            add_participant(&tx, tenant, id, user.id, call.role, now.into()).await?;
            let session = raise(&tx, tenant, id, caller.user_id).await?;
            let added = participant(&session, user.id)?.clone();
            let told = telling(&session, caller, now).added(user.id, call.role);
            let letters = vec![(id, access(&session)).into(), told];
            outbox.commit_each(&tx, tenant, letters, added).await
        })
        .await
}

/// [`ChangeRole`]. Harmless to repeat.
///
/// # Errors
/// [`ErrorCode::SessionNotFound`]; [`ErrorCode::Forbidden`] for who may not give that role, or
/// not to this participant; [`ErrorCode::ParticipantNotFound`].
pub async fn change_role(
    directory: &Directory,
    call: ChangeRole,
) -> Result<Committed<Participant>, Refusal> {
    let now = directory.clock.now();
    let outbox = &Draft::new(directory, now);
    let (call, tenant) = (&call, &*directory.config.tenant);
    let (id, caller) = (call.session_id, call.caller);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, caller, now).await?;
            let before = visible(&tx, tenant, id, caller.user_id).await?;
            may_grant(&before, call.role)?;
            let target = participant(&before, call.user_id)?;
            may_manage(&before, target.role)?;
            decide(&tx, tenant, id, call.user_id, Some(call.role)).await?;
            if target.role == call.role {
                return Ok(Committed::nothing_to_send(target.clone()));
            }
            set_role(&tx, tenant, id, call.user_id, call.role).await?;
            let session = raise(&tx, tenant, id, caller.user_id).await?;
            let changed = participant(&session, call.user_id)?.clone();
            let told = telling(&session, caller, now).role_changed(call.user_id, call.role);
            let letters = vec![(id, access(&session)).into(), told];
            outbox.commit_each(&tx, tenant, letters, changed).await
        })
        .await
}

/// [`RemoveParticipant`].
///
/// # Errors
/// [`ErrorCode::SessionNotFound`]; [`ErrorCode::ParticipantNotFound`]; [`ErrorCode::OwnerStays`]
/// for an owner who would leave; [`ErrorCode::Forbidden`] for who may not remove this participant.
pub async fn remove(
    directory: &Directory,
    call: RemoveParticipant,
) -> Result<Committed<()>, Refusal> {
    let now = directory.clock.now();
    let outbox = &Draft::new(directory, now);
    let (call, tenant) = (&call, &*directory.config.tenant);
    let (id, caller) = (call.session_id, call.caller);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, caller, now).await?;
            let before = visible(&tx, tenant, id, caller.user_id).await?;
            if call.user_id == caller.user_id {
                may_leave(&before, caller.user_id)?;
            } else {
                administers(&before)?;
                may_manage(&before, participant(&before, call.user_id)?.role)?;
                decide(&tx, tenant, id, call.user_id, None).await?;
            }
            let sql = "DELETE FROM participant WHERE tenant = ? AND session_id = ? AND user_id = ?";
            tx.execute(sql, [tenant.into(), id.into(), call.user_id.into()])
                .await?;
            let session = raise(&tx, tenant, id, caller.user_id).await?;
            let mut letters = vec![(id, access(&session)).into()];
            if call.user_id != caller.user_id {
                letters.push(telling(&session, caller, now).removed(call.user_id));
            }
            outbox.commit_each(&tx, tenant, letters, ()).await
        })
        .await
}

/// [`Transfer`]. An owner who names themselves changes nothing.
///
/// # Errors
/// [`ErrorCode::SessionNotFound`]; [`ErrorCode::Forbidden`] for everybody but the owner;
/// [`ErrorCode::ParticipantNotFound`]; [`ErrorCode::TooManySessions`] of who is to own it.
pub async fn transfer(
    directory: &Directory,
    call: Transfer,
) -> Result<Committed<Session>, Refusal> {
    let now = directory.clock.now();
    let outbox = &Draft::new(directory, now);
    let (call, tenant) = (&call, &*directory.config.tenant);
    let (id, caller) = (call.session_id, call.caller);
    let committed = directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, caller, now).await?;
            let before = visible(&tx, tenant, id, caller.user_id).await?;
            if !before.role.is_some_and(Role::may_transfer) {
                return Err(forbidden("needs the role owner"));
            }
            participant(&before, call.user_id)?;
            if call.user_id == caller.user_id {
                return Ok(Committed::nothing_to_send(before));
            }
            may_own_one_more(&tx, tenant, call.user_id).await?;
            let both = [caller.user_id, call.user_id];
            decided::forget(&tx, tenant, id, Some(both)).await?;
            set_role(&tx, tenant, id, caller.user_id, Role::Admin).await?;
            set_role(&tx, tenant, id, call.user_id, Role::Owner).await?;
            set_owner(&tx, tenant, id, call.user_id, now).await?;
            let session = raise(&tx, tenant, id, caller.user_id).await?;
            let told = telling(&session, caller, now).role_changed(call.user_id, Role::Owner);
            let letters = vec![(id, access(&session)).into(), told];
            outbox.commit_each(&tx, tenant, letters, session).await
        })
        .await?;
    if !committed.outbox.is_empty() {
        let (from, to) = (caller.user_id, call.user_id);
        tracing::info!(session.id = %id, user.from = %from, user.to = %to, "a session was handed over");
    }
    Ok(committed)
}

/// [`MayEdit`].
///
/// # Errors
/// [`ErrorCode::SessionNotFound`]; [`ErrorCode::Forbidden`] for who may not edit, as the lock and
/// their role are now.
pub async fn may_edit(directory: &Directory, call: MayEdit) -> Result<AccessNotice, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let (id, caller) = (call.session_id, call.caller);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, caller, now).await?;
            let session = visible(&tx, tenant, id, caller.user_id).await?;
            match session.role {
                Some(role) if role.may_edit(session.is_locked) => Ok(notice(&session, false)),
                Some(role) if role.may_edit(false) => {
                    Err(forbidden("the session is locked: only its owner edits it"))
                }
                _ => Err(forbidden("needs the role editor, admin or owner")),
            }
        })
        .await
}

// ---- Rules, as refusals ----

fn forbidden(detail: &str) -> Refusal {
    Refusal::with_detail(ErrorCode::Forbidden, detail)
}

fn administers(session: &Session) -> Result<(), Refusal> {
    match session.role {
        Some(role) if role.may_administer() => Ok(()),
        _ => Err(forbidden("needs the role admin or owner")),
    }
}

fn may_grant(session: &Session, granted: Role) -> Result<(), Refusal> {
    administers(session)?;
    match session.role {
        Some(role) if role.may_grant(granted) => Ok(()),
        _ => Err(forbidden(
            "nobody gives a role above their own, or the owner's",
        )),
    }
}

fn may_manage(session: &Session, target: Role) -> Result<(), Refusal> {
    match session.role {
        Some(role) if role.may_manage(target) => Ok(()),
        _ => Err(forbidden("needs a role above that participant's")),
    }
}

fn may_leave(session: &Session, user_id: UserId) -> Result<(), Refusal> {
    if participant(session, user_id)?.role.may_leave() {
        Ok(())
    } else {
        Err(Refusal::new(ErrorCode::OwnerStays))
    }
}

fn has_place(session: &Session) -> Result<(), Refusal> {
    let present = u32::try_from(session.participants.len()).unwrap_or(u32::MAX);
    if present < session.max_participants {
        Ok(())
    } else {
        Err(Refusal::new(ErrorCode::SessionFull))
    }
}

fn participant(session: &Session, user_id: UserId) -> Result<&Participant, Refusal> {
    let found = session.participants.iter().find(|p| p.user_id == user_id);
    found.ok_or_else(|| Refusal::new(ErrorCode::ParticipantNotFound))
}

// ---- Rows ----

async fn set_role(
    tx: &Tx,
    tenant: &str,
    id: SessionId,
    user_id: UserId,
    role: Role,
) -> Result<(), Refusal> {
    let sql = "UPDATE participant SET role = ? WHERE tenant = ? AND session_id = ? AND user_id = ?";
    let values = [
        role.as_str().into(),
        tenant.into(),
        id.into(),
        user_id.into(),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

async fn set_owner(
    tx: &Tx,
    tenant: &str,
    id: SessionId,
    owner: UserId,
    now: Timestamp,
) -> Result<(), Refusal> {
    let sql = "UPDATE session SET owner_id = ?, updated_at = ? WHERE tenant = ? AND id = ?";
    let values = [owner.into(), now.into(), tenant.into(), id.into()];
    tx.execute(sql, values).await?;
    Ok(())
}

/// Raises the access version, and gives the session as it is then for `user_id`, who may have
/// left.
async fn raise(tx: &Tx, tenant: &str, id: SessionId, user_id: UserId) -> Result<Session, Refusal> {
    let sql = "UPDATE session SET access_version = access_version + 1 \
               WHERE tenant = ? AND id = ?";
    tx.execute(sql, [tenant.into(), id.into()]).await?;
    read(tx, tenant, id, user_id).await
}

fn access(session: &Session) -> RoomMessage {
    RoomMessage::Access {
        notice: notice(session, false),
    }
}

/// Tells those whom the caller's change is about.
fn telling(session: &Session, caller: Caller, now: Timestamp) -> Telling<'_> {
    let by = caller.user_id;
    Telling { session, by, now }
}

/// The session with the pass of one of its participants.
fn joined(
    session: Session,
    caller: Caller,
    expires_at: Timestamp,
) -> Result<JoinedSession, Refusal> {
    let participant = participant(&session, caller.user_id)?;
    let pass = Principal {
        user_id: caller.user_id,
        login_session_id: caller.login_session_id,
        username: participant.username.clone(),
        display_name: participant.display_name.clone(),
        role: participant.role,
        access_version: session.access_version,
        expires_at,
    };
    Ok(JoinedSession { session, pass })
}
