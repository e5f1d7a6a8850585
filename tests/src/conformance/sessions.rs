//! Sessions and participants.

use anyhow::{Result, ensure};
use codecrafter_shared::api::{CreateSession, Page, Session, SessionSummary, UpdateSession};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use reqwest::Method;

use crate::world::World;

fn path(session: &Session) -> String {
    format!("/api/v1/sessions/{}", session.id)
}

fn private(title: &str) -> CreateSession {
    CreateSession {
        title: title.into(),
        language: "python".into(),
        ..Default::default()
    }
}

pub async fn one_user_owns_so_many_sessions(world: World) -> Result<()> {
    let owner = world.user().await?;
    let first = owner.create_session(&private("the first")).await?;
    for _ in 1..limits::SESSIONS_PER_OWNER_MAX {
        owner.create_session(&private("one more")).await?;
    }
    let beyond = private("too many");
    let create = || owner.post("/api/v1/sessions", &beyond);
    create().await?.refused(ErrorCode::TooManySessions)?;
    let deleted = owner
        .send(owner.request(Method::DELETE, &path(&first)))
        .await?;
    ensure!(deleted.status == 204, "{}", deleted.status);
    create().await?.expect::<Session>(201)?;
    create().await?.refused(ErrorCode::TooManySessions)?;
    Ok(())
}

pub async fn one_login_has_tokens_for_so_many_rooms(world: World) -> Result<()> {
    let (owner, guest) = (world.user().await?, world.user().await?);
    let max = usize::try_from(limits::ROOMS_PER_LOGIN_SESSION_MAX)?;
    let mut joined = Vec::new();
    while joined.len() < max {
        let session = world.public_session(&owner, Role::Viewer).await?;
        guest.joined(&session).await?;
        joined.push(session);
    }
    let beyond = world.public_session(&owner, Role::Viewer).await?;
    guest
        .join(&beyond)
        .await?
        .refused(ErrorCode::TooManyRooms)?;
    let seen: Session = guest.get(&path(&beyond)).await?.expect(200)?;
    ensure!(seen.role.is_none(), "joined all the same");
    for again in joined.iter().take(1) {
        guest.joined(again).await?;
    }
    owner.joined(&beyond).await?;
    Ok(())
}

pub async fn a_session_is_created_read_changed_and_deleted(world: World) -> Result<()> {
    let owner = world.user().await?;
    let created = owner.create_session(&private("  Two sums ")).await?;
    ensure!(
        created.title == "Two sums" && created.role == Some(Role::Owner),
        "{created:?}"
    );
    ensure!(!created.is_public && !created.is_locked && created.max_participants == 10);
    ensure!(created.participants.len() == 1, "{created:?}");
    let read: Session = owner.get(&path(&created)).await?.expect(200)?;
    ensure!(read == created, "{read:?} differs from {created:?}");
    let update = UpdateSession {
        title: Some("Three sums".into()),
        ..Default::default()
    };
    let changed: Session = owner
        .json(Method::PATCH, &path(&created), &update)
        .await?
        .expect(200)?;
    ensure!(
        changed.title == "Three sums" && changed.language == "python",
        "{changed:?}"
    );
    let deleted = owner
        .send(owner.request(Method::DELETE, &path(&created)))
        .await?;
    ensure!(deleted.status == 204, "{}", deleted.status);
    owner
        .get(&path(&created))
        .await?
        .refused(ErrorCode::SessionNotFound)?;
    let again = owner
        .send(owner.request(Method::DELETE, &path(&created)))
        .await?;
    again.refused(ErrorCode::SessionNotFound)?;
    Ok(())
}

pub async fn sessions_are_listed_in_pages_newest_change_first(world: World) -> Result<()> {
    let owner = world.user().await?;
    let mut ids = Vec::new();
    for title in ["one", "two", "three"] {
        ids.push(owner.create_session(&private(title)).await?.id);
    }
    let touch = UpdateSession {
        description: Some("touched".into()),
        ..Default::default()
    };
    let first = format!("/api/v1/sessions/{}", ids[0]);
    owner
        .json(Method::PUT, &first, &touch)
        .await?
        .expect::<Session>(200)?;
    let page: Page<SessionSummary> = owner
        .get("/api/v1/sessions?page=1&limit=2")
        .await?
        .expect(200)?;
    ensure!(
        page.total == 3 && page.limit == 2 && page.items.len() == 2,
        "{page:?}"
    );
    ensure!(
        page.items[0].id == ids[0],
        "the newest change is not first: {page:?}"
    );
    let rest: Page<SessionSummary> = owner
        .get("/api/v1/sessions?page=2&limit=2")
        .await?
        .expect(200)?;
    ensure!(
        rest.items.len() == 1 && rest.items[0].id == ids[1],
        "{rest:?}"
    );
    let none: Page<SessionSummary> = owner
        .get("/api/v1/sessions?language=rust")
        .await?
        .expect(200)?;
    ensure!(none.total == 0 && none.items.is_empty(), "{none:?}");
    for query in [
        "page=0",
        "limit=101",
        "page=x",
        "language=klingon",
        "colour=red",
    ] {
        let answer = owner.get(&format!("/api/v1/sessions?{query}")).await?;
        answer.refused(ErrorCode::ValidationFailed)?;
    }
    Ok(())
}

pub async fn a_private_session_of_others_is_not_there(world: World) -> Result<()> {
    let (owner, other) = (world.user().await?, world.user().await?);
    let session = owner.create_session(&private("mine")).await?;
    let not_found = ErrorCode::SessionNotFound;
    other.get(&path(&session)).await?.refused(not_found)?;
    other.join(&session).await?.refused(not_found)?;
    let update = UpdateSession {
        title: Some("yours".into()),
        ..Default::default()
    };
    other
        .json(Method::PUT, &path(&session), &update)
        .await?
        .refused(not_found)?;
    other
        .send(other.request(Method::DELETE, &path(&session)))
        .await?
        .refused(not_found)?;
    other
        .get("/api/v1/sessions/not-an-id")
        .await?
        .refused(not_found)?;
    world
        .stranger()
        .get(&path(&session))
        .await?
        .refused(ErrorCode::TokenMissing)?;
    let read: Session = owner.get(&path(&session)).await?.expect(200)?;
    ensure!(read.title == "mine");
    Ok(())
}

pub async fn a_public_session_is_joined_with_its_role_once(world: World) -> Result<()> {
    let (owner, guest) = (world.user().await?, world.user().await?);
    let session = world.public_session(&owner, Role::Editor).await?;
    let seen: Session = guest.get(&path(&session)).await?.expect(200)?;
    ensure!(seen.role.is_none(), "{seen:?}");
    let joined = guest.joined(&session).await?;
    ensure!(joined.session.role == Some(Role::Editor), "{joined:?}");
    ensure!(joined.session.participants.len() == 2, "{joined:?}");
    ensure!(
        joined.session.access_version > session.access_version,
        "{joined:?}"
    );
    ensure!(!joined.room_token.is_empty() && joined.room_token_expires_at > world.now());
    let again = guest.joined(&session).await?;
    ensure!(
        again.session == joined.session,
        "joining twice changed the session"
    );
    let listed: Page<SessionSummary> = guest.get("/api/v1/sessions").await?.expect(200)?;
    ensure!(
        listed.total == 1 && listed.items[0].role == Some(Role::Editor),
        "{listed:?}"
    );
    Ok(())
}

pub async fn a_full_session_takes_nobody_else(world: World) -> Result<()> {
    let owner = world.user().await?;
    let request = CreateSession {
        is_public: Some(true),
        max_participants: Some(2),
        ..private("small")
    };
    let session = owner.create_session(&request).await?;
    let first = world.user().await?;
    first.joined(&session).await?;
    let late = world.user().await?;
    late.join(&session).await?.refused(ErrorCode::SessionFull)?;
    first.joined(&session).await?;
    let shrink = UpdateSession {
        max_participants: Some(1),
        ..Default::default()
    };
    let answer = owner.json(Method::PUT, &path(&session), &shrink).await?;
    answer.refused(ErrorCode::ValidationFailed)?;
    Ok(())
}

pub async fn a_viewer_changes_nothing_and_runs_nothing(world: World) -> Result<()> {
    let (owner, viewer) = (world.user().await?, world.user().await?);
    let session = world.public_session(&owner, Role::Viewer).await?;
    viewer.joined(&session).await?;
    let update = UpdateSession {
        title: Some("mine now".into()),
        ..Default::default()
    };
    let forbidden = ErrorCode::Forbidden;
    viewer
        .json(Method::PUT, &path(&session), &update)
        .await?
        .refused(forbidden)?;
    viewer
        .send(viewer.request(Method::DELETE, &path(&session)))
        .await?
        .refused(forbidden)?;
    let run = serde_json::json!({ "sessionId": session.id });
    viewer
        .post("/api/v1/executions", &run)
        .await?
        .refused(forbidden)?;
    Ok(())
}

pub async fn a_lock_raises_the_access_version(world: World) -> Result<()> {
    let owner = world.user().await?;
    let session = world.public_session(&owner, Role::Editor).await?;
    let lock = UpdateSession {
        is_locked: Some(true),
        ..Default::default()
    };
    let locked: Session = owner
        .json(Method::PUT, &path(&session), &lock)
        .await?
        .expect(200)?;
    ensure!(
        locked.is_locked && locked.access_version == session.access_version + 1,
        "{locked:?}"
    );
    let again: Session = owner
        .json(Method::PUT, &path(&session), &lock)
        .await?
        .expect(200)?;
    ensure!(again.access_version == locked.access_version, "{again:?}");
    Ok(())
}
