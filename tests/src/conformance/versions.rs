//! Versions of a session's document, and forks.

use anyhow::{Context as _, Result, ensure};
use codecrafter_shared::api::{
    DiffLineKind, FileChange, ForkOf, ForkSession, Page, RestoredVersion, Session, TakeVersion,
    UpdateSession, Version, VersionContent, VersionDiff, VersionKind,
};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use reqwest::Method;

use super::document::{content, path, session, write};
use crate::client::{Answer, Client};
use crate::world::World;

async fn take(who: &Client, session: &Session, message: Option<&str>) -> Result<Answer> {
    let message = message.map(str::to_owned);
    who.post(&path(session, "/versions"), &TakeVersion { message })
        .await
}

async fn taken(who: &Client, session: &Session, message: &str) -> Result<Version> {
    take(who, session, Some(message)).await?.expect(201)
}

async fn list(who: &Client, session: &Session, query: &str) -> Result<Page<Version>> {
    who.get(&path(session, &format!("/versions{query}")))
        .await?
        .expect(200)
}

async fn restore(who: &Client, session: &Session, number: u64) -> Result<Answer> {
    let path = path(session, &format!("/versions/{number}/restore"));
    who.send(who.request(Method::POST, &path)).await
}

async fn delete(who: &Client, path: &str) -> Result<Answer> {
    who.send(who.request(Method::DELETE, path)).await
}

async fn set(owner: &Client, session: &Session, update: &UpdateSession) -> Result<()> {
    let answer = owner
        .json(Method::PATCH, &path(session, ""), update)
        .await?;
    answer.expect::<Session>(200)?;
    Ok(())
}

pub async fn a_version_keeps_the_text_of_its_moment(world: World) -> Result<()> {
    let owner = world.user().await?;
    let session = session(&owner, "one\n").await?;
    let answer = take(&owner, &session, Some("  as it began ")).await?;
    let location = answer.headers.get("location").context("no Location")?;
    let location = location.to_str()?.to_owned();
    let first: Version = answer.expect(201)?;
    ensure!(
        first.message.as_deref() == Some("as it began")
            && first.kind == VersionKind::Manual
            && first.user_id == Some(owner.user()?.id)
            && first.display_name.as_deref() == Some(&*owner.user()?.display_name)
            && first.bytes == 4
            && first.file_count == 0,
        "{first:?}"
    );
    ensure!(location == path(&session, &format!("/versions/{}", first.number)));

    write(&owner, &session, "two 😀\n", &[("lib/a.py", "a")]).await?;
    let snapshots = path(&session, "/snapshots");
    let second = owner.post(&snapshots, &TakeVersion::default()).await?;
    let second: Version = second.expect(201)?;
    ensure!(second.number > first.number && second.message.is_none());
    write(&owner, &session, "three\n", &[]).await?;

    let read: VersionContent = owner.get(&location).await?.expect(200)?;
    ensure!(read.version == first && read.content == "one\n" && read.files.is_empty());
    let read = path(&session, &format!("/versions/{}", second.number));
    let read: VersionContent = owner.get(&read).await?.expect(200)?;
    ensure!(
        read.content == "two 😀\n" && read.files.len() == 1,
        "{read:?}"
    );
    ensure!(read.version.bytes == 10 && read.version.file_count == 1);

    let all = list(&owner, &session, "").await?;
    ensure!(
        all.total == 2 && all.items == [second.clone(), first.clone()],
        "{all:?}"
    );
    let page = list(&owner, &session, "?page=2&limit=1").await?;
    ensure!(page.items == [first] && page.total == 2, "{page:?}");
    let same: Page<Version> = owner.get(&snapshots).await?.expect(200)?;
    ensure!(same == all);
    for query in ["?page=0", "?limit=101", "?limit=x", "?sort=up"] {
        let answer = owner
            .get(&path(&session, &format!("/versions{query}")))
            .await?;
        answer.refused(ErrorCode::ValidationFailed)?;
    }
    Ok(())
}

pub async fn versions_are_compared_line_by_line(world: World) -> Result<()> {
    let owner = world.user().await?;
    let session = session(&owner, "a\nb\nc\n").await?;
    let one = taken(&owner, &session, "one").await?.number;
    write(&owner, &session, "a\nB\nc\n", &[("x.py", "1\n")]).await?;
    let two = taken(&owner, &session, "two").await?.number;
    write(&owner, &session, "a\nB\nc\nd\n", &[("x.py", "1\n")]).await?;

    let diff = async |number: u64, query: &str| -> Result<VersionDiff> {
        let path = path(&session, &format!("/versions/{number}/diff{query}"));
        owner.get(&path).await?.expect(200)
    };
    let told = diff(one, &format!("?with={two}")).await?;
    ensure!(told.from == one && told.to == Some(two) && !told.truncated);
    let [main, further] = told.files.as_slice() else {
        anyhow::bail!("{told:?}")
    };
    ensure!(
        main.path.is_none() && (main.added, main.removed) == (1, 1),
        "{main:?}"
    );
    let lines: Vec<_> = main.hunks[0]
        .lines
        .iter()
        .map(|l| (l.kind, &*l.text))
        .collect();
    let expected = [
        (DiffLineKind::Same, "a"),
        (DiffLineKind::Removed, "b"),
        (DiffLineKind::Added, "B"),
        (DiffLineKind::Same, "c"),
    ];
    ensure!(lines == expected, "{lines:?}");
    ensure!(further.path.as_deref() == Some("x.py") && further.change == FileChange::Added);

    let now = diff(two, "").await?;
    ensure!(
        now.to.is_none() && now.files.len() == 1 && now.files[0].added == 1,
        "{now:?}"
    );
    ensure!(diff(two, "?with=now").await? == now);
    ensure!(diff(two, &format!("?with={two}")).await?.files.is_empty());

    let not_found = ErrorCode::VersionNotFound;
    for rest in [
        "/99",
        "/0",
        "/x",
        "/-1",
        "/99/diff",
        "/1/diff?with=99",
        "/1/diff?with=x",
    ] {
        let path = path(&session, &format!("/versions{rest}"));
        owner.get(&path).await?.refused(not_found)?;
    }
    restore(&owner, &session, 99).await?.refused(not_found)?;
    Ok(())
}

pub async fn restoring_brings_a_text_back_and_keeps_what_it_takes_the_place_of(
    world: World,
) -> Result<()> {
    let owner = world.user().await?;
    let session = session(&owner, "one\n").await?;
    let one = taken(&owner, &session, "one").await?;
    write(&owner, &session, "two\n", &[("x.py", "1\n")]).await?;
    let restored: RestoredVersion = restore(&owner, &session, one.number).await?.expect(200)?;
    ensure!(restored.restored == one, "{restored:?}");
    let before = restored.before.context("nothing was kept")?;
    ensure!(before.kind == VersionKind::BeforeRestore && before.user_id == Some(owner.user()?.id));
    let now = content(&owner, &session).await?;
    ensure!(now.content == "one\n" && now.files.is_empty(), "{now:?}");

    // Back again, and what is kept already is not kept twice.
    let back: RestoredVersion = restore(&owner, &session, before.number)
        .await?
        .expect(200)?;
    let now = content(&owner, &session).await?;
    ensure!(now.content == "two\n" && now.files.len() == 1, "{now:?}");
    ensure!(back.before.is_some(), "{back:?}");
    let again: RestoredVersion = restore(&owner, &session, before.number)
        .await?
        .expect(200)?;
    ensure!(again.before.is_none(), "{again:?}");
    ensure!(list(&owner, &session, "").await?.total == 3);
    Ok(())
}

pub async fn roles_and_locks_hold_for_versions(world: World) -> Result<()> {
    let (owner, editor, viewer, stranger) = (
        world.user().await?,
        world.user().await?,
        world.user().await?,
        world.user().await?,
    );
    let session = session(&owner, "one\n").await?;
    let one = taken(&owner, &session, "one").await?.number;
    editor.joined(&session).await?;
    let viewers = UpdateSession {
        join_role: Some(Role::Viewer),
        ..Default::default()
    };
    set(&owner, &session, &viewers).await?;
    viewer.joined(&session).await?;
    let version = path(&session, &format!("/versions/{one}"));

    let forbidden = ErrorCode::Forbidden;
    for who in [&viewer, &stranger] {
        ensure!(list(who, &session, "").await?.total == 1);
        who.get(&version).await?.expect::<VersionContent>(200)?;
        take(who, &session, None).await?.refused(forbidden)?;
        restore(who, &session, one).await?.refused(forbidden)?;
        delete(who, &version).await?.refused(forbidden)?;
    }
    delete(&editor, &version).await?.refused(forbidden)?;
    write(&editor, &session, "two\n", &[]).await?;
    let own = taken(&editor, &session, "own").await?.number;
    restore(&editor, &session, one)
        .await?
        .expect::<RestoredVersion>(200)?;

    let lock = |locked| UpdateSession {
        is_locked: Some(locked),
        ..Default::default()
    };
    set(&owner, &session, &lock(true)).await?;
    restore(&editor, &session, own).await?.refused(forbidden)?;
    taken(&editor, &session, "while it is locked").await?;
    restore(&owner, &session, own)
        .await?
        .expect::<RestoredVersion>(200)?;
    set(&owner, &session, &lock(false)).await?;

    let own = path(&session, &format!("/versions/{own}"));
    ensure!(delete(&editor, &own).await?.status == 204);
    ensure!(delete(&owner, &version).await?.status == 204);
    delete(&owner, &version)
        .await?
        .refused(ErrorCode::VersionNotFound)?;

    let private = UpdateSession {
        is_public: Some(false),
        ..Default::default()
    };
    set(&owner, &session, &private).await?;
    let not_found = ErrorCode::SessionNotFound;
    stranger.get(&version).await?.refused(not_found)?;
    let versions = path(&session, "/versions");
    stranger.get(&versions).await?.refused(not_found)?;
    take(&stranger, &session, None).await?.refused(not_found)?;
    let fork = path(&session, "/fork");
    let answer = stranger.post(&fork, &ForkSession::default()).await?;
    answer.refused(not_found)?;
    world
        .stranger()
        .get(&versions)
        .await?
        .refused(ErrorCode::TokenMissing)?;
    Ok(())
}

pub async fn versions_have_limits(world: World) -> Result<()> {
    let owner = world.user().await?;
    let session = session(&owner, "one\n").await?;
    for bad in ["", " ", "two\nlines", &"x".repeat(201)] {
        let answer = take(&owner, &session, Some(bad)).await?;
        let problem = answer.refused(ErrorCode::ValidationFailed)?;
        ensure!(problem.errors[0].field == "message", "{problem:?}");
    }
    for n in 0..limits::VERSIONS_MANUAL_MAX {
        taken(&owner, &session, &format!("version {n}")).await?;
    }
    let answer = take(&owner, &session, None).await?;
    let problem = answer.refused(ErrorCode::TooManyVersions)?;
    ensure!(problem.detail.is_some_and(|detail| detail.contains("100")));
    let first = path(&session, "/versions/1");
    let deleted = owner.send(owner.request(Method::DELETE, &first)).await?;
    ensure!(deleted.status == 204);
    let next = taken(&owner, &session, "one more").await?.number;
    ensure!(next == 101, "a number was used twice: {next}");
    ensure!(list(&owner, &session, "").await?.total == 100);
    Ok(())
}

pub async fn a_session_is_forked_from_any_version(world: World) -> Result<()> {
    let (owner, reader) = (world.user().await?, world.user().await?);
    let session = session(&owner, "one\n").await?;
    write(&owner, &session, "one\n", &[("lib/a.py", "a = 1\n")]).await?;
    let one = taken(&owner, &session, "one").await?.number;
    write(&owner, &session, "two\n", &[]).await?;

    let fork = async |request: &ForkSession| -> Result<Session> {
        let answer = reader.post(&path(&session, "/fork"), request).await?;
        let location = answer.headers.get("location").context("no Location")?;
        let location = location.to_str()?.to_owned();
        let forked: Session = answer.expect(201)?;
        ensure!(location == path(&forked, ""));
        Ok(forked)
    };
    let now = fork(&ForkSession::default()).await?;
    let of = |version| ForkOf {
        session_id: session.id,
        version,
    };
    ensure!(
        now.title == "Document"
            && now.language == "python"
            && now.owner_id == reader.user()?.id
            && now.participants.len() == 1
            && !now.is_public
            && now.fork_of == Some(of(None))
            && now.forks == 0,
        "{now:?}"
    );
    ensure!(content(&reader, &now).await?.content == "two\n");
    let wanted = ForkSession {
        title: Some(" Mine ".into()),
        description: Some("from the first".into()),
        version: Some(one),
        step: None,
    };
    let then = fork(&wanted).await?;
    ensure!(then.title == "Mine" && then.description == "from the first");
    ensure!(then.fork_of == Some(of(Some(one))), "{then:?}");
    let text = content(&reader, &then).await?;
    ensure!(
        text.content == "one\n"
            && text.files.len() == 1
            && text.files[0].path == "lib/a.py"
            && text.files[0].content == "a = 1\n",
        "{text:?}"
    );
    // It is a session of its own.
    write(&reader, &then, "mine\n", &[]).await?;
    ensure!(content(&owner, &session).await?.content == "two\n");
    let origin: Session = owner.get(&path(&session, "")).await?.expect(200)?;
    ensure!(origin.forks == 2 && origin.fork_of.is_none(), "{origin:?}");

    let bad = ForkSession {
        title: Some(String::new()),
        ..Default::default()
    };
    let answer = reader.post(&path(&session, "/fork"), &bad).await?;
    answer.refused(ErrorCode::ValidationFailed)?;
    let missing = ForkSession {
        version: Some(77),
        ..Default::default()
    };
    let answer = reader.post(&path(&session, "/fork"), &missing).await?;
    answer.refused(ErrorCode::VersionNotFound)?;
    Ok(())
}
