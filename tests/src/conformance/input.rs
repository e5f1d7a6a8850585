//! Input for programs while they run; the executor is played by hand.

use anyhow::{Context as _, Result, ensure};
use codecrafter_shared::api::{
    CreateExecution, Execution, GiveInput, InputTaken, Participant, Session,
};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::AttemptId;
use codecrafter_shared::interaction::{Input, Inputs, Interactive, Signal, TerminalSize};
use codecrafter_shared::job::{Control, ControlAction, Event, Lease};
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use reqwest::Method;
use serde_json::json;

use super::executions::request;
use crate::client::{Answer, Client};
use crate::link::{Link, printed, report};
use crate::world::World;

const SIZE: TerminalSize = TerminalSize {
    columns: 80,
    rows: 24,
};

/// A request for an interactive run in a language that only the calling test uses.
fn interactive(
    session: &Session,
    language: &str,
    terminal: Option<TerminalSize>,
) -> CreateExecution {
    CreateExecution {
        session_id: Some(session.id),
        interactive: Some(Interactive { terminal }),
        ..request(language, "code")
    }
}

fn text(text: &str) -> Input {
    Input::Text { text: text.into() }
}

async fn give(user: &Client, execution: &Execution, input: &GiveInput) -> Result<Answer> {
    let path = format!("/api/v1/executions/{}/input", execution.id);
    user.post(&path, input).await
}

/// Gives input to the execution; how many it has taken then.
async fn typed(
    user: &Client,
    execution: &Execution,
    inputs: Vec<Input>,
    after: Option<u32>,
) -> Result<u32> {
    let answer = give(user, execution, &GiveInput { inputs, after }).await?;
    Ok(answer.expect::<InputTaken>(202)?.inputs)
}

/// What an executor was told to give to the execution's program.
fn told(controls: &[Control], execution: &Execution) -> Result<Vec<Inputs>> {
    let inputs = controls.iter().map(|control| match &control.action {
        ControlAction::Input(inputs) if control.execution_id == execution.id => Ok(inputs.clone()),
        _ => anyhow::bail!("{control:?}"),
    });
    inputs.collect()
}

fn inputs(after: u32, inputs: &[Input]) -> Inputs {
    Inputs {
        after,
        inputs: inputs.to_vec(),
    }
}

/// Leases the execution's job, which is the only one in its language.
async fn hold(link: &Link, execution: &Execution) -> Result<Lease> {
    let leases = link.lease(1, 20_000).await?;
    link.acknowledge(&leases).await?;
    let lease = leases.into_iter().next().context("nothing was leased")?;
    ensure!(lease.job.execution_id == execution.id, "{lease:?}");
    Ok(lease)
}

pub async fn what_is_typed_reaches_the_executor_in_order_and_once(world: World) -> Result<()> {
    let user = world.user().await?;
    let session = world.public_session(&user, Role::Viewer).await?;
    let wanted = interactive(&session, "lua", Some(SIZE));
    let execution = user.execute(&wanted).await?;
    ensure!(execution.interactive == wanted.interactive, "{execution:?}");
    ensure!(execution.limits.wall_ms == limits::INTERACTIVE_WALL_MS_DEFAULT);
    let link = Link::enrol(&world, "lua").await?;
    let lease = hold(&link, &execution).await?;
    ensure!(lease.job.interactive == wanted.interactive, "{lease:?}");

    let mut asked = link.lease_request(0, 20_000);
    let before = link.seen(&world, None).await?;
    let first = async {
        link.seen(&world, Some(before)).await?;
        typed(&user, &execution, vec![text("5\r")], None).await
    };
    let (found, taken) = futures_util::future::join(link.ask(&asked), first).await;
    let found = found?;
    ensure!(taken? == 1);
    ensure!(told(&found.controls, &execution)? == [inputs(0, &[text("5\r")])]);

    let interrupt = Input::Signal {
        signal: Signal::Interrupt,
    };
    let wider = TerminalSize {
        columns: 120,
        ..SIZE
    };
    let more = [interrupt, Input::Resize(wider), Input::End];
    ensure!(typed(&user, &execution, more.to_vec(), None).await? == 4);
    for number in 5..10 {
        let letter = vec![text(&number.to_string())];
        ensure!(typed(&user, &execution, letter, None).await? == number);
    }
    asked.wait_ms = 0;
    asked.controls_taken = found.controls.iter().map(|control| control.id).collect();
    let found = link.ask(&asked).await?;
    let letters = (5..10).map(|number: u32| inputs(number - 1, &[text(&number.to_string())]));
    let wanted: Vec<_> = [inputs(1, &more)].into_iter().chain(letters).collect();
    ensure!(told(&found.controls, &execution)? == wanted, "{found:?}");
    asked.controls_taken = found.controls.iter().map(|control| control.id).collect();
    ensure!(link.ask(&asked).await?.controls.is_empty());
    let now = user.execution(&execution).await?;
    ensure!(
        now.interactive
            == Some(Interactive {
                terminal: Some(wider)
            }),
        "{now:?}"
    );
    Ok(())
}

pub async fn what_is_typed_before_an_executor_has_it_goes_along(world: World) -> Result<()> {
    let user = world.user().await?;
    let session = world.public_session(&user, Role::Viewer).await?;
    let execution = user.execute(&interactive(&session, "perl", None)).await?;
    typed(&user, &execution, vec![text("early\n")], None).await?;

    // The first gets it with the job, and is sent away before it has taken it.
    let first = Link::enrol(&world, "perl").await?;
    let asked = first.lease_request(1, 20_000);
    let found = first.ask(&asked).await?;
    ensure!(found.leases.len() == 1, "{found:?}");
    let early = [inputs(0, &[text("early\n")])];
    ensure!(told(&found.controls, &execution)? == early);
    first.acknowledge(&found.leases).await?;
    typed(&user, &execution, vec![text("later\n")], None).await?;
    let path = format!("/api/v1/executors/{}", first.executor_id);
    let (operator, revoke) = world.operator(Method::DELETE, &path);
    operator.send(revoke).await?;

    let second = Link::enrol(&world, "perl").await?;
    let found = second.ask(&second.lease_request(1, 20_000)).await?;
    ensure!(found.leases.len() == 1, "{found:?}");
    let both = [early[0].clone(), inputs(1, &[text("later\n")])];
    ensure!(told(&found.controls, &execution)? == both, "{found:?}");

    // What nobody has read when it ends is told to nobody.
    let attempt = AttemptId::random([41; 16]);
    let end = report(&found.leases[0].job, attempt, 0, printed("done"));
    second.report(vec![end]).await?;
    let found = second.ask(&second.lease_request(0, 0)).await?;
    ensure!(found.controls.is_empty(), "{found:?}");
    Ok(())
}

pub async fn a_repeated_request_types_nothing_twice(world: World) -> Result<()> {
    let user = world.user().await?;
    let session = world.public_session(&user, Role::Viewer).await?;
    let execution = user.execute(&interactive(&session, "ruby", None)).await?;
    let link = Link::enrol(&world, "ruby").await?;
    hold(&link, &execution).await?;
    let (a, b, c) = (text("a"), text("b"), text("c"));
    ensure!(typed(&user, &execution, vec![a.clone(), b.clone()], Some(0)).await? == 2);
    ensure!(typed(&user, &execution, vec![a.clone(), b.clone()], Some(0)).await? == 2);
    ensure!(typed(&user, &execution, vec![b.clone(), c.clone()], Some(1)).await? == 3);
    let gap = GiveInput {
        inputs: vec![c.clone()],
        after: Some(4),
    };
    let answer = give(&user, &execution, &gap).await?;
    let problem = answer.refused(ErrorCode::InputMissing)?;
    ensure!(
        problem.detail.as_deref() == Some("it has taken 3 inputs, not 4"),
        "{problem:?}"
    );
    let found = link.ask(&link.lease_request(0, 0)).await?;
    let wanted = [inputs(0, &[a, b]), inputs(2, &[c])];
    ensure!(told(&found.controls, &execution)? == wanted, "{found:?}");
    Ok(())
}

pub async fn only_who_asked_and_those_who_may_run_the_code_type(world: World) -> Result<()> {
    let (owner, editor, viewer, outsider) = (
        world.user().await?,
        world.user().await?,
        world.user().await?,
        world.user().await?,
    );
    let session = world.public_session(&owner, Role::Editor).await?;
    editor.joined(&session).await?;
    viewer.joined(&session).await?;
    let viewer_id = viewer.user()?.id;
    let path = format!("/api/v1/sessions/{}/participants/{viewer_id}", session.id);
    let lowered = json!({ "role": "viewer" });
    let lowered = owner.json(Method::PUT, &path, &lowered).await?;
    lowered.expect::<Participant>(200)?;
    let execution = owner.execute(&interactive(&session, "php", None)).await?;
    ensure!(typed(&editor, &execution, vec![text("a")], None).await? == 1);
    let letter = GiveInput {
        inputs: vec![text("b")],
        after: None,
    };
    let refused = give(&viewer, &execution, &letter).await?;
    refused.refused(ErrorCode::Forbidden)?;
    let refused = give(&outsider, &execution, &letter).await?;
    refused.refused(ErrorCode::ExecutionNotFound)?;
    let refused = give(&world.stranger(), &execution, &letter).await?;
    refused.refused(ErrorCode::TokenMissing)?;
    ensure!(typed(&owner, &execution, vec![text("c")], None).await? == 2);
    Ok(())
}

pub async fn input_is_for_interactive_runs_that_go_on(world: World) -> Result<()> {
    let user = world.user().await?;
    let session = world.public_session(&user, Role::Viewer).await?;
    let letter = GiveInput {
        inputs: vec![text("a")],
        after: None,
    };
    let plain = user.execute(&request("kotlin", "code")).await?;
    let refused = give(&user, &plain, &letter).await?;
    refused.refused(ErrorCode::ExecutionNotInteractive)?;
    let execution = user.execute(&interactive(&session, "kotlin", None)).await?;
    for inputs in [
        json!([]),
        json!([{ "type": "shout" }]),
        json!([{ "type": "signal", "signal": "SIGKILL" }]),
    ] {
        let path = format!("/api/v1/executions/{}/input", execution.id);
        let answer = user.post(&path, &json!({ "inputs": inputs })).await?;
        answer.refused(ErrorCode::ValidationFailed)?;
    }
    typed(&user, &execution, vec![Input::End], None).await?;
    let refused = give(&user, &execution, &letter).await?;
    refused.refused(ErrorCode::InputEnded)?;
    user.cancel(&execution).await?.expect::<Execution>(200)?;
    let refused = give(&user, &execution, &letter).await?;
    refused.refused(ErrorCode::ExecutionFinished)?;
    Ok(())
}

pub async fn input_that_nobody_takes_is_pushed_back(world: World) -> Result<()> {
    let user = world.user().await?;
    let session = world.public_session(&user, Role::Viewer).await?;
    let execution = user.execute(&interactive(&session, "r", None)).await?;
    for _ in 0..limits::INPUT_REQUESTS_WAITING_MAX {
        typed(&user, &execution, vec![text("a")], None).await?;
    }
    let letter = GiveInput {
        inputs: vec![text("a")],
        after: None,
    };
    let refused = give(&user, &execution, &letter).await?;
    ensure!(refused.headers.contains_key("retry-after"));
    refused.refused(ErrorCode::TooMuchInput)?;
    let link = Link::enrol(&world, "r").await?;
    let found = link.ask(&link.lease_request(1, 20_000)).await?;
    ensure!(
        found.controls.len() == limits::CONTROLS_MAX as usize,
        "{}",
        found.controls.len()
    );
    let mut asked = link.lease_request(0, 0);
    asked.controls_taken = found.controls.iter().map(|control| control.id).collect();
    link.ask(&asked).await?;
    typed(&user, &execution, vec![text("b")], None).await?;
    Ok(())
}

pub async fn a_link_that_cannot_pass_input_on_gets_no_interactive_job(world: World) -> Result<()> {
    let user = world.user().await?;
    let session = world.public_session(&user, Role::Viewer).await?;
    let execution = user.execute(&interactive(&session, "sql", None)).await?;
    let plain = user.execute(&request("sql", "code")).await?;
    let old = Link::enrol(&world, "sql").await?;
    let mut asked = old.lease_request(5, 0);
    asked.interactive = false;
    let found = old.ask(&asked).await?;
    let leased: Vec<_> = found.leases.iter().map(|l| l.job.execution_id).collect();
    ensure!(leased == [plain.id], "{leased:?}");
    let new = Link::enrol(&world, "sql").await?;
    let lease = hold(&new, &execution).await?;
    new.report(vec![report(
        &lease.job,
        AttemptId::random([42; 16]),
        0,
        Event::Started,
    )])
    .await?;
    Ok(())
}

pub async fn few_runs_of_one_user_are_interactive(world: World) -> Result<()> {
    let user = world.user().await?;
    let session = world.public_session(&user, Role::Viewer).await?;
    let wanted = interactive(&session, "csharp", Some(SIZE));
    for _ in 0..limits::INTERACTIVE_PER_USER_MAX {
        user.execute(&wanted).await?;
    }
    let answer = user.post("/api/v1/executions", &wanted).await?;
    let problem = answer.refused(ErrorCode::TooManyExecutions)?;
    let told = problem.detail.as_deref();
    ensure!(
        told == Some("at most 2 of them may be interactive"),
        "{problem:?}"
    );
    user.execute(&request("csharp", "code")).await?;
    let of_nobody = CreateExecution {
        session_id: None,
        ..wanted
    };
    let answer = user.post("/api/v1/executions", &of_nobody).await?;
    let problem = answer.refused(ErrorCode::ValidationFailed)?;
    ensure!(problem.errors[0].field == "interactive", "{problem:?}");
    Ok(())
}
