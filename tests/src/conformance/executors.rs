//! Links: leases, reports and signatures.

use anyhow::{Context as _, Result, ensure};
use codecrafter_shared::api::Execution;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{AttemptId, ExecutionId};
use codecrafter_shared::job::{Event, Job, Reports};
use reqwest::Method;
use serde_json::json;

use super::executions::request;
use crate::client::Client;
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
    let link = Link::enrol(&world, "go").await?;
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
    let link = Link::enrol(&world, "go").await?;
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

pub async fn a_lease_whose_answer_was_lost_comes_again(world: World) -> Result<()> {
    let user = world.user().await?;
    let execution = user.execute(&request("cpp", "code")).await?;
    let link = Link::enrol(&world, "cpp").await?;
    let lost = link.lease(1, 20_000).await?;
    ensure!(lost.len() == 1, "{lost:?}");
    // Without a free slot, too: the executor has it, or had it before it restarted.
    let again = link.lease(0, 20_000).await?;
    ensure!(again.len() == 1 && again[0].id == lost[0].id, "{again:?}");
    ensure!(again[0].job == lost[0].job, "{again:?} is not {lost:?}");
    ensure!(again[0].expires_at >= lost[0].expires_at);
    link.acknowledge(&again).await?;
    let none = link.lease(1, 0).await?;
    ensure!(
        none.is_empty(),
        "acknowledged, and handed out again: {none:?}"
    );
    // Whoever does not offer the language any more gets it no more.
    let execution = end(&link, &user, &again[0].job, execution.id).await?;
    let next = user.execute(&request("cpp", "code")).await?;
    ensure!(next.id != execution);
    link.lease(1, 20_000).await?;
    let mut less = link.lease_request(1, 0);
    less.languages.clear();
    let leases = link.ask(&less).await?.leases;
    ensure!(leases.is_empty(), "{leases:?}");
    let other = Link::enrol(&world, "cpp").await?;
    let leases = other.lease(1, 20_000).await?;
    ensure!(leases.len() == 1 && leases[0].job.execution_id == next.id);
    end(&other, &user, &leases[0].job, next.id).await?;
    Ok(())
}

async fn end(link: &Link, user: &Client, job: &Job, execution: ExecutionId) -> Result<ExecutionId> {
    let attempt = AttemptId::random([30; 16]);
    let taken = link
        .report(vec![report(job, attempt, 0, printed("end"))])
        .await?;
    ensure!(taken.duplicates == 0 && taken.refused == 0, "{taken:?}");
    let path = format!("/api/v1/executions/{execution}");
    let ended: Execution = user.get(&path).await?.expect(200)?;
    ensure!(ended.verdict.is_some(), "{ended:?}");
    Ok(ended.id)
}

pub async fn a_newer_request_for_leases_ends_the_older(world: World) -> Result<()> {
    let user = world.user().await?;
    let link = Link::enrol(&world, "javascript").await?;
    let older = link.lease(1, 20_000);
    let newer = async {
        let before = link.seen(&world, None).await?;
        let newest = link.lease(1, 20_000);
        let create = async {
            link.seen(&world, Some(before)).await?;
            user.execute(&request("javascript", "code")).await
        };
        let (newest, execution) = futures_util::future::join(newest, create).await;
        Ok::<_, anyhow::Error>((newest?, execution?))
    };
    let (older, newer) = futures_util::future::join(older, newer).await;
    let (older, (newer, execution)) = (older?, newer?);
    ensure!(older.is_empty(), "an abandoned request got {older:?}");
    ensure!(newer.len() == 1 && newer[0].job.execution_id == execution.id);
    end(&link, &user, &newer[0].job, execution.id).await?;
    Ok(())
}

pub async fn jobs_go_where_their_language_runs_the_oldest_first(world: World) -> Result<()> {
    let user = world.user().await?;
    let (fits, other) = (
        Link::enrol(&world, "java").await?,
        Link::enrol(&world, "javascript").await?,
    );
    let create = async {
        fits.seen(&world, None).await?;
        other.seen(&world, None).await?;
        user.execute(&request("java", "first")).await
    };
    let (found, execution) = futures_util::future::join(fits.lease(1, 20_000), async {
        let waiting = other.lease(1, 1_000);
        let (none, execution) = futures_util::future::join(waiting, create).await;
        ensure!(none?.is_empty(), "a job went to who cannot run it");
        execution
    })
    .await;
    let (found, execution) = (found?, execution?);
    ensure!(found.len() == 1 && found[0].job.execution_id == execution.id);
    end(&fits, &user, &found[0].job, execution.id).await?;

    let mut asked = Vec::new();
    for code in ["one", "two", "three"] {
        asked.push(user.execute(&request("java", code)).await?.id);
    }
    let mut leased = Vec::new();
    for _ in 0..3 {
        let leases = fits.lease(1, 20_000).await?;
        let job = &leases.first().context("no lease")?.job;
        leased.push(job.execution_id);
        end(&fits, &user, job, job.execution_id).await?;
    }
    ensure!(leased == asked, "{leased:?} is not {asked:?}");
    Ok(())
}

pub async fn operators_see_executors_and_send_them_away(world: World) -> Result<()> {
    let user = world.user().await?;
    let link = Link::enrol(&world, "python").await?;
    let other = Link::enrol(&world, "python").await?;
    let held = user.execute(&request("python", "held")).await?;
    let leases = link.lease(1, 20_000).await?;
    link.acknowledge(&leases).await?;
    let job = &leases[0].job;
    let attempt = AttemptId::random([31; 16]);
    link.report(vec![report(job, attempt, 0, Event::Started)])
        .await?;
    let leased = user.execute(&request("python", "leased")).await?;
    link.lease(1, 20_000).await?;

    let known = world.executors().await?.items;
    let in_order = known.is_sorted_by_key(|executor| executor.enrolled_at);
    ensure!(in_order, "not sorted by enrolment: {known:?}");
    let own = known.iter().find(|known| known.id == link.executor_id);
    let own = own.context("an enrolled executor is not listed")?;
    ensure!(own.name == "played by hand" && own.version == "1.2.3" && own.live);
    ensure!(own.capacity == 1 && own.held == 1, "{own:?}");
    ensure!(own.languages.len() == 1 && own.languages[0].id == "python");
    ensure!(own.last_seen_at.is_some() && own.revoked_at.is_none());

    let path = format!("/api/v1/executors/{}", link.executor_id);
    let revoke = async || {
        let (client, request) = world.operator(Method::DELETE, &path);
        client.send(request).await
    };
    // Somebody waits, and gets what returns.
    let (returned, revoked) = futures_util::future::join(other.lease(2, 20_000), async {
        other.seen(&world, None).await?;
        revoke().await
    })
    .await;
    ensure!(revoked?.status == 204);
    let mut returned = returned?;
    if returned.len() < 2 {
        returned = other.lease(2, 20_000).await?;
    }
    let ids: Vec<_> = returned.iter().map(|l| l.job.execution_id).collect();
    ensure!(ids == [held.id, leased.id], "{ids:?}");
    ensure!(revoke().await?.status == 204, "not harmless to repeat");

    let unknown = ErrorCode::ExecutorUnknown;
    let asked = link.lease_request(1, 0);
    link.call("/internal/leases", &asked, Forgery::None)
        .await?
        .refused(unknown)?;
    let late = Reports {
        reports: vec![report(job, attempt, 1, printed("late"))],
    };
    link.call("/internal/reports", &late, Forgery::None)
        .await?
        .refused(unknown)?;
    for lease in &returned {
        end(&other, &user, &lease.job, lease.job.execution_id).await?;
    }
    let known = world.executors().await?.items;
    let own = known.iter().find(|known| known.id == link.executor_id);
    let own = own.context("a revoked executor is not listed")?;
    ensure!(own.revoked_at.is_some() && !own.live && own.held == 0);
    let beside = known.iter().find(|known| known.id == other.executor_id);
    let beside = beside.context("the other executor is not listed")?;
    ensure!(beside.live && beside.revoked_at.is_none(), "{beside:?}");
    ensure!(beside.capacity == 2 && beside.version == "1.2.3" && beside.held == 0);
    ensure!(beside.last_seen_at >= own.last_seen_at, "{known:?}");
    Ok(())
}

pub async fn executors_are_the_operators_business_alone(world: World) -> Result<()> {
    let link = Link::enrol(&world, "go").await?;
    let user = world.user().await?;
    let join_token = codecrafter_shared::keys::join_token(world.secret.as_bytes());
    let one = format!("/api/v1/executors/{}", link.executor_id);
    for (method, path) in [(Method::GET, "/api/v1/executors"), (Method::DELETE, &one)] {
        let stranger = world.stranger();
        let request = || stranger.request(method.clone(), path);
        stranger
            .send(request())
            .await?
            .refused(ErrorCode::TokenMissing)?;
        for token in [user.token(), &join_token, "ccop_guessed"] {
            stranger
                .send(request().bearer_auth(token))
                .await?
                .refused(ErrorCode::TokenInvalid)?;
        }
    }
    for id in [user.user()?.id.to_string(), "nonsense".into()] {
        let (client, request) = world.operator(Method::DELETE, &format!("/api/v1/executors/{id}"));
        client
            .send(request)
            .await?
            .refused(ErrorCode::ExecutorNotFound)?;
    }
    let (client, request) = world.operator(Method::POST, "/api/v1/executors");
    client
        .send(request.json(&json!({})))
        .await?
        .refused(ErrorCode::MethodNotAllowed)?;
    Ok(())
}
