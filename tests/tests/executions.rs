//! Ends of executions that take time, a deployment in trouble, or a look behind the API.

use std::sync::Arc;
use std::time::{Duration, Instant};

use codecrafter_edge::executions::store::topic;
use codecrafter_edge::native::NativeEdge;
use codecrafter_edge::ports::DbError;
use codecrafter_shared::api::{
    CreateExecution, CreateSession, Execution, ExecutionStatus, SignedIn,
};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{AttemptId, ExecutionId};
use codecrafter_shared::job::{Event, Verdict};
use codecrafter_shared::limits;
use codecrafter_tests::client::{Client, PASSWORD};
use codecrafter_tests::link::{Link, printed, report};
use codecrafter_tests::native;
use codecrafter_tests::world::World;
use futures_util::future::join;

/// A deployment where few executions may wait.
async fn deployment() -> (Arc<NativeEdge>, World) {
    native::deployment(&[("CODECRAFTER_WAITING_MAX", "3")]).await
}

fn request() -> CreateExecution {
    CreateExecution {
        language: Some("python".into()),
        code: Some("print(1)".into()),
        ..Default::default()
    }
}

/// An execution of a session of `user`.
async fn execute_in_session(user: &Client) -> Execution {
    let session = CreateSession {
        title: "Told".into(),
        language: "python".into(),
        ..Default::default()
    };
    let session = user.create_session(&session).await.unwrap();
    let inside = CreateExecution {
        session_id: Some(session.id),
        ..request()
    };
    user.execute(&inside).await.unwrap()
}

/// The verdicts that rooms are still to be told.
async fn to_be_told(edge: &NativeEdge) -> Vec<String> {
    let rows = edge.directory.db.transaction(|tx| async move {
        let sql = "SELECT message -> '$.report.event.outcome' ->> 'verdict' AS verdict \
                   FROM outbox WHERE message ->> '$.type' = 'finished' ORDER BY id";
        tx.execute(sql, []).await
    });
    let rows: Result<_, DbError> = rows.await;
    let verdicts = rows.unwrap().into_iter().map(|row| row.get("verdict"));
    verdicts.map(Result::unwrap).collect()
}

/// Waits for the end of `execution`, which `end` brings about once somebody waits for it.
async fn waited(
    edge: &NativeEdge,
    user: &Client,
    execution: &Execution,
    end: impl Future,
) -> Execution {
    let path = format!("/api/v1/executions/{}?wait=true", execution.id);
    let waiting = async {
        let waited = user.get(&path);
        tokio::time::timeout(Duration::from_secs(20), waited)
            .await
            .expect("nobody woke who waited")
    };
    let end = async {
        while edge.wakes.listeners(&topic(execution.id)) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Whoever listens looks once more before waiting; transactions take turns.
        user.execution(execution).await.unwrap();
        end.await
    };
    let (answer, _) = join(waiting, end).await;
    answer.unwrap().expect(200).unwrap()
}

#[tokio::test]
async fn a_cancelled_execution_that_its_executor_does_not_end_is_ended() {
    let (edge, world) = deployment().await;
    let user = world.user().await.unwrap();
    let execution = execute_in_session(&user).await;
    let link = Link::enrol(&world, "python").await.unwrap();
    let leases = link.lease(1, 0).await.unwrap();
    link.acknowledge(&leases).await.unwrap();
    let attempt = AttemptId::random([1; 16]);
    let started = report(&leases[0].job, attempt, 0, Event::Started);
    link.report(vec![started]).await.unwrap();
    let answer = user.cancel(&execution).await.unwrap();
    answer.expect::<Execution>(202).unwrap();

    edge.clock.advance_ms(limits::CANCEL_MS_MAX - 5_000);
    edge.directory.tick().await.unwrap();
    let running = user.execution(&execution).await.unwrap();
    assert_eq!(running.status, ExecutionStatus::Running);
    edge.set_rooms_unreachable(true);
    let ended = waited(&edge, &user, &execution, async {
        edge.clock.advance_ms(6_000);
        edge.directory.tick().await.unwrap();
    });
    let ended = ended.await;
    assert_eq!(ended.verdict, Some(Verdict::Cancelled));
    assert_eq!(ended.attempt_id, Some(attempt));
    assert_eq!(to_be_told(&edge).await, ["cancelled"]);
    edge.set_rooms_unreachable(false);
    edge.clock.advance_ms(10_000);
    edge.directory.tick().await.unwrap();
    assert!(to_be_told(&edge).await.is_empty());

    let late = report(&leases[0].job, attempt, 1, printed("late"));
    assert_eq!(link.report(vec![late]).await.unwrap().duplicates, 1);
    let still = user.execution(&execution).await.unwrap();
    assert_eq!(still.verdict, Some(Verdict::Cancelled));
}

#[tokio::test]
async fn a_cancelled_lease_that_returns_is_ended_and_not_leased_again() {
    let (edge, world) = deployment().await;
    let user = world.user().await.unwrap();
    let link = Link::enrol(&world, "python").await.unwrap();
    let other = Link::enrol(&world, "python").await.unwrap();

    // It returns because nobody acknowledges it.
    let expired = user.execute(&request()).await.unwrap();
    assert_eq!(link.lease(1, 0).await.unwrap().len(), 1);
    edge.clock.advance_ms(limits::LEASE_MS - 1_000);
    let answer = user.cancel(&expired).await.unwrap();
    answer.expect::<Execution>(202).unwrap();
    edge.clock.advance_ms(2_000);
    assert!(other.lease(1, 0).await.unwrap().is_empty());
    let ended = user.execution(&expired).await.unwrap();
    assert_eq!(ended.verdict, Some(Verdict::Cancelled));

    // It would be handed to the same executor again.
    let asked_again = user.execute(&request()).await.unwrap();
    assert_eq!(link.lease(1, 0).await.unwrap().len(), 1);
    let answer = user.cancel(&asked_again).await.unwrap();
    answer.expect::<Execution>(202).unwrap();
    assert!(link.lease(1, 0).await.unwrap().is_empty());
    let ended = user.execution(&asked_again).await.unwrap();
    assert_eq!(ended.verdict, Some(Verdict::Cancelled));

    // Its executor is sent away.
    let revoked = user.execute(&request()).await.unwrap();
    let leases = link.lease(1, 0).await.unwrap();
    link.acknowledge(&leases).await.unwrap();
    let answer = user.cancel(&revoked).await.unwrap();
    answer.expect::<Execution>(202).unwrap();
    let path = format!("/api/v1/executors/{}", link.executor_id);
    let (client, revoke) = world.operator(reqwest::Method::DELETE, &path);
    let ended = waited(&edge, &user, &revoked, client.send(revoke)).await;
    assert_eq!(ended.verdict, Some(Verdict::Cancelled));
    assert!(other.lease(1, 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_kind_of_end_wakes_who_waits_and_is_told_to_the_room() {
    let (edge, world) = deployment().await;
    let user = world.user().await.unwrap();
    let link = Link::enrol(&world, "python").await.unwrap();

    let execution = execute_in_session(&user).await;
    let leases = link.lease(1, 0).await.unwrap();
    link.acknowledge(&leases).await.unwrap();
    let second = execute_in_session(&user).await;
    let third = execute_in_session(&user).await;
    edge.set_rooms_unreachable(true);
    let attempt = AttemptId::random([2; 16]);
    let end = report(&leases[0].job, attempt, 0, printed("1\n"));
    let ended = waited(&edge, &user, &execution, link.report(vec![end])).await;
    assert_eq!(ended.verdict, Some(Verdict::Accepted));
    let ended = waited(&edge, &user, &second, user.cancel(&second)).await;
    assert_eq!(ended.verdict, Some(Verdict::Cancelled));
    let told = ["accepted", "cancelled", "expired"];
    assert_eq!(to_be_told(&edge).await, told[..2]);
    // Through the shard: an hour is longer than an access token's life.
    edge.clock
        .advance_ms(limits::EXECUTION_MS_MAX - 10 * 60_000);
    let mut user = user;
    let refresh_token = user.signed_in.clone().unwrap().refresh_token;
    let refresh = codecrafter_shared::api::Refresh { refresh_token };
    let answer = user.post("/api/v1/auth/refresh", &refresh).await.unwrap();
    user.signed_in = Some(answer.expect(200).unwrap());
    let ended = waited(&edge, &user, &third, async {
        edge.clock.advance_ms(11 * 60_000);
        edge.directory.tick().await.unwrap();
    });
    assert_eq!(ended.await.verdict, Some(Verdict::Expired));
    assert_eq!(to_be_told(&edge).await, told);
}

#[tokio::test]
async fn as_many_executions_wait_as_may_and_no_more() {
    let (_, world) = deployment().await;
    let user = world.user().await.unwrap();
    for _ in 0..3 {
        user.execute(&request()).await.unwrap();
    }
    let other = world.user().await.unwrap();
    let answer = other.post("/api/v1/executions", &request()).await.unwrap();
    assert!(answer.headers.contains_key("retry-after"));
    answer.refused(ErrorCode::QueueFull).unwrap();
    // What an executor has does not wait any more.
    let link = Link::enrol(&world, "python").await.unwrap();
    assert_eq!(link.lease(1, 0).await.unwrap().len(), 1);
    let waiting = other.execute(&request()).await.unwrap();
    let answer = other.post("/api/v1/executions", &request()).await.unwrap();
    answer.refused(ErrorCode::QueueFull).unwrap();
    // Neither does what was cancelled.
    let answer = other.cancel(&waiting).await.unwrap();
    answer.expect::<Execution>(200).unwrap();
    other.execute(&request()).await.unwrap();
}

#[tokio::test]
async fn two_who_wait_get_a_job_each_as_soon_as_there_are_two() {
    let (_, world) = deployment().await;
    let user = world.user().await.unwrap();
    let (first, second) = (
        Link::enrol(&world, "python").await.unwrap(),
        Link::enrol(&world, "python").await.unwrap(),
    );
    // Each takes one, though nothing but a wake-up tells them within this time.
    let mut asked = None;
    let jobs = async {
        first.seen(&world, None).await.unwrap();
        second.seen(&world, None).await.unwrap();
        asked = Some(Instant::now());
        let one = user.execute(&request()).await.unwrap();
        let two = user.execute(&request()).await.unwrap();
        [one.id, two.id]
    };
    let leases = join(first.lease(1, 20_000), second.lease(1, 20_000));
    let ((one, two), ids) = join(leases, jobs).await;
    let mut got = [one.unwrap(), two.unwrap()].map(|leases| leases[0].job.execution_id);
    got.sort_unstable();
    assert_eq!(got, ids);
    assert!(asked.unwrap().elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_deployment_in_trouble_says_no_more_than_that() {
    let (edge, world) = deployment().await;
    let user = world.user().await.unwrap();
    edge.set_rooms_unreachable(true);
    let session = CreateSession {
        title: "Cut off".into(),
        language: "python".into(),
        ..Default::default()
    };
    let session = user.create_session(&session).await.unwrap();
    let own = CreateExecution {
        session_id: Some(session.id),
        ..Default::default()
    };
    let answer = user.post("/api/v1/executions", &own).await.unwrap();
    answer.refused(ErrorCode::Unavailable).unwrap();
    let broken = edge.directory.db.transaction(|tx| async move {
        tx.execute("DROP TABLE execution", []).await?;
        Ok::<_, DbError>(())
    });
    broken.await.unwrap();
    let answer = user.post("/api/v1/executions", &request()).await.unwrap();
    let problem = answer.refused(ErrorCode::Internal).unwrap();
    assert!(problem.detail.is_none(), "{problem:?}");
}

/// Makes `copies` of an execution that waits, as if its user had asked so often.
async fn asked_often(edge: &NativeEdge, execution: &Execution, copies: u32) {
    let (id, at) = (execution.id.to_string(), execution.created_at);
    let copied = edge.directory.db.transaction(|tx| {
        let id = id.clone();
        async move {
            for copy in 0..copies {
                let mut random = [0; 10];
                random[..4].copy_from_slice(&copy.to_be_bytes());
                let new = ExecutionId::at(at.plus_millis(1), random).to_string();
                for (table, name, others) in [
                    ("job", "execution_id", "user_id, language, state, deadline"),
                    ("execution", "id", "user_id, language, status, attempts"),
                    ("part", "id", "kind, part, data"),
                ] {
                    let sql = format!(
                        "INSERT INTO {table} (tenant, {name}, {others}) \
                         SELECT tenant, ?, {others} FROM {table} WHERE tenant = 'main' AND {name} = ?"
                    );
                    tx.execute(&sql, [(&new).into(), (&id).into()]).await?;
                }
            }
            Ok::<_, DbError>(())
        }
    });
    copied.await.unwrap();
}

/// How many parts of that kind the Directory has.
async fn parts(edge: &NativeEdge, kind: &'static str) -> u32 {
    let rows = edge.directory.db.transaction(|tx| async move {
        let sql = "SELECT count(*) AS n FROM part WHERE kind = ?";
        tx.first(sql, [kind.into()]).await
    });
    let row: Result<_, DbError> = rows.await;
    row.unwrap().unwrap().get("n").unwrap()
}

/// The same user, days later.
async fn again(world: &World, user: &Client) -> Client {
    let mut client = world.stranger();
    let signed_in = client.login(&user.user().unwrap().username, PASSWORD);
    let signed_in: SignedIn = signed_in.await.unwrap().expect(200).unwrap();
    client.signed_in = Some(signed_in);
    client
}

#[tokio::test]
async fn a_result_goes_when_its_time_is_over_and_that_it_ran_stays() {
    const DAY_MS: i64 = 24 * 3_600 * 1_000;
    let (edge, world) = native::deployment(&[("CODECRAFTER_RESULTS_DAYS", "30")]).await;
    let user = world.user().await.unwrap();
    let execution = user.execute(&request()).await.unwrap();
    let link = Link::enrol(&world, "python").await.unwrap();
    let leases = link.lease(1, 0).await.unwrap();
    link.acknowledge(&leases).await.unwrap();
    let attempt = AttemptId::random([1; 16]);
    let ended = report(&leases[0].job, attempt, 0, printed("secret\n"));
    link.report(vec![ended]).await.unwrap();
    edge.clock.advance_ms(30 * DAY_MS - 60_000);
    edge.directory.tick().await.unwrap();
    let user = again(&world, &user).await;
    let kept = user.execution(&execution).await.unwrap();
    assert_eq!(
        (kept.stdout.as_deref(), kept.result_expired),
        (Some("secret\n"), false)
    );

    edge.clock.advance_ms(120_000);
    // Nobody has removed it yet, and it is not shown.
    assert_eq!(parts(&edge, "result").await, 1);
    let expired = user.execution(&execution).await.unwrap();
    assert!(expired.result_expired);
    assert_eq!(
        (&expired.stdout, &expired.stderr, &expired.message),
        (&None, &None, &None)
    );
    let stays = |execution: &Execution| {
        let Execution {
            verdict,
            exit_code,
            cpu_ms,
            wall_ms,
            peak_bytes,
            ..
        } = *execution;
        (
            verdict,
            exit_code,
            cpu_ms,
            wall_ms,
            peak_bytes,
            execution.finished_at,
        )
    };
    assert_eq!(stays(&expired), stays(&kept));
    assert_eq!(expired.verdict, Some(Verdict::Accepted));

    // What has not ended keeps its job.
    let waiting = user.execute(&request()).await.unwrap();
    edge.directory.tick().await.unwrap();
    assert_eq!(
        (parts(&edge, "result").await, parts(&edge, "job").await),
        (0, 1)
    );
    let removed = user.execution(&execution).await.unwrap();
    assert_eq!(stays(&removed), stays(&kept));
    assert!(removed.result_expired);
    let waiting = user.execution(&waiting).await.unwrap();
    assert_eq!(
        (waiting.status, waiting.result_expired),
        (ExecutionStatus::Queued, false)
    );
}

#[tokio::test]
async fn what_is_too_old_goes_in_bounded_pieces() {
    let (edge, world) = native::deployment(&[]).await;
    let user = world.user().await.unwrap();
    let execution = user.execute(&request()).await.unwrap();
    user.cancel(&execution).await.unwrap();
    edge.clock.advance_ms(400 * 24 * 3_600 * 1_000);
    let copied = edge.directory.db.transaction(|tx| async move {
        let sql = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 250) \
                   INSERT INTO part (tenant, kind, id, part, data) \
                   SELECT tenant, kind, id || n, part, data FROM part, n WHERE kind = 'result'";
        tx.execute(sql, []).await
    });
    let copied: Result<_, DbError> = copied.await;
    copied.unwrap();
    let mut left = vec![parts(&edge, "result").await];
    for _ in 0..3 {
        edge.directory.tick().await.unwrap();
        left.push(parts(&edge, "result").await);
    }
    assert_eq!(left, [251, 151, 51, 0]);
}

/// Whose the jobs are that a link is handed one after the other, by the order of asking.
async fn handed_out(link: &Link, count: usize) -> Vec<ExecutionId> {
    let mut handed_out = Vec::new();
    for _ in 0..count {
        let leases = link.lease(1, 0).await.unwrap();
        link.acknowledge(&leases).await.unwrap();
        handed_out.push(leases[0].job.execution_id);
    }
    handed_out
}

#[tokio::test]
async fn a_thousand_jobs_of_one_user_keep_anothers_one_from_no_more_than_the_next_slot() {
    let (edge, world) = native::deployment(&[("CODECRAFTER_WAITING_MAX", "5000")]).await;
    let (many, one) = (world.user().await.unwrap(), world.user().await.unwrap());
    let link = Link::enrol(&world, "python").await.unwrap();
    let first = many.execute(&request()).await.unwrap();
    asked_often(&edge, &first, 1_000).await;
    // Every slot has one of the thousand.
    let slots = handed_out(&link, 4).await;
    edge.clock.advance_ms(1_000);
    let alone = one.execute(&request()).await.unwrap();
    // The position of the single job among those that get the slots that become free.
    let next = handed_out(&link, 3).await;
    assert_eq!(next.iter().position(|id| *id == alone.id), Some(0));
    assert!(!slots.contains(&alone.id));
    // Once as much is on its way for both, they take turns.
    let mut own = Vec::new();
    for _ in 0..6 {
        own.push(one.execute(&request()).await.unwrap().id);
    }
    let next = handed_out(&link, 8).await;
    let whose: Vec<bool> = next.iter().map(|id| own.contains(id)).collect();
    let (of_one, of_many) = (true, false);
    let until_even = [of_one; 5];
    assert_eq!(whose[..5], until_even);
    assert_eq!(whose[5..], [of_many, of_one, of_many]);
}

#[tokio::test]
async fn what_somebody_waits_for_goes_before_what_is_judged_for_a_minute() {
    let (edge, world) = native::deployment(&[]).await;
    let (judge, person) = (world.user().await.unwrap(), world.user().await.unwrap());
    let link = Link::enrol(&world, "python").await.unwrap();
    let judged = CreateExecution {
        expected_output: Some("1\n".into()),
        ..request()
    };
    let first = judge.execute(&judged).await.unwrap().id;
    let second = judge.execute(&judged).await.unwrap().id;
    let waited_for = person.execute(&request()).await.unwrap().id;
    assert_eq!(handed_out(&link, 2).await, [waited_for, first]);
    // It has waited long enough by then.
    edge.clock.advance_ms(61_000);
    let (newer, other) = (
        person.execute(&request()).await.unwrap().id,
        world
            .user()
            .await
            .unwrap()
            .execute(&request())
            .await
            .unwrap()
            .id,
    );
    assert_eq!(handed_out(&link, 3).await, [other, second, newer]);
}
