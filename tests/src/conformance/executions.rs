//! Executions as their owners see them; the executor is played by hand.

use anyhow::{Context as _, Result, ensure};
use codecrafter_shared::api::{
    CreateExecution, CreateSession, Execution, ExecutionStatus, ExecutionSummary, Page,
    RequestedLimits,
};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::{Captured, ControlAction, Encoding, Event, Outcome, Verdict};
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use reqwest::Method;
use serde_json::json;

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
    let mut wanted = request("python", "code");
    wanted.stdin = Some("in".into());
    wanted.args = vec!["a".into()];
    let execution = user.execute(&wanted).await?;
    ensure!(execution.status == ExecutionStatus::Queued && execution.attempts == 0);
    ensure!(user.execution(&execution).await? == execution);

    let link = Link::enrol(&world, "python").await?;
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
    let link = Link::enrol(&world, "javascript").await?;
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
    let wanted = request("javascript", "code");
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
        language: "javascript".into(),
        content: Some("the document\n".into()),
        ..Default::default()
    };
    let session = owner.create_session(&wanted).await?;
    let wanted = CreateExecution {
        session_id: Some(session.id),
        ..Default::default()
    };
    let execution = owner.execute(&wanted).await?;
    ensure!(execution.language == "javascript", "{execution:?}");
    let link = Link::enrol(&world, "javascript").await?;
    let leases = link.lease(1, 20_000).await?;
    let job = &leases.first().context("no lease")?.job;
    ensure!(
        job.code == "the document\n" && job.session_id == Some(session.id),
        "{job:?}"
    );
    let attempt = AttemptId::random([3; 16]);
    link.report(vec![report(job, attempt, 0, printed("ran"))])
        .await?;
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

pub async fn what_was_expected_goes_with_the_job_and_all_that_holds_is_told(
    world: World,
) -> Result<()> {
    let user = world.user().await?;
    let mut wanted = request("java", "code");
    wanted.expected_output = Some("x".repeat(limits::STDIN_BYTES_MAX + 1));
    let refused = user.post("/api/v1/executions", &wanted).await?;
    let problem = refused.refused(ErrorCode::ValidationFailed)?;
    ensure!(problem.errors[0].field == "expectedOutput", "{problem:?}");
    wanted.expected_output = Some("42\n".into());
    let execution = user.execute(&wanted).await?;
    let link = Link::enrol(&world, "java").await?;
    let leases = link.lease(1, 20_000).await?;
    let runs = &leases[0].job.runs;
    ensure!(runs[0].expected.as_deref() == Some("42\n"), "{runs:?}");
    let attempt = AttemptId::random([29; 16]);
    let mut end = printed("43\n");
    if let Event::Finished { outcome } = &mut end {
        outcome.verdict = Verdict::MemoryLimit;
        outcome.runs[0].verdict = Verdict::MemoryLimit;
        outcome.runs[0].also = vec![Verdict::TimeLimit, Verdict::RuntimeError];
    }
    link.report(vec![report(&leases[0].job, attempt, 0, end)])
        .await?;
    let ended = user.execution(&execution).await?;
    let also = [Verdict::TimeLimit, Verdict::RuntimeError];
    ensure!(
        ended.verdict == Some(Verdict::MemoryLimit) && ended.also == also,
        "{ended:?}"
    );
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
    ensure!(
        ended.stdout_bytes == Some(9) && ended.stderr_bytes == Some(3),
        "{ended:?}"
    );
    Ok(())
}

pub async fn of_long_output_beginning_and_end_are_kept(world: World) -> Result<()> {
    let user = world.user().await?;
    let execution = user.execute(&request("java", "code")).await?;
    let link = Link::enrol(&world, "java").await?;
    let leases = link.lease(1, 20_000).await?;
    let attempt = AttemptId::random([23; 16]);
    let mut end = printed("");
    if let Event::Finished { outcome } = &mut end {
        let head_and_tail = Captured::head_and_tail;
        outcome.verdict = Verdict::OutputLimit;
        outcome.runs[0].verdict = Verdict::OutputLimit;
        outcome.runs[0].stdout = head_and_tail(b"begin".to_vec(), b"end".to_vec(), 1_000);
        outcome.runs[0].stderr = head_and_tail(b"a".to_vec(), b"b".to_vec(), 2);
    }
    link.report(vec![report(&leases[0].job, attempt, 0, end)])
        .await?;
    let ended = user.execution(&execution).await?;
    let stdout = (ended.stdout.as_deref(), ended.stdout_tail.as_deref());
    ensure!(stdout == (Some("begin"), Some("end")), "{ended:?}");
    let stderr = (ended.stderr.as_deref(), ended.stderr_tail.as_deref());
    ensure!(stderr == (Some("ab"), None), "{ended:?}");
    ensure!(
        ended.truncated && ended.stdout_bytes == Some(1_000),
        "{ended:?}"
    );
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

type Summaries = Page<ExecutionSummary>;

pub async fn executions_are_listed_newest_first_without_their_output(world: World) -> Result<()> {
    let (user, other) = (world.user().await?, world.user().await?);
    let link = Link::enrol(&world, "javascript").await?;
    let ended = user.execute(&request("javascript", "code")).await?;
    let leases = link.lease(1, 20_000).await?;
    let attempt = AttemptId::random([20; 16]);
    link.report(vec![
        report(&leases[0].job, attempt, 0, Event::Started),
        report(
            &leases[0].job,
            attempt,
            1,
            printed("a line that no list needs"),
        ),
    ])
    .await?;
    let waiting = user.execute(&request("python", "code")).await?;
    other.execute(&request("rust", "code")).await?;

    let answer = user.get("/api/v1/executions").await?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(!text.contains("no list needs"), "{text}");
    let all: Summaries = answer.expect(200)?;
    ensure!(all.total == 2 && all.items.len() == 2, "{all:?}");
    let (first, second) = (&all.items[0], &all.items[1]);
    ensure!(first.id == waiting.id && second.id == ended.id, "{all:?}");
    ensure!(
        first.status == ExecutionStatus::Queued && first.verdict.is_none(),
        "{first:?}"
    );
    let full = user.execution(&ended).await?;
    let same = (second.verdict, second.exit_code) == (full.verdict, full.exit_code)
        && (second.cpu_ms, second.wall_ms) == (full.cpu_ms, full.wall_ms)
        && second.peak_bytes == full.peak_bytes
        && second.finished_at == full.finished_at
        && second.started_at == full.started_at;
    ensure!(
        same && second.cpu_ms == Some(3),
        "{second:?} is not {full:?}"
    );
    ensure!(
        second.display_name == user.user()?.display_name,
        "{second:?}"
    );

    for (query, found) in [
        ("limit=1&page=2", Some(ended.id)),
        ("status=finished", Some(ended.id)),
        ("verdict=accepted", Some(ended.id)),
        ("language=python", Some(waiting.id)),
        ("status=queued&language=python", Some(waiting.id)),
        ("verdict=cancelled", None),
        ("page=3", None),
    ] {
        let page: Summaries = user
            .get(&format!("/api/v1/executions?{query}"))
            .await?
            .expect(200)?;
        let ids: Vec<_> = page.items.iter().map(|item| item.id).collect();
        ensure!(ids == Vec::from_iter(found), "{query}: {page:?}");
    }
    for (query, field) in [
        ("page=0", "page"),
        ("limit=101", "limit"),
        ("status=ended", "status"),
        ("verdict=good", "verdict"),
        ("language=klingon", "language"),
    ] {
        let answer = user.get(&format!("/api/v1/executions?{query}")).await?;
        let problem = answer.refused(ErrorCode::ValidationFailed)?;
        let named = problem.errors.first().is_some_and(|e| e.field == field);
        ensure!(named, "{query}: {problem:?}");
    }
    user.get("/api/v1/executions?colour=red")
        .await?
        .refused(ErrorCode::ValidationFailed)?;
    world
        .stranger()
        .get("/api/v1/executions")
        .await?
        .refused(ErrorCode::TokenMissing)?;
    user.cancel(&waiting).await?.expect::<Execution>(200)?;
    Ok(())
}

pub async fn a_session_shows_its_participants_what_ran_in_it(world: World) -> Result<()> {
    let (owner, editor, outsider) = (
        world.user().await?,
        world.user().await?,
        world.user().await?,
    );
    let session = world.public_session(&owner, Role::Editor).await?;
    editor.joined(&session).await?;
    let inside = CreateExecution {
        session_id: Some(session.id),
        ..request("rust", "code")
    };
    let first = owner.execute(&inside).await?;
    let second = editor.execute(&inside).await?;
    editor.execute(&request("rust", "elsewhere")).await?;
    let path = format!("/api/v1/sessions/{}/executions", session.id);
    for participant in [&owner, &editor] {
        let page: Summaries = participant.get(&path).await?.expect(200)?;
        let ids: Vec<_> = page.items.iter().map(|item| item.id).collect();
        ensure!(page.total == 2 && ids == [second.id, first.id], "{page:?}");
        let who: Vec<_> = page.items.iter().map(|item| &item.display_name).collect();
        let named = [&editor.user()?.display_name, &owner.user()?.display_name];
        ensure!(who == named, "{page:?}");
    }
    let none: Summaries = owner
        .get(&format!("{path}?status=finished"))
        .await?
        .expect(200)?;
    ensure!(none.total == 0, "{none:?}");
    outsider.get(&path).await?.refused(ErrorCode::Forbidden)?;
    let private = CreateSession {
        title: "Private".into(),
        language: "rust".into(),
        ..Default::default()
    };
    let private = owner.create_session(&private).await?;
    for id in [&*private.id.to_string(), "nonsense"] {
        outsider
            .get(&format!("/api/v1/sessions/{id}/executions"))
            .await?
            .refused(ErrorCode::SessionNotFound)?;
    }
    Ok(())
}

pub async fn what_waits_is_cancelled_at_once(world: World) -> Result<()> {
    let user = world.user().await?;
    let execution = user.execute(&request("java", "code")).await?;
    let path = format!("/api/v1/executions/{}?wait=true", execution.id);
    let (waited, cancelled) =
        futures_util::future::join(user.get(&path), user.cancel(&execution)).await;
    let cancelled: Execution = cancelled?.expect(200)?;
    ensure!(
        cancelled.verdict == Some(Verdict::Cancelled) && cancelled.finished_at.is_some(),
        "{cancelled:?}"
    );
    ensure!(cancelled.attempts == 0 && cancelled.stdout.is_none());
    let waited: Execution = waited?.expect(200)?;
    ensure!(waited == cancelled, "{waited:?} is not {cancelled:?}");
    let again: Execution = user.cancel(&execution).await?.expect(200)?;
    ensure!(again == cancelled, "{again:?} is not {cancelled:?}");
    let link = Link::enrol(&world, "java").await?;
    let leases = link.lease(32, 0).await?;
    let leased = leases.iter().any(|l| l.job.execution_id == execution.id);
    ensure!(!leased, "what was cancelled was leased");
    Ok(())
}

pub async fn what_an_executor_has_is_cancelled_by_it(world: World) -> Result<()> {
    let user = world.user().await?;
    let execution = user.execute(&request("python", "code")).await?;
    let link = Link::enrol(&world, "python").await?;
    let leases = link.lease(1, 20_000).await?;
    link.acknowledge(&leases).await?;
    let job = &leases[0].job;
    let attempt = AttemptId::random([21; 16]);
    link.report(vec![report(job, attempt, 0, Event::Started)])
        .await?;

    let mut asked = link.lease_request(0, 20_000);
    let before = link.seen(&world, None).await?;
    let cancel = async {
        link.seen(&world, Some(before)).await?;
        user.cancel(&execution).await?.expect::<Execution>(202)
    };
    let (found, first) = futures_util::future::join(link.ask(&asked), cancel).await;
    let (found, first) = (found?, first?);
    ensure!(
        first.status == ExecutionStatus::Running && first.cancel_requested_at.is_some(),
        "{first:?}"
    );
    ensure!(
        found.leases.is_empty() && found.controls.len() == 1,
        "{found:?}"
    );
    let control = &found.controls[0];
    let fits = control.execution_id == execution.id && control.action == ControlAction::Cancel;
    ensure!(fits, "{control:?}");

    let second: Execution = user.cancel(&execution).await?.expect(202)?;
    ensure!(second == first, "{second:?} is not {first:?}");
    asked.wait_ms = 0;
    let again = link.ask(&asked).await?;
    ensure!(again.controls == found.controls, "{again:?}");
    asked.controls_taken = vec![control.id];
    let taken = link.ask(&asked).await?;
    ensure!(taken.controls.is_empty(), "{taken:?}");

    let outcome = Box::new(Outcome::without_run(Verdict::Cancelled, "ended on request"));
    let path = format!("/api/v1/executions/{}/cancel?wait=true", execution.id);
    let wait = user.send(user.request(Method::POST, &path));
    let end = link.report(vec![report(job, attempt, 1, Event::Finished { outcome })]);
    let (ended, reported) = futures_util::future::join(wait, end).await;
    ensure!(reported?.duplicates == 0);
    let ended: Execution = ended?.expect(200)?;
    ensure!(ended.verdict == Some(Verdict::Cancelled), "{ended:?}");
    let late = link
        .report(vec![report(job, attempt, 2, printed("late"))])
        .await?;
    ensure!(late.duplicates == 1, "{late:?}");
    Ok(())
}

pub async fn only_who_asked_and_admins_of_the_session_cancel(world: World) -> Result<()> {
    let (owner, editor, outsider) = (
        world.user().await?,
        world.user().await?,
        world.user().await?,
    );
    let session = world.public_session(&owner, Role::Editor).await?;
    editor.joined(&session).await?;
    let inside = CreateExecution {
        session_id: Some(session.id),
        ..request("c", "code")
    };
    let of_owner = owner.execute(&inside).await?;
    let of_editor = editor.execute(&inside).await?;
    editor
        .cancel(&of_owner)
        .await?
        .refused(ErrorCode::Forbidden)?;
    let not_found = ErrorCode::ExecutionNotFound;
    outsider.cancel(&of_owner).await?.refused(not_found)?;
    outsider
        .post("/api/v1/executions/nonsense/cancel", &json!({}))
        .await?
        .refused(not_found)?;
    world
        .stranger()
        .cancel(&of_owner)
        .await?
        .refused(ErrorCode::TokenMissing)?;
    owner.cancel(&of_editor).await?.expect::<Execution>(200)?;

    let link = Link::enrol(&world, "c").await?;
    let leases = link.lease(32, 20_000).await?;
    let lease = leases.iter().find(|l| l.job.execution_id == of_owner.id);
    let lease = lease.ok_or_else(|| anyhow::anyhow!("not leased: {leases:?}"))?;
    let attempt = AttemptId::random([22; 16]);
    link.report(vec![report(&lease.job, attempt, 0, printed("done"))])
        .await?;
    owner
        .cancel(&of_owner)
        .await?
        .refused(ErrorCode::ExecutionFinished)?;
    Ok(())
}

pub async fn limits_of_a_request_are_kept_or_named_with_their_range(world: World) -> Result<()> {
    let user = world.user().await?;
    let with = |limits: RequestedLimits| CreateExecution {
        limits: Some(limits),
        ..request("rust", "code")
    };
    let most = RequestedLimits {
        cpu_ms: Some(*limits::CPU_MS.end()),
        wall_ms: Some(*limits::WALL_MS.end()),
        memory_bytes: Some(*limits::MEMORY_BYTES.end()),
        output_bytes: Some(*limits::OUTPUT_BYTES.end()),
        processes: Some(*limits::PROCESSES.end()),
    };
    let execution = user.execute(&with(most.clone())).await?;
    let granted = execution.limits;
    let kept = most.cpu_ms == Some(granted.cpu_ms)
        && most.wall_ms == Some(granted.wall_ms)
        && most.memory_bytes == Some(granted.memory_bytes)
        && most.output_bytes == Some(granted.output_bytes)
        && most.processes == Some(granted.processes);
    ensure!(kept, "{granted:?}");
    let more = RequestedLimits {
        cpu_ms: most.cpu_ms.map(|n| n + 1),
        wall_ms: most.wall_ms.map(|n| n + 1),
        memory_bytes: most.memory_bytes.map(|n| n + 1),
        output_bytes: most.output_bytes.map(|n| n + 1),
        processes: Some(0),
    };
    let answer = user.post("/api/v1/executions", &with(more)).await?;
    let problem = answer.refused(ErrorCode::ValidationFailed)?;
    let told: Vec<_> = problem
        .errors
        .iter()
        .map(|error| (error.field.as_str(), error.message.as_str()))
        .collect();
    let wanted = [
        ("limits.cpuMs", "is 10–15000"),
        ("limits.wallMs", "is 10–30000"),
        ("limits.memoryBytes", "is 16777216–536870912"),
        ("limits.outputBytes", "is 1024–262144"),
        ("limits.processes", "is 1–128"),
    ];
    ensure!(told == wanted, "{told:?}");
    Ok(())
}
