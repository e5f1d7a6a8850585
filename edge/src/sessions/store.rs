//! Sessions and participants in the Directory's database.

use codecrafter_shared::api::{CreateSession, Participant, Session};
use codecrafter_shared::error::{ErrorCode, FieldError};
use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;

use super::calls::{Create, Delete, Get, Update};
use super::decided;
use super::list::search_text;
use super::origin;
use crate::accounts::store::authorize;
use crate::directory::Directory;
use crate::directory::outbox::{Committed, Draft, RoomMessage};
use crate::error::Refusal;
use crate::notifications::telling::Telling;
use crate::ports::{Row, Tx, Value};
use crate::room::AccessNotice;

/// The tables, one statement each.
pub const SCHEMA: &[&str] = &[
    "CREATE TABLE session (
        tenant TEXT, id TEXT, title TEXT, description TEXT, search_text TEXT, language TEXT,
        is_public INTEGER, is_locked INTEGER, join_role TEXT, max_participants INTEGER,
        owner_id TEXT, access_version INTEGER, created_at INTEGER, updated_at INTEGER,
        deleted_at INTEGER, PRIMARY KEY (tenant, id)) WITHOUT ROWID",
    "CREATE INDEX session_by_owner ON session (tenant, owner_id) WHERE deleted_at IS NULL",
    "CREATE INDEX session_public ON session (tenant, updated_at, id) \
     WHERE is_public = 1 AND deleted_at IS NULL",
    "CREATE INDEX session_public_by_language ON session (tenant, language, updated_at, id) \
     WHERE is_public = 1 AND deleted_at IS NULL",
    "CREATE TABLE participant (
        tenant TEXT, session_id TEXT, user_id TEXT, role TEXT, joined_at INTEGER,
        PRIMARY KEY (tenant, session_id, user_id)) WITHOUT ROWID",
    "CREATE INDEX participant_by_user ON participant (tenant, user_id, session_id)",
];

/// [`Create`].
///
/// # Errors
/// [`ErrorCode::LoginSessionEnded`]; [`ErrorCode::TooManySessions`].
pub async fn create(directory: &Directory, call: Create) -> Result<Committed<Session>, Refusal> {
    let now = directory.clock.now();
    let id = SessionId::at(now, directory.rng.bytes());
    let outbox = &Draft::new(directory, now);
    let (call, tenant) = (&call, &*directory.config.tenant);
    let (caller, request) = (call.caller, &call.request);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, caller, now).await?;
            may_own_one_more(&tx, tenant, caller.user_id).await?;
            insert(&tx, tenant, id, caller.user_id, request, now).await?;
            let session = visible(&tx, tenant, id, caller.user_id).await?;
            let content = request.content.clone().unwrap_or_default();
            let created = RoomMessage::Created {
                content,
                files: Vec::new(),
                notice: notice(&session, false),
            };
            outbox.commit(&tx, tenant, id, created, session).await
        })
        .await
}

/// Writes a new session, with its owner in it.
pub(super) async fn insert(
    tx: &Tx,
    tenant: &str,
    id: SessionId,
    owner: UserId,
    settings: &CreateSession,
    now: Timestamp,
) -> Result<(), Refusal> {
    let title = settings.title.trim();
    let description = settings.description.as_deref().unwrap_or_default().trim();
    tx.execute(
        "INSERT INTO session (tenant, id, title, description, search_text, language, \
         is_public, is_locked, join_role, max_participants, owner_id, access_version, \
         created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, 1, ?, ?)",
        [
            tenant.into(),
            id.into(),
            title.into(),
            description.into(),
            search_text(title, description).into(),
            (&settings.language).into(),
            settings.is_public.unwrap_or(false).into(),
            settings.join_role.unwrap_or(Role::Viewer).as_str().into(),
            settings
                .max_participants
                .unwrap_or(limits::PARTICIPANTS_DEFAULT)
                .into(),
            owner.into(),
            now.into(),
            now.into(),
        ],
    )
    .await?;
    add_participant(tx, tenant, id, owner, Role::Owner, now.into()).await
}

/// Rows of sessions that one user owns, as many as may be.
pub(crate) const OWNED: &str = "SELECT count(*) AS n FROM (SELECT 1 FROM session \
     INDEXED BY session_by_owner WHERE tenant = ? AND owner_id = ? AND deleted_at IS NULL LIMIT ?)";

/// Who owns as many sessions as one may gets no other.
pub(super) async fn may_own_one_more(tx: &Tx, tenant: &str, user: UserId) -> Result<(), Refusal> {
    let max = limits::SESSIONS_PER_OWNER_MAX;
    let owned = tx.first(OWNED, [tenant.into(), user.into(), max.into()]);
    let owned: u32 = owned.await?.map_or(Ok(0), |row| row.get("n"))?;
    if owned >= max {
        let detail = format!("{max} are owned already");
        return Err(Refusal::with_detail(ErrorCode::TooManySessions, detail));
    }
    Ok(())
}

/// [`Get`].
///
/// # Errors
/// [`ErrorCode::SessionNotFound`], also for a private session of others.
pub async fn get(directory: &Directory, call: Get) -> Result<Session, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            visible(&tx, tenant, call.session_id, call.caller.user_id).await
        })
        .await
}

/// [`Update`].
///
/// # Errors
/// [`ErrorCode::SessionNotFound`]; [`ErrorCode::Forbidden`] below the role admin;
/// [`ErrorCode::ValidationFailed`] for fewer places than participants.
pub async fn update(directory: &Directory, call: Update) -> Result<Committed<Session>, Refusal> {
    let now = directory.clock.now();
    let outbox = &Draft::new(directory, now);
    let (call, tenant) = (&call, &*directory.config.tenant);
    let (id, user_id, request) = (call.session_id, call.caller.user_id, &call.request);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let before = visible(&tx, tenant, id, user_id).await?;
            if !before.role.is_some_and(Role::may_administer) {
                return Err(Refusal::with_detail(
                    ErrorCode::Forbidden,
                    "needs the role admin or owner",
                ));
            }
            let present = u32::try_from(before.participants.len()).unwrap_or(u32::MAX);
            if request.max_participants.is_some_and(|max| max < present) {
                let message = format!("is not below the {present} who have joined");
                let field = "maxParticipants".into();
                return Err(Refusal::fields(vec![FieldError { field, message }]));
            }
            let lock_changes = request
                .is_locked
                .is_some_and(|locked| locked != before.is_locked);
            let title = request.title.as_deref().unwrap_or(&before.title).trim();
            let description = request.description.as_deref();
            let description = description.unwrap_or(&before.description).trim();
            tx.execute(
                "UPDATE session SET title = ?3, description = ?4, search_text = ?12, \
                 language = coalesce(?5, language), \
                 is_public = coalesce(?6, is_public), is_locked = coalesce(?7, is_locked), \
                 join_role = coalesce(?8, join_role), \
                 max_participants = coalesce(?9, max_participants), \
                 access_version = access_version + ?10, updated_at = ?11 \
                 WHERE tenant = ?1 AND id = ?2",
                [
                    tenant.into(),
                    id.into(),
                    title.into(),
                    description.into(),
                    request.language.as_deref().into(),
                    request.is_public.into(),
                    request.is_locked.into(),
                    request.join_role.map(Role::as_str).into(),
                    request.max_participants.into(),
                    lock_changes.into(),
                    now.into(),
                    search_text(title, description).into(),
                ],
            )
            .await?;
            let session = visible(&tx, tenant, id, user_id).await?;
            if !lock_changes {
                return Ok(Committed::nothing_to_send(session));
            }
            let changed = RoomMessage::Access {
                notice: notice(&session, false),
            };
            let by = user_id;
            let telling = Telling {
                session: &session,
                by,
                now,
            };
            let mut letters = vec![(id, changed).into()];
            letters.extend(telling.lock(session.is_locked));
            outbox.commit_each(&tx, tenant, letters, session).await
        })
        .await
}

/// [`Delete`].
///
/// # Errors
/// [`ErrorCode::SessionNotFound`]; [`ErrorCode::Forbidden`] for everybody but the owner.
pub async fn delete(directory: &Directory, call: Delete) -> Result<Committed<()>, Refusal> {
    let now = directory.clock.now();
    let outbox = &Draft::new(directory, now);
    let (id, caller, tenant) = (call.session_id, call.caller, &*directory.config.tenant);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, caller, now).await?;
            let mut session = visible(&tx, tenant, id, caller.user_id).await?;
            if !session.role.is_some_and(Role::may_delete) {
                return Err(Refusal::with_detail(
                    ErrorCode::Forbidden,
                    "needs the role owner",
                ));
            }
            let sql = "UPDATE session SET deleted_at = ?, access_version = access_version + 1 \
                       WHERE tenant = ? AND id = ?";
            tx.execute(sql, [now.into(), tenant.into(), id.into()])
                .await?;
            decided::forget(&tx, tenant, id, None).await?;
            session.access_version = session.access_version.saturating_add(1);
            // The room forgets what it holds, and who was there.
            session.participants.clear();
            let deleted = RoomMessage::Access {
                notice: notice(&session, true),
            };
            outbox.commit(&tx, tenant, id, deleted, ()).await
        })
        .await
}

/// The session, if the user may know of it: as a participant, or because it is public.
///
/// # Errors
/// [`ErrorCode::SessionNotFound`].
pub async fn visible(
    tx: &Tx,
    tenant: &str,
    id: SessionId,
    user_id: UserId,
) -> Result<Session, Refusal> {
    let session = read(tx, tenant, id, user_id).await?;
    if session.role.is_none() && !session.is_public {
        Err(Refusal::new(ErrorCode::SessionNotFound))
    } else {
        Ok(session)
    }
}

/// The session, whoever asks.
///
/// # Errors
/// [`ErrorCode::SessionNotFound`].
pub(super) async fn read(
    tx: &Tx,
    tenant: &str,
    id: SessionId,
    user_id: UserId,
) -> Result<Session, Refusal> {
    let not_found = || Refusal::new(ErrorCode::SessionNotFound);
    let sql = "SELECT * FROM session WHERE tenant = ? AND id = ? AND deleted_at IS NULL";
    let row = tx
        .first(sql, [tenant.into(), id.into()])
        .await?
        .ok_or_else(not_found)?;
    let sql = "SELECT p.user_id, p.role, p.joined_at, a.username, a.display_name \
               FROM participant p JOIN account a ON a.tenant = p.tenant AND a.id = p.user_id \
               WHERE p.tenant = ? AND p.session_id = ? ORDER BY p.joined_at, p.user_id";
    let rows = tx.execute(sql, [tenant.into(), id.into()]).await?;
    let participants = rows
        .into_iter()
        .map(|row| participant(&row))
        .collect::<Result<Vec<_>, Refusal>>()?;
    let role = participants
        .iter()
        .find(|p| p.user_id == user_id)
        .map(|p| p.role);
    let (fork_of, forks) = origin::read(tx, tenant, id).await?;
    Ok(Session {
        id,
        title: row.get("title")?,
        description: row.get("description")?,
        language: row.get("language")?,
        is_public: row.get("is_public")?,
        is_locked: row.get("is_locked")?,
        join_role: row.parse("join_role", Role::from_name)?,
        max_participants: row.get("max_participants")?,
        owner_id: row.get("owner_id")?,
        role,
        access_version: row.get("access_version")?,
        participants,
        fork_of,
        forks,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn participant(row: &Row) -> Result<Participant, Refusal> {
    Ok(Participant {
        user_id: row.get("user_id")?,
        username: row.get("username")?,
        display_name: row.get("display_name")?,
        role: row.parse("role", Role::from_name)?,
        joined_at: row.get("joined_at")?,
    })
}

pub(super) async fn add_participant(
    tx: &Tx,
    tenant: &str,
    id: SessionId,
    user_id: UserId,
    role: Role,
    joined_at: Value,
) -> Result<(), Refusal> {
    let sql = "INSERT INTO participant (tenant, session_id, user_id, role, joined_at) \
               VALUES (?, ?, ?, ?, ?)";
    let values = [
        tenant.into(),
        id.into(),
        user_id.into(),
        role.as_str().into(),
        joined_at,
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// What the room has to know about who may do what.
pub(super) fn notice(session: &Session, deleted: bool) -> AccessNotice {
    AccessNotice {
        access_version: session.access_version,
        locked: session.is_locked,
        deleted,
        participants: session
            .participants
            .iter()
            .map(|p| (p.user_id, p.role))
            .collect(),
    }
}
