//! A session's document without a socket.

use anyhow::{Context as _, Result, ensure};
use codecrafter_shared::api::{Session, SessionContent, UpdateSession, WriteContent};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::SourceFile;
use codecrafter_shared::limits;
use futures_util::future::join_all;
use reqwest::Method;

use super::document::session;
use crate::client::{Answer, Client};
use crate::link::{Link, printed, report};
use crate::world::World;

fn path(session: &Session) -> String {
    format!("/api/v1/sessions/{}/content", session.id)
}

fn main_file(content: &str) -> WriteContent {
    WriteContent {
        content: Some(content.into()),
        files: None,
    }
}

fn files(files: &[(&str, &str)]) -> Vec<SourceFile> {
    let files = files.iter().map(|(path, content)| SourceFile {
        path: (*path).into(),
        content: (*content).into(),
    });
    files.collect()
}

fn etag(answer: &Answer) -> Result<String> {
    let etag = answer.headers.get("etag").context("no ETag")?.to_str()?;
    ensure!(
        etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2,
        "not a strong tag: {etag}"
    );
    Ok(etag.to_owned())
}

async fn read(who: &Client, session: &Session) -> Result<(SessionContent, String)> {
    let answer = who.get(&path(session)).await?;
    let etag = etag(&answer)?;
    Ok((answer.expect(200)?, etag))
}

async fn write(who: &Client, session: &Session, request: &WriteContent) -> Result<Answer> {
    who.json(Method::PUT, &path(session), request).await
}

async fn write_over(
    who: &Client,
    session: &Session,
    request: &WriteContent,
    expected: &str,
) -> Result<Answer> {
    let put = who.request(Method::PUT, &path(session));
    who.send(put.header("if-match", expected).json(request))
        .await
}

pub async fn the_content_is_read_and_written_as_a_whole(world: World) -> Result<()> {
    let owner = world.user().await?;
    let session = session(&owner, "print('😀')\n").await?;
    let (first, _) = read(&owner, &session).await?;
    ensure!(
        first.content == "print('😀')\n" && first.files.is_empty(),
        "{first:?}"
    );

    let all = WriteContent {
        content: Some("print('😁')\n# ü\n".into()),
        files: Some(files(&[("util.py", "x = 1"), ("lib/a.py", "")])),
    };
    let answer = write(&owner, &session, &all).await?;
    let tag = etag(&answer)?;
    let written: SessionContent = answer.expect(200)?;
    ensure!(
        written.content == "print('😁')\n# ü\n"
            && written.files == files(&[("lib/a.py", ""), ("util.py", "x = 1")]),
        "{written:?}"
    );
    ensure!(read(&owner, &session).await? == (written.clone(), tag));

    // What is left out stays.
    let answer = write(&owner, &session, &main_file("")).await?;
    let emptied: SessionContent = answer.expect(200)?;
    ensure!(
        emptied.content.is_empty() && emptied.files == written.files,
        "{emptied:?}"
    );
    let fewer = WriteContent {
        content: None,
        files: Some(files(&[("util.py", "x = 2")])),
    };
    let fewer: SessionContent = write(&owner, &session, &fewer).await?.expect(200)?;
    ensure!(fewer.files == files(&[("util.py", "x = 2")]), "{fewer:?}");
    let nothing = WriteContent::default();
    let same: SessionContent = write(&owner, &session, &nothing).await?.expect(200)?;
    ensure!(same == fewer, "{same:?}");
    Ok(())
}

pub async fn equal_content_has_an_equal_tag_and_is_not_sent_again(world: World) -> Result<()> {
    let owner = world.user().await?;
    let session = session(&owner, "one").await?;
    let (_, one) = read(&owner, &session).await?;
    let get = |tag: &str| {
        let request = owner.request(Method::GET, &path(&session));
        owner.send(request.header("if-none-match", tag.to_owned()))
    };
    for tag in [one.as_str(), "*", &format!("\"x\", W/{one}")] {
        let answer = get(tag).await?;
        ensure!(
            answer.status == 304 && answer.body.is_empty() && etag(&answer)? == one,
            "{tag}: {answer:?}"
        );
    }
    let two = etag(&write(&owner, &session, &main_file("two")).await?)?;
    ensure!(two != one);
    ensure!(get(&one).await?.status == 200);
    let again = etag(&write(&owner, &session, &main_file("one")).await?)?;
    ensure!(again == one, "the same text has another tag");
    Ok(())
}

pub async fn nothing_is_written_over_content_that_has_changed(world: World) -> Result<()> {
    let owner = world.user().await?;
    let session = session(&owner, "one").await?;
    let (_, one) = read(&owner, &session).await?;
    let answer = write_over(&owner, &session, &main_file("two"), &one).await?;
    let two = etag(&answer)?;
    answer.expect::<SessionContent>(200)?;
    for stale in [one.as_str(), "\"x\"", "nonsense", &format!("W/{two}")] {
        write_over(&owner, &session, &main_file("three"), stale)
            .await?
            .refused(ErrorCode::ContentChanged)?;
    }
    ensure!(read(&owner, &session).await?.0.content == "two");
    for good in ["*", &format!("{one}, {two}")] {
        write_over(&owner, &session, &main_file("two"), good)
            .await?
            .expect::<SessionContent>(200)?;
    }

    // Of several at once that have read the same, one writes.
    let texts = ["a", "b", "c", "d"].map(main_file);
    let writes = texts
        .iter()
        .map(|text| write_over(&owner, &session, text, &two));
    let mut written = Vec::new();
    for answer in join_all(writes).await {
        let answer = answer?;
        if answer.status == 200 {
            written.push(answer.expect::<SessionContent>(200)?);
        } else {
            answer.refused(ErrorCode::ContentChanged)?;
        }
    }
    ensure!(written.len() == 1, "{written:?}");
    ensure!(read(&owner, &session).await?.0 == written[0]);
    Ok(())
}

pub async fn writes_at_once_are_all_taken_one_after_the_other(world: World) -> Result<()> {
    let owner = world.user().await?;
    let session = session(&owner, "start").await?;
    let texts: Vec<WriteContent> = (0..5).map(|n| main_file(&format!("text {n}"))).collect();
    let writes = texts.iter().map(|text| write(&owner, &session, text));
    for (answer, text) in join_all(writes).await.into_iter().zip(&texts) {
        let written: SessionContent = answer?.expect(200)?;
        ensure!(
            Some(&written.content) == text.content.as_ref(),
            "{written:?}"
        );
    }
    let (last, _) = read(&owner, &session).await?;
    ensure!(
        texts
            .iter()
            .any(|text| text.content.as_ref() == Some(&last.content)),
        "mixed: {last:?}"
    );
    Ok(())
}

pub async fn who_may_edit_writes_the_content_and_who_sees_the_session_reads_it(
    world: World,
) -> Result<()> {
    let (owner, editor, stranger) = (
        world.user().await?,
        world.user().await?,
        world.user().await?,
    );
    let session = session(&owner, "as it was").await?;
    editor.joined(&session).await?;
    ensure!(read(&stranger, &session).await?.0.content == "as it was");
    write(&stranger, &session, &main_file("mine"))
        .await?
        .refused(ErrorCode::Forbidden)?;
    write(&editor, &session, &main_file("edited"))
        .await?
        .expect::<SessionContent>(200)?;

    let settings = format!("/api/v1/sessions/{}", session.id);
    let lock = |is_locked| UpdateSession {
        is_locked: Some(is_locked),
        ..Default::default()
    };
    let set = async |update| {
        let answer = owner.json(Method::PATCH, &settings, &update).await?;
        answer.expect::<Session>(200)
    };
    set(lock(true)).await?;
    write(&editor, &session, &main_file("no"))
        .await?
        .refused(ErrorCode::Forbidden)?;
    write(&owner, &session, &main_file("by its owner"))
        .await?
        .expect::<SessionContent>(200)?;
    set(lock(false)).await?;
    write(&editor, &session, &main_file("again"))
        .await?
        .expect::<SessionContent>(200)?;

    let private = UpdateSession {
        is_public: Some(false),
        ..Default::default()
    };
    set(private).await?;
    let not_found = ErrorCode::SessionNotFound;
    stranger.get(&path(&session)).await?.refused(not_found)?;
    write(&stranger, &session, &main_file("mine"))
        .await?
        .refused(not_found)?;
    let leave = format!("{settings}/leave");
    let left = editor.send(editor.request(Method::POST, &leave)).await?;
    ensure!(left.status == 204);
    editor.get(&path(&session)).await?.refused(not_found)?;
    write(&editor, &session, &main_file("late"))
        .await?
        .refused(not_found)?;
    world
        .stranger()
        .get(&path(&session))
        .await?
        .refused(ErrorCode::TokenMissing)?;
    ensure!(read(&owner, &session).await?.0.content == "again");
    Ok(())
}

pub async fn content_beyond_its_limits_is_named(world: World) -> Result<()> {
    let owner = world.user().await?;
    let session = session(&owner, "short").await?;
    let long = "x".repeat(limits::CONTENT_BYTES_MAX + 1);
    let of_files = |files| WriteContent {
        content: None,
        files: Some(files),
    };
    let many: Vec<String> = (0..limits::SOURCE_FILES_MAX)
        .map(|n| format!("f{n}"))
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|path| (path.as_str(), "")).collect();
    let most = "x".repeat(limits::SOURCE_FILE_BYTES_MAX);
    let heavy = ["a", "b", "c", "d", "e"].map(|path| (path, most.as_str()));
    for (request, field) in [
        (main_file(&long), "content"),
        (of_files(files(&[("../up.py", "")])), "files[0].path"),
        (of_files(files(&[("a", ""), ("/b", "")])), "files[1].path"),
        (of_files(files(&[("a", ""), ("A", "")])), "files[1].path"),
        (of_files(files(&[("a", &long)])), "files[0].content"),
        (of_files(files(&many)), "files"),
        (of_files(files(&heavy)), "files"),
    ] {
        let answer = write(&owner, &session, &request).await?;
        let problem = answer.refused(ErrorCode::ValidationFailed)?;
        let named = problem.errors.iter().any(|error| error.field == field);
        ensure!(named, "{field}: {problem:?}");
    }
    let unknown = serde_json::json!({ "contents": "x" });
    owner
        .json(Method::PUT, &path(&session), &unknown)
        .await?
        .refused(ErrorCode::ValidationFailed)?;
    let put = owner.request(Method::PUT, &path(&session));
    owner
        .send(put.header("content-type", "text/plain").body("x"))
        .await?
        .refused(ErrorCode::UnsupportedMediaType)?;
    owner
        .get("/api/v1/sessions/not-an-id/content")
        .await?
        .refused(ErrorCode::SessionNotFound)?;
    let full = "y".repeat(limits::CONTENT_BYTES_MAX);
    let written: SessionContent = write(&owner, &session, &main_file(&full))
        .await?
        .expect(200)?;
    ensure!(written.content == full);
    Ok(())
}

pub async fn what_was_written_is_what_runs(world: World) -> Result<()> {
    let owner = world.user().await?;
    let session = session(&owner, "print(1)").await?;
    write(&owner, &session, &main_file("print(2)"))
        .await?
        .expect::<SessionContent>(200)?;
    let request = codecrafter_shared::api::CreateExecution {
        session_id: Some(session.id),
        ..Default::default()
    };
    let execution = owner.execute(&request).await?;
    ensure!(execution.session_id == Some(session.id), "{execution:?}");
    let link = Link::enrol(&world, "python").await?;
    let leases = link.lease(1, 20_000).await?;
    let job = &leases.first().context("no lease")?.job;
    ensure!(
        job.execution_id == execution.id && job.code == "print(2)",
        "{job:?}"
    );
    let attempt = AttemptId::random([41; 16]);
    link.report(vec![report(job, attempt, 0, printed("2\n"))])
        .await?;
    Ok(())
}
