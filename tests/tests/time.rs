//! Promises about time, with a clock that is moved by hand.

use codecrafter_shared::api::{
    CreateExecution, CreateSession, Execution, Page, Refresh, SessionContent, SignedIn, User,
    Version, VersionContent, VersionKind, WriteContent,
};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::job::Verdict;
use codecrafter_shared::limits;
use codecrafter_tests::link::Link;
use codecrafter_tests::native::deployment;
use reqwest::Method;

fn request() -> CreateExecution {
    CreateExecution {
        language: Some("python".into()),
        code: Some("print(1)".into()),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_lease_that_nobody_acknowledges_goes_to_somebody_else() {
    let (edge, world) = deployment(&[]).await;
    let execution = world
        .user()
        .await
        .unwrap()
        .execute(&request())
        .await
        .unwrap();
    let silent = Link::enrol(&world, "python").await.unwrap();
    let other = Link::enrol(&world, "python").await.unwrap();
    let lost = silent.lease(1, 0).await.unwrap();
    assert_eq!(lost[0].job.execution_id, execution.id);
    edge.clock.advance_ms(limits::LEASE_MS - 2_000);
    assert!(other.lease(1, 0).await.unwrap().is_empty());
    edge.clock.advance_ms(3_000);
    let leases = other.lease(1, 0).await.unwrap();
    assert_eq!(leases[0].job.execution_id, execution.id);
    assert_ne!(leases[0].id, lost[0].id);
    assert!(silent.acknowledge(&lost).await.unwrap().leases.is_empty());
    assert_eq!(other.acknowledge(&leases).await.unwrap().leases.len(), 1);
}

#[tokio::test]
async fn an_acknowledged_job_stays_with_its_link() {
    let (edge, world) = deployment(&[]).await;
    world
        .user()
        .await
        .unwrap()
        .execute(&request())
        .await
        .unwrap();
    let link = Link::enrol(&world, "python").await.unwrap();
    let leases = link.lease(1, 0).await.unwrap();
    link.acknowledge(&leases).await.unwrap();
    edge.clock.advance_ms(limits::LEASE_MS * 2);
    edge.directory.tick().await.unwrap();
    edge.clock.advance_ms(-limits::LEASE_MS * 2);
    let other = Link::enrol(&world, "python").await.unwrap();
    assert!(other.lease(1, 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_execution_that_nobody_answers_ends_as_expired() {
    let (edge, world) = deployment(&[]).await;
    let mut user = world.user().await.unwrap();
    let execution = user.execute(&request()).await.unwrap();
    edge.clock.advance_ms(limits::EXECUTION_MS_MAX + 1_000);
    edge.directory.tick().await.unwrap();
    let refresh_token = user.signed_in.clone().unwrap().refresh_token;
    let answer = user
        .post("/api/v1/auth/refresh", &Refresh { refresh_token })
        .await
        .unwrap();
    user.signed_in = Some(answer.expect::<SignedIn>(200).unwrap());
    let ended: Execution = user.execution(&execution).await.unwrap();
    assert_eq!(ended.verdict, Some(Verdict::Expired));
    assert_eq!(ended.attempts, 0);
    assert!(ended.message.is_some());
}

#[tokio::test]
async fn a_login_session_ends_when_nobody_refreshes_it() {
    let (edge, world) = deployment(&[]).await;
    let user = world.user().await.unwrap();
    let refresh_token = user.signed_in.clone().unwrap().refresh_token;
    edge.clock.advance_ms(limits::LOGIN_SESSION_IDLE_MS + 1_000);
    let answer = user
        .post("/api/v1/auth/refresh", &Refresh { refresh_token })
        .await
        .unwrap();
    answer.refused(ErrorCode::LoginSessionEnded).unwrap();
}

#[tokio::test]
async fn an_access_token_ends_after_its_time() {
    let (edge, world) = deployment(&[]).await;
    let user = world.user().await.unwrap();
    edge.clock.advance_ms(limits::ACCESS_TOKEN_MS - 1_000);
    user.get("/api/v1/auth/me")
        .await
        .unwrap()
        .expect::<User>(200)
        .unwrap();
    edge.clock.advance_ms(limits::CLOCK_TOLERANCE_MS + 2_000);
    let answer = user.get("/api/v1/auth/me").await.unwrap();
    answer.refused(ErrorCode::TokenExpired).unwrap();
}

#[tokio::test]
async fn what_a_room_could_not_be_told_it_is_told_later() {
    let (edge, world) = deployment(&[]).await;
    let owner = world.user().await.unwrap();
    edge.set_rooms_unreachable(true);
    let session = CreateSession {
        title: "Cut off".into(),
        language: "python".into(),
        content: Some("print('kept')".into()),
        ..Default::default()
    };
    let session = owner.create_session(&session).await.unwrap();
    let own = CreateExecution {
        session_id: Some(session.id),
        ..Default::default()
    };
    let answer = owner.post("/api/v1/executions", &own).await.unwrap();
    answer.refused(ErrorCode::Unavailable).unwrap();

    edge.set_rooms_unreachable(false);
    edge.clock.advance_ms(6_000);
    edge.directory.tick().await.unwrap();
    owner.execute(&own).await.unwrap();
    let link = Link::enrol(&world, "python").await.unwrap();
    let leases = link.lease(1, 0).await.unwrap();
    assert_eq!(leases[0].job.code, "print('kept')");
}

#[tokio::test]
async fn a_document_that_rests_is_kept_by_itself() {
    let (edge, world) = deployment(&[]).await;
    let owner = world.user().await.unwrap();
    let request = CreateSession {
        title: "Rest".into(),
        language: "python".into(),
        ..Default::default()
    };
    let session = owner.create_session(&request).await.unwrap();
    let path = |rest: &str| format!("/api/v1/sessions/{}/{rest}", session.id);
    let write = async |content: &str| {
        let request = WriteContent {
            content: Some(content.into()),
            files: None,
        };
        let content = path("content");
        let answer = owner.json(Method::PUT, &content, &request).await.unwrap();
        answer.expect::<SessionContent>(200).unwrap();
    };
    let versions = async || {
        let answer = owner.get(&path("versions")).await.unwrap();
        answer.expect::<Page<Version>>(200).unwrap().items
    };
    write("a program that is long enough").await;
    assert!(versions().await.is_empty(), "it was just written");
    edge.clock.advance_ms(limits::VERSION_REST_MS);
    let kept = versions().await;
    assert_eq!(kept.len(), 1);
    assert_eq!(
        (kept[0].kind, kept[0].user_id),
        (VersionKind::Automatic, None)
    );

    // Too little to be kept at once.
    write("A program that is long enough").await;
    edge.clock.advance_ms(limits::VERSION_REST_MS);
    assert_eq!(versions().await.len(), 1);
    // What comes after a rest does not take away what was there before it.
    write("something else altogether").await;
    edge.clock.advance_ms(limits::VERSION_REST_MS);
    write("").await;
    let kept = versions().await;
    assert_eq!(kept.len(), 2);
    let read = format!("versions/{}", kept[0].number);
    let read = owner.get(&path(&read)).await.unwrap();
    let read: VersionContent = read.expect(200).unwrap();
    assert_eq!(read.content, "something else altogether");
}
