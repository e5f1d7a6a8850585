//! The history of a session's document, for playback.

use anyhow::{Context as _, Result, ensure};
use codecrafter_shared::api::{
    FileChange, ForkOf, ForkSession, HistoryPage, RestoredStep, Session, SessionContent,
    UpdateSession, VersionKind,
};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::job::SourceFile;
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use reqwest::Method;

use super::document::{content, path, session, write};
use crate::client::{Answer, Client};
use crate::world::World;

async fn read(who: &Client, session: &Session, query: &str) -> Result<HistoryPage> {
    who.get(&path(session, &format!("/history{query}")))
        .await?
        .expect(200)
}

async fn restore(who: &Client, session: &Session, step: &str) -> Result<Answer> {
    let path = path(session, &format!("/history/{step}/restore"));
    who.send(who.request(Method::POST, &path)).await
}

/// The text with the steps of a page made in it, as a client makes them.
fn after(page: &HistoryPage) -> Result<SessionContent> {
    let mut text = page.start.clone();
    for file in page.steps.iter().flat_map(|step| &step.files) {
        let at = |path: &String| text.files.iter().position(|file| file.path == *path);
        let old = match &file.path {
            None => text.content.clone(),
            Some(path) => at(path).map_or(String::new(), |n| text.files.remove(n).content),
        };
        let mut units: Vec<u16> = old.encode_utf16().collect();
        for splice in file.splices.iter().rev() {
            let (at, removed) = (splice.at as usize, splice.removed as usize);
            ensure!(at + removed <= units.len(), "{splice:?} is outside");
            units.splice(at..at + removed, splice.inserted.encode_utf16());
        }
        let content = String::from_utf16(&units)?;
        match &file.path {
            None => text.content = content,
            Some(_) if file.change == FileChange::Removed => {}
            Some(path) => {
                let path = path.clone();
                text.files.push(SourceFile { path, content });
                text.files.sort_by(|a, b| a.path.cmp(&b.path));
            }
        }
    }
    Ok(text)
}

pub async fn the_history_tells_who_has_changed_what_and_when_page_by_page(
    world: World,
) -> Result<()> {
    let (owner, editor) = (world.user().await?, world.user().await?);
    let session = session(&owner, "one\n").await?;
    editor.joined(&session).await?;
    // Two people in turn, so each edit is a step.
    let mut texts = vec![SessionContent::default(), content(&owner, &session).await?];
    type Files<'a> = &'a [(&'a str, &'a str)];
    let edits: [(&Client, &str, Files<'_>); 4] = [
        (&owner, "one\ntwo 😀\n", &[]),
        (&editor, "one\ntwo 😀!\n", &[("lib/a.py", "a = 1\n")]),
        (&owner, "zero\none\ntwo 😀!\n", &[("lib/a.py", "a = 2\n")]),
        (&editor, "zero\n", &[]),
    ];
    for (who, text, files) in edits {
        write(who, &session, text, files).await?;
        texts.push(content(&owner, &session).await?);
    }

    let whole = read(&owner, &session, "").await?;
    ensure!(
        (whole.first, whole.last, whole.from, whole.next) == (1, 5, 1, None),
        "{whole:?}"
    );
    ensure!(after(&whole)? == texts[5], "{whole:?}");
    let (first, second) = (owner.user()?, editor.user()?);
    let told: Vec<_> = whole.steps.iter().map(|step| &*step.user_ids).collect();
    let (by_owner, by_editor) = ([first.id], [second.id]);
    let expected: [&[_]; 5] = [&[], &by_owner, &by_editor, &by_owner, &by_editor];
    ensure!(told == expected, "{told:?}");
    let times: Vec<_> = whole.steps.iter().map(|step| step.at).collect();
    ensure!(times.is_sorted(), "{times:?}");
    for user in [first, second] {
        let person = whole.people.iter().find(|p| p.user_id == user.id);
        let person = person.context("somebody has no name")?;
        ensure!(person.display_name == user.display_name, "{person:?}");
    }
    let changes: Vec<_> = whole.steps.iter().flat_map(|step| &step.files).collect();
    let changes = changes.iter().filter(|file| file.path.is_some());
    let changes: Vec<_> = changes.map(|file| file.change).collect();
    let expected = [FileChange::Added, FileChange::Changed, FileChange::Removed];
    ensure!(changes == expected, "{changes:?}");

    let mut next = Some(1);
    for (from, text) in (1..).zip(&texts[1..]) {
        ensure!(next == Some(from));
        let page = read(&owner, &session, &format!("?from={from}&limit=1")).await?;
        ensure!(
            page.steps.len() == 1 && page.steps[0].number == from,
            "{page:?}"
        );
        ensure!(after(&page)? == *text, "{page:?}");
        next = page.next;
    }
    ensure!(next.is_none());
    let behind = read(&owner, &session, "?from=900&limit=1").await?;
    ensure!(behind.from == 6 && behind.steps.is_empty() && behind.start == texts[5]);
    for query in ["?from=0", "?from=x", "?limit=0", "?limit=1001", "?page=1"] {
        let path = path(&session, &format!("/history{query}"));
        owner
            .get(&path)
            .await?
            .refused(ErrorCode::ValidationFailed)?;
    }
    Ok(())
}

pub async fn many_edits_are_told_as_they_were_after_the_room_has_made_one_state_of_them(
    world: World,
) -> Result<()> {
    let (owner, editor) = (world.user().await?, world.user().await?);
    let session = session(&owner, "0\n").await?;
    editor.joined(&session).await?;
    // A state is made of 200 updates at the latest; nobody may write so often in a minute.
    let writers = [
        (&owner, "a".repeat(150_000)),
        (&editor, "b".repeat(150_000)),
        (&owner, "c".repeat(150_000)),
        (&editor, "d\n".repeat(70_000)),
        (&owner, "e\n".repeat(70_000)),
        (&editor, "f\n".repeat(70_000)),
    ];
    for (who, text) in &writers {
        write(who, &session, text, &[]).await?;
    }
    let (mut next, mut steps, mut end) = (Some(1), 0, SessionContent::default());
    while let Some(from) = next {
        let page = read(&editor, &session, &format!("?from={from}")).await?;
        ensure!(page.start == end && page.last == 7, "a page from {from}");
        steps += page.steps.len();
        end = after(&page)?;
        next = page.next;
    }
    ensure!(steps == 7, "{steps}");
    ensure!(end == content(&owner, &session).await?);
    Ok(())
}

pub async fn whoever_may_read_versions_may_read_the_history(world: World) -> Result<()> {
    let (owner, viewer, stranger) = (
        world.user().await?,
        world.user().await?,
        world.user().await?,
    );
    let session = session(&owner, "one\n").await?;
    write(&owner, &session, "two\n", &[]).await?;
    let set = async |update: UpdateSession| -> Result<()> {
        let answer = owner
            .json(Method::PATCH, &path(&session, ""), &update)
            .await?;
        answer.expect::<Session>(200)?;
        Ok(())
    };
    set(UpdateSession {
        join_role: Some(Role::Viewer),
        ..Default::default()
    })
    .await?;
    viewer.joined(&session).await?;
    for who in [&viewer, &stranger] {
        ensure!(read(who, &session, "").await?.last == 2);
        let answer = restore(who, &session, "1").await?;
        answer.refused(ErrorCode::Forbidden)?;
    }
    set(UpdateSession {
        is_public: Some(false),
        ..Default::default()
    })
    .await?;
    ensure!(read(&viewer, &session, "").await?.last == 2);
    let not_found = ErrorCode::SessionNotFound;
    let all = path(&session, "/history");
    stranger.get(&all).await?.refused(not_found)?;
    restore(&stranger, &session, "1")
        .await?
        .refused(not_found)?;
    let fork = ForkSession {
        step: Some(1),
        ..Default::default()
    };
    let answer = stranger.post(&path(&session, "/fork"), &fork).await?;
    answer.refused(not_found)?;
    let nobody = world.stranger().get(&all).await?;
    nobody.refused(ErrorCode::TokenMissing)?;

    let deleted = owner.send(owner.request(Method::DELETE, &path(&session, "")));
    ensure!(deleted.await?.status == 204);
    owner.get(&all).await?.refused(not_found)?;
    Ok(())
}

pub async fn a_moment_of_the_history_is_brought_back_or_forked(world: World) -> Result<()> {
    let (owner, editor, reader) = (
        world.user().await?,
        world.user().await?,
        world.user().await?,
    );
    let session = session(&owner, "one\n").await?;
    editor.joined(&session).await?;
    write(&editor, &session, "two\n", &[("lib/a.py", "a = 1\n")]).await?;
    write(&owner, &session, "three\n", &[]).await?;

    let restored: RestoredStep = restore(&editor, &session, "2").await?.expect(200)?;
    let before = restored.before.context("nothing was kept")?;
    ensure!(restored.step == 2 && before.kind == VersionKind::BeforeRestore);
    ensure!(before.user_id == Some(editor.user()?.id), "{before:?}");
    let now = content(&owner, &session).await?;
    ensure!(now.content == "two\n" && now.files.len() == 1, "{now:?}");
    let told = read(&owner, &session, "?from=3").await?;
    let last = told.steps.last().context("the restore is no step")?;
    ensure!(last.user_ids == [editor.user()?.id], "{told:?}");

    let fork = async |request: &ForkSession| -> Result<Answer> {
        reader.post(&path(&session, "/fork"), request).await
    };
    let then = ForkSession {
        step: Some(1),
        ..Default::default()
    };
    let forked: Session = fork(&then).await?.expect(201)?;
    let origin = ForkOf {
        session_id: session.id,
        version: None,
    };
    ensure!(forked.fork_of == Some(origin), "{forked:?}");
    ensure!(content(&reader, &forked).await?.content == "one\n");

    let restored: RestoredStep = restore(&owner, &session, "0").await?.expect(200)?;
    ensure!(restored.step == 0);
    ensure!(content(&owner, &session).await? == SessionContent::default());

    let not_found = ErrorCode::StepNotFound;
    for step in ["900", "x", "-1"] {
        restore(&owner, &session, step).await?.refused(not_found)?;
    }
    let missing = ForkSession {
        step: Some(900),
        ..Default::default()
    };
    fork(&missing).await?.refused(not_found)?;
    let both = ForkSession {
        step: Some(1),
        version: Some(1),
        ..Default::default()
    };
    fork(&both).await?.refused(ErrorCode::ValidationFailed)?;
    let locked = UpdateSession {
        is_locked: Some(true),
        ..Default::default()
    };
    let answer = owner
        .json(Method::PATCH, &path(&session, ""), &locked)
        .await?;
    answer.expect::<Session>(200)?;
    let answer = restore(&editor, &session, "1").await?;
    answer.refused(ErrorCode::Forbidden)?;
    Ok(())
}

pub async fn a_page_of_the_history_is_bounded(world: World) -> Result<()> {
    let owner = world.user().await?;
    let session = session(&owner, "").await?;
    let other = world.user().await?;
    other.joined(&session).await?;
    for n in 0..6 {
        let who = if n % 2 == 0 { &owner } else { &other };
        let letter = if n % 2 == 0 { "x" } else { "y" };
        write(who, &session, &letter.repeat(250_000), &[]).await?;
    }
    let max = format!("?limit={}", limits::HISTORY_STEPS_MAX);
    let page = read(&owner, &session, &max).await?;
    let inserted = page.steps.iter().flat_map(|step| &step.files);
    let inserted = inserted.flat_map(|file| &file.splices);
    let bytes: usize = inserted.map(|splice| splice.inserted.len()).sum();
    ensure!(bytes < limits::HISTORY_PAGE_BYTES_MAX + 250_001, "{bytes}");
    ensure!(page.last == 6 && page.next.is_some() && !page.steps.is_empty());
    Ok(())
}
