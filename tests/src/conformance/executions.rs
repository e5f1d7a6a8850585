//! Executions as their owners see them; the executor is played by hand.

use anyhow::{Result, ensure};
use codecrafter_shared::api::{CreateExecution, CreateSession, Execution, ExecutionStatus};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::{Captured, Encoding, Event, Verdict};
use codecrafter_shared::limits;
use reqwest::Method;

use crate::link::{Link, printed, report};
use crate::world::World;

/// A request for `code` in a language that only the calling test uses.
pub fn request(language: &str, code: &str) -> CreateExecution {
    CreateExecution {
        language: Some(language.into()),
        code: Some(code.into()),
        ..Default::default()
    }
}

pub async fn an_execution_waits_for_an_executor_and_ends_when_one_joins(
    world: World,
) -> Result<()> {
    let user = world.user().await?;
    let mut wanted = request("csharp", "code");
    wanted.stdin = Some("in".into());
    wanted.args = vec!["a".into()];
    let execution = user.execute(&wanted).await?;
    ensure!(execution.status == ExecutionStatus::Queued && execution.attempts == 0);
    ensure!(user.execution(&execution).await? == execution);

    let link = Link::enrol(&world, "csharp").await?;
    let leases = link.lease(1, 20_000).await?;
    ensure!(leases.len() == 1, "{leases:?}");
    let job = &leases[0].job;
    ensure!(
        job.execution_id == execution.id && job.code == "code",
        "{job:?}"
    );
    ensure!(job.runs.len() == 1 && job.runs[0].stdin == "in" && job.runs[0].args == ["a"]);
    link.acknowledge(&leases).await?;
    let attempt = AttemptId::random([1; 16]);
    link.report(vec![report(job, attempt, 0, Event::Started)])
        .await?;
    let running = user.execution(&execution).await?;
    ensure!(running.status == ExecutionStatus::Running, "{running:?}");
    ensure!(
        running.attempts == 1 && running.attempt_id == Some(attempt),
        "{running:?}"
    );
    let taken = link
        .report(vec![report(job, attempt, 1, printed("hi\n"))])
        .await?;
    ensure!(taken.duplicates == 0 && taken.refused == 0, "{taken:?}");
    let ended = user.execution(&execution).await?;
    ensure!(ended.status == ExecutionStatus::Finished, "{ended:?}");
    ensure!(
        ended.verdict == Some(Verdict::Accepted) && ended.exit_code == Some(0),
        "{ended:?}"
    );
    ensure!(
        ended.stdout.as_deref() == Some("hi\n") && ended.cpu_ms == Some(3),
        "{ended:?}"
    );
    Ok(())
}

pub async fn waiting_for_an_execution_ends_with_its_result(world: World) -> Result<()> {
    let user = world.user().await?;
    let link = Link::enrol(&world, "php").await?;
    let serve = async {
        let leases = link.lease(1, 20_000).await?;
        link.acknowledge(&leases).await?;
        let job = &leases[0].job;
        let attempt = AttemptId::random([2; 16]);
        let reports = vec![
            report(job, attempt, 0, Event::Started),
            report(job, attempt, 1, printed("done")),
        ];
        link.report(reports).await
    };
    let wanted = request("php", "code");
    let ask = user.post("/api/v1/executions?wait=true", &wanted);
    let (answer, served) = futures_util::future::join(ask, serve).await;
    served?;
    let execution: Execution = answer?.expect(200)?;
    ensure!(
        execution.status == ExecutionStatus::Finished,
        "{execution:?}"
    );
    ensure!(execution.stdout.as_deref() == Some("done"), "{execution:?}");
    Ok(())
}

pub async fn a_session_runs_its_own_document(world: World) -> Result<()> {
    let owner = world.user().await?;
    let wanted = CreateSession {
        title: "Document".into(),
        language: "typescript".into(),
        content: Some("the document\n".into()),
        ..Default::default()
    };
    let session = owner.create_session(&wanted).await?;
    let wanted = CreateExecution {
        session_id: Some(session.id),
        ..Default::default()
    };
    let execution = owner.execute(&wanted).await?;
    ensure!(execution.language == "typescript", "{execution:?}");
    let link = Link::enrol(&world, "typescript").await?;
    let leases = link.lease(1, 20_000).await?;
    let job = leases.first().map(|lease| &lease.job);
    let is_document =
        job.is_some_and(|job| job.code == "the document\n" && job.session_id == Some(session.id));
    ensure!(is_document, "{job:?}");
    Ok(())
}

pub async fn an_execution_of_others_is_not_there(world: World) -> Result<()> {
    let (user, other) = (world.user().await?, world.user().await?);
    let execution = user.execute(&request("rust", "code")).await?;
    let path = format!("/api/v1/executions/{}", execution.id);
    other
        .get(&path)
        .await?
        .refused(ErrorCode::ExecutionNotFound)?;
    other
        .get("/api/v1/executions/nonsense")
        .await?
        .refused(ErrorCode::ExecutionNotFound)?;
    world
        .stranger()
        .get(&path)
        .await?
        .refused(ErrorCode::TokenMissing)?;
    Ok(())
}

pub async fn output_that_is_not_text_is_given_as_base64(world: World) -> Result<()> {
    let user = world.user().await?;
    let execution = user.execute(&request("java", "code")).await?;
    let link = Link::enrol(&world, "java").await?;
    let leases = link.lease(1, 20_000).await?;
    let attempt = AttemptId::random([3; 16]);
    let mut end = printed("");
    if let Event::Finished { outcome } = &mut end {
        outcome.runs[0].stdout = Captured::new(vec![0xff, 0x00, b'a'], 9);
        outcome.runs[0].stderr = Captured::new(b"err".to_vec(), 3);
    }
    link.report(vec![report(&leases[0].job, attempt, 0, end)])
        .await?;
    let ended = user.execution(&execution).await?;
    ensure!(
        ended.encoding == Encoding::Base64 && ended.truncated,
        "{ended:?}"
    );
    ensure!(ended.stdout.as_deref() == Some("/wBh"), "{ended:?}");
    ensure!(ended.stderr.as_deref() == Some("ZXJy"), "{ended:?}");
    Ok(())
}

pub async fn unfinished_executions_are_limited(world: World) -> Result<()> {
    let user = world.user().await?;
    for _ in 0..limits::EXECUTIONS_PER_USER_MAX {
        user.execute(&request("rust", "code")).await?;
    }
    let wanted = request("rust", "one too many");
    let answer = user
        .json(Method::POST, "/api/v1/executions", &wanted)
        .await?;
    ensure!(answer.headers.contains_key("retry-after"), "no Retry-After");
    answer.refused(ErrorCode::TooManyExecutions)?;
    let other = world.user().await?;
    other.execute(&request("rust", "somebody else")).await?;
    Ok(())
}
