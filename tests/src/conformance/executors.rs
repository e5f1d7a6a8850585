//! Links: leases, reports and signatures.

use anyhow::{Result, ensure};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::AttemptId;
use codecrafter_shared::job::{Event, Reports};

use super::executions::request;
use crate::link::{Forgery, Link, printed, report};
use crate::world::World;

pub async fn a_job_is_leased_to_one_executor_only(world: World) -> Result<()> {
    let user = world.user().await?;
    let (first, second) = (
        Link::enrol(&world, "go").await?,
        Link::enrol(&world, "go").await?,
    );
    let execution = user.execute(&request("go", "code")).await?;
    let leases = first.lease(32, 20_000).await?;
    ensure!(
        leases
            .iter()
            .any(|lease| lease.job.execution_id == execution.id),
        "{leases:?}"
    );
    let others = second.lease(32, 0).await?;
    ensure!(others.is_empty(), "leased twice: {others:?}");
    let acknowledged = second.acknowledge(&leases).await?;
    ensure!(
        acknowledged.leases.is_empty(),
        "another's lease was acknowledged"
    );
    let acknowledged = first.acknowledge(&leases).await?;
    ensure!(
        acknowledged.leases.len() == leases.len(),
        "{acknowledged:?}"
    );
    let again = first.acknowledge(&leases).await?;
    ensure!(
        again.leases.len() == leases.len(),
        "acknowledging twice is not harmless"
    );
    Ok(())
}

pub async fn the_first_final_result_stays(world: World) -> Result<()> {
    let user = world.user().await?;
    let execution = user.execute(&request("c", "code")).await?;
    let link = Link::enrol(&world, "c").await?;
    let leases = link.lease(1, 20_000).await?;
    let job = &leases[0].job;
    let (first, second) = (AttemptId::random([4; 16]), AttemptId::random([5; 16]));
    link.report(vec![
        report(job, first, 0, Event::Started),
        report(job, first, 1, printed("first")),
    ])
    .await?;
    let taken = link
        .report(vec![report(job, second, 0, printed("second"))])
        .await?;
    ensure!(taken.duplicates == 1, "{taken:?}");
    // What was lost on the way is sent again.
    let taken = link
        .report(vec![report(job, first, 1, printed("first"))])
        .await?;
    ensure!(taken.duplicates == 1, "{taken:?}");
    let ended = user.execution(&execution).await?;
    ensure!(ended.stdout.as_deref() == Some("first"), "{ended:?}");
    ensure!(
        ended.attempt_id == Some(first) && ended.attempts == 1,
        "{ended:?}"
    );
    Ok(())
}

pub async fn an_attempt_that_was_lost_is_followed_by_another(world: World) -> Result<()> {
    let user = world.user().await?;
    let execution = user.execute(&request("cpp", "code")).await?;
    let link = Link::enrol(&world, "cpp").await?;
    let leases = link.lease(1, 20_000).await?;
    let job = &leases[0].job;
    let (lost, next) = (AttemptId::random([6; 16]), AttemptId::random([7; 16]));
    link.report(vec![report(job, lost, 0, Event::Started)])
        .await?;
    link.report(vec![report(job, next, 0, Event::Started)])
        .await?;
    let running = user.execution(&execution).await?;
    ensure!(
        running.attempt_id == Some(next) && running.attempts == 2,
        "{running:?}"
    );
    link.report(vec![report(job, next, 1, printed("late"))])
        .await?;
    let ended = user.execution(&execution).await?;
    ensure!(
        ended.id == execution.id && ended.attempt_id == Some(next),
        "{ended:?}"
    );
    ensure!(ended.stdout.as_deref() == Some("late"), "{ended:?}");
    Ok(())
}

pub async fn reports_need_the_token_of_their_execution(world: World) -> Result<()> {
    let user = world.user().await?;
    let execution = user.execute(&request("javascript", "code")).await?;
    let link = Link::enrol(&world, "javascript").await?;
    let other = Link::enrol(&world, "javascript").await?;
    let leases = link.lease(1, 20_000).await?;
    let job = &leases[0].job;
    let attempt = AttemptId::random([8; 16]);
    // Another enrolled executor, with the token that was made for this one.
    let taken = other
        .report(vec![report(job, attempt, 0, printed("stolen"))])
        .await?;
    ensure!(taken.refused == 1, "{taken:?}");
    let mut forged = report(job, attempt, 0, printed("forged"));
    forged.report_token = "forged".into();
    let taken = link.report(vec![forged]).await?;
    ensure!(taken.refused == 1, "{taken:?}");
    let waiting = user.execution(&execution).await?;
    ensure!(waiting.verdict.is_none(), "{waiting:?}");
    let taken = link
        .report(vec![report(job, attempt, 0, printed("true"))])
        .await?;
    ensure!(taken.refused == 0 && taken.duplicates == 0, "{taken:?}");
    Ok(())
}

pub async fn a_link_must_sign_what_it_sends(world: World) -> Result<()> {
    let link = Link::enrol(&world, "ruby").await?;
    let request = link.lease_request(1, 0);
    for forgery in [Forgery::Key, Forgery::Path, Forgery::Body] {
        let answer = link.call("/internal/leases", &request, forgery).await?;
        answer.refused(ErrorCode::TokenInvalid)?;
        let reports = Reports {
            reports: Vec::new(),
        };
        let answer = link.call("/internal/reports", &reports, forgery).await?;
        answer.refused(ErrorCode::TokenInvalid)?;
    }
    let user = world.user().await?;
    let answer = user.post("/internal/leases", &request).await?;
    answer.refused(ErrorCode::ExecutorUnknown)?;
    world
        .stranger()
        .post("/internal/leases", &request)
        .await?
        .refused(ErrorCode::TokenMissing)?;
    Ok(())
}

pub async fn a_link_of_another_age_is_told_so(world: World) -> Result<()> {
    let link = Link::enrol(&world, "ruby").await?;
    let mut request = link.lease_request(1, 0);
    (request.protocol, request.protocol_min) = (900, 899);
    let answer = link
        .call("/internal/leases", &request, Forgery::None)
        .await?;
    let problem = answer.refused(ErrorCode::ProtocolUnsupported)?;
    ensure!(
        problem
            .detail
            .is_some_and(|detail| detail.contains("899 to 900"))
    );
    Ok(())
}

pub async fn enrolling_needs_the_join_token(world: World) -> Result<()> {
    let client = world.stranger();
    let body = serde_json::json!({ "name": "stranger", "publicKey": "AAAA" });
    client
        .post("/internal/executors", &body)
        .await?
        .refused(ErrorCode::TokenMissing)?;
    let with = |token: &str| {
        let request = client.request(reqwest::Method::POST, "/internal/executors");
        request.bearer_auth(token).json(&body)
    };
    client
        .send(with("wrong"))
        .await?
        .refused(ErrorCode::TokenInvalid)?;
    let join_token = codecrafter_shared::keys::join_token(world.secret.as_bytes());
    let problem = client
        .send(with(&join_token))
        .await?
        .refused(ErrorCode::ValidationFailed)?;
    ensure!(
        problem
            .errors
            .iter()
            .any(|error| error.field == "publicKey"),
        "{problem:?}"
    );
    Ok(())
}
