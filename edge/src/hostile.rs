//! What liars and strangers send, through every layer on the native ports.

mod executors;
mod floods;
mod lists;
mod logins;
mod people;
mod quotas;
mod rooms;
mod waits;

use std::sync::{Arc, Mutex};

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codecrafter_shared::api::{Execution, Session, SessionContent, WriteContent};
use codecrafter_shared::id::{AttemptId, ExecutorId};
use codecrafter_shared::job::{
    Enrolled, Event, LINK_AUDIENCE, Leases, LinkClaims, Outcome, Report, SourceFile, Verdict,
};
use codecrafter_shared::{keys, limits};
use http::Request;
use http_body_util::BodyExt as _;
use jwt_simple::prelude::{Claims, Duration, Ed25519KeyPair, EdDSAKeyPairLike as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower_service::Service as _;

use crate::accounts::calls::OpenAccount;
use crate::config::Config;
use crate::front::Ports;
use crate::native::{NativeEdge, NoAssets};
use crate::ports::{Clock as _, DbError, Shard, ShardResponse, ShardUnreachable, Shards};
use crate::room::AccessNotice;
use crate::room::calls::{ReadContent, WriteText};
use crate::shard::call;

const SECRET: &str = "a secret of the tests, and of nobody else";

/// A deployment with one user.
struct World {
    edge: NativeEdge,
    token: String,
}

/// The shards, with one call that never gets an answer, and what was posted to rooms.
struct Watched {
    shards: Arc<dyn Shards>,
    lost: &'static str,
    posts: Mutex<Vec<(String, Value)>>,
}

impl Watched {
    /// What was posted to rooms on this path since the last time.
    fn take(&self, path: &str) -> Vec<Value> {
        let posts = std::mem::take(&mut *self.posts.lock().unwrap());
        let posts = posts.into_iter().filter(|(posted, _)| posted == path);
        posts.map(|(_, body)| body).collect()
    }
}

#[async_trait::async_trait]
impl Shards for Watched {
    async fn post(
        &self,
        shard: &Shard,
        path: &str,
        body: Vec<u8>,
    ) -> Result<ShardResponse, ShardUnreachable> {
        if path == self.lost {
            return Err(ShardUnreachable("lost by hand".into()));
        }
        if matches!(shard, Shard::Room { .. }) {
            let posted = (path.to_owned(), serde_json::from_slice(&body).unwrap());
            self.posts.lock().unwrap().push(posted);
        }
        self.shards.post(shard, path, body).await
    }
}

/// A link, and the executor whose it is.
struct Link {
    key: Ed25519KeyPair,
    executor: ExecutorId,
}

impl World {
    async fn new() -> Self {
        let secret = |name: &str| (name == "CODECRAFTER_SECRET").then(|| SECRET.to_owned());
        let config = Config::from_settings(secret).ok().unwrap();
        let edge = NativeEdge::new(config).unwrap();
        edge.directory.tick().await.unwrap();
        let account = OpenAccount {
            username: "eve".into(),
            email: "eve@example.org".into(),
            display_name: "Eve".into(),
            password: "not a hash".into(),
        };
        let opened = crate::accounts::store::open_account(&edge.directory, account).await;
        let caller = opened.unwrap().value.caller;
        let keys = &edge.directory.config.keys;
        let (token, _) = keys.access_token(caller, edge.clock.now()).unwrap();
        Self { edge, token }
    }

    /// From now on the front reaches its shards through this; `lost` is a path or nothing.
    fn watch(&mut self, lost: &'static str) -> Arc<Watched> {
        let directory = &self.edge.directory;
        let watched = Arc::new(Watched {
            shards: directory.shards.clone(),
            lost,
            posts: Mutex::default(),
        });
        self.edge.router = crate::router::router(Ports {
            clock: directory.clock.clone(),
            rng: directory.rng.clone(),
            shards: watched.clone(),
            hasher: directory.hasher.clone(),
            assets: Arc::new(NoAssets),
            rooms: None,
            streamed_rooms: None,
            spans: None,
            limit_memory: Arc::default(),
            config: directory.config.clone(),
        });
        watched
    }

    /// The status, the media type and the body of an answer.
    async fn send(&self, request: Request<Body>) -> (u16, String, Vec<u8>) {
        let answer = self.edge.router.clone().call(request).await.unwrap();
        let status = answer.status().as_u16();
        let media_type = answer.headers().get("content-type");
        let media_type = media_type.map(|value| value.to_str().unwrap().to_owned());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, media_type.unwrap_or_default(), body.to_vec())
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, String, Vec<u8>) {
        let request = Request::builder().method(method).uri(path);
        let request = request
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json");
        self.send(request.body(body.to_string().into()).unwrap())
            .await
    }

    async fn asked<T: DeserializeOwned>(&self, method: &str, path: &str, body: &Value) -> T {
        let (status, _, body) = self.ask(method, path, body).await;
        let text = String::from_utf8_lossy(&body);
        assert!((200..300).contains(&status), "{status} {text}");
        serde_json::from_slice(&body).unwrap()
    }

    async fn session(&self, content: &str) -> Session {
        let wanted = json!({ "title": "t", "language": "python", "content": content });
        self.asked("POST", "/api/v1/sessions", &wanted).await
    }

    async fn content(&self, session: &Session) -> SessionContent {
        let room = Shard::Room {
            session: session.id,
        };
        let shards = &*self.edge.directory.shards;
        call(shards, &room, &ReadContent {}).await.unwrap()
    }

    async fn execution(&self, wanted: &Value) -> Execution {
        self.asked("POST", "/api/v1/executions", wanted).await
    }

    async fn seen(&self, execution: &Execution) -> Execution {
        let path = format!("/api/v1/executions/{}", execution.id);
        self.asked("GET", &path, &Value::Null).await
    }

    async fn sql(&self, sql: &str) -> Vec<crate::ports::Row> {
        let db = &self.edge.directory.db;
        let rows = db.transaction(|tx| async move { tx.execute(sql, []).await });
        let rows: Result<_, DbError> = rows.await;
        rows.unwrap().into_iter().collect()
    }

    async fn link(&self) -> Link {
        let key = Ed25519KeyPair::generate();
        let public_key = URL_SAFE_NO_PAD.encode(key.public_key().to_bytes());
        let join_token = keys::join_token(SECRET.as_bytes());
        let request = Request::post("/internal/executors")
            .header("authorization", format!("Bearer {join_token}"))
            .body(Body::from(
                json!({ "name": "x", "publicKey": public_key }).to_string(),
            ));
        let (_, _, body) = self.send(request.unwrap()).await;
        let Enrolled { executor_id } = serde_json::from_slice(&body).unwrap();
        Link {
            key,
            executor: executor_id,
        }
    }

    async fn signed(&self, link: &Link, path: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let claims = LinkClaims {
            path: path.into(),
            body: keys::body_hash(body.as_bytes()),
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "a link has the clock of its host"
        )]
        let claims = Claims::with_custom_claims(claims, Duration::from_secs(60))
            .with_issuer(link.executor)
            .with_audience(LINK_AUDIENCE);
        let token = link.key.sign(claims).unwrap();
        let request = Request::post(path)
            .header("authorization", format!("Bearer {token}"))
            .body(Body::from(body));
        let (status, _, body) = self.send(request.unwrap()).await;
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn lease(&self, link: &Link, slots: u32) -> Leases {
        let (status, leases) = self
            .signed(link, "/internal/leases", &offer(slots, "3.13"))
            .await;
        assert_eq!(status, 200, "{leases}");
        serde_json::from_value(leases).unwrap()
    }
}

fn offer(slots: u32, version: &str) -> Value {
    json!({
        "protocol": 1, "protocolMin": 1, "slots": slots, "waitMs": 0,
        "languages": [{ "id": "python", "version": version }],
    })
}

#[tokio::test]
async fn what_a_client_wrote_into_a_room_is_checked_before_it_runs() {
    let world = World::new().await;
    let session = world.session("print(1)").await;
    // As a socket can write it: whatever Yjs takes.
    let file = |path: &str, content: String| SourceFile {
        path: path.into(),
        content,
    };
    let write = |files| WriteText {
        user_id: session.owner_id,
        notice: AccessNotice {
            access_version: session.access_version,
            locked: false,
            deleted: false,
            participants: vec![],
        },
        request: WriteContent {
            content: None,
            files: Some(files),
        },
        expected: None,
    };
    let long = "x".repeat(limits::SOURCE_FILE_BYTES_MAX + 1);
    let room = Shard::Room {
        session: session.id,
    };
    for files in [
        vec![file("../../etc/passwd", String::new())],
        vec![file("a.py", long)],
    ] {
        let shards = &*world.edge.directory.shards;
        call(shards, &room, &write(files)).await.unwrap();
        let wanted = json!({ "sessionId": session.id });
        let (status, _, problem) = world.ask("POST", "/api/v1/executions", &wanted).await;
        let problem = String::from_utf8(problem).unwrap();
        assert_eq!(status, 422, "{problem}");
        assert!(problem.contains("files[0]"), "{problem}");
    }
}

#[tokio::test]
async fn an_executor_reports_to_no_other_room_than_its_jobs() {
    let world = World::new().await;
    let (own, other) = (world.session("1").await, world.session("2").await);
    let link = world.link().await;
    let execution = world.execution(&json!({ "sessionId": own.id })).await;
    let leases = world.lease(&link, 1).await.leases;
    let finished = |session_id| Report {
        execution_id: execution.id,
        session_id,
        report_token: leases[0].job.report_token.clone(),
        attempt_id: AttemptId::random([1; 16]),
        seq: 1,
        at: world.edge.clock.now(),
        event: Event::Finished {
            outcome: Box::new(Outcome::without_run(Verdict::Accepted, "done")),
        },
        traceparent: None,
    };
    let report = async |session| {
        let reports = json!({ "reports": [finished(session)] });
        world.signed(&link, "/internal/reports", &reports).await.1
    };
    for elsewhere in [Some(other.id), None] {
        let taken = report(elsewhere).await;
        assert_eq!(taken["refused"], 1, "{taken}");
    }
    let taken = report(Some(own.id)).await;
    assert_eq!(taken["refused"], 0, "{taken}");
    let seen = world.seen(&execution).await;
    assert_eq!(seen.verdict, Some(Verdict::Accepted));
}

#[tokio::test]
async fn the_attempt_that_a_room_shows_ends_and_no_late_one_begins() {
    let mut world = World::new().await;
    let watched = world.watch("");
    let session = world.session("1").await;
    let link = world.link().await;
    let execution = world.execution(&json!({ "sessionId": session.id })).await;
    let job = world.lease(&link, 1).await.leases.remove(0).job;
    let report = async |attempt: u8, seq, event| {
        let report = Report {
            execution_id: execution.id,
            session_id: job.session_id,
            report_token: job.report_token.clone(),
            attempt_id: AttemptId::random([attempt; 16]),
            seq,
            at: world.edge.clock.now(),
            event,
            traceparent: None,
        };
        let reports = json!({ "reports": [report] });
        let (status, taken) = world.signed(&link, "/internal/reports", &reports).await;
        assert_eq!(status, 200, "{taken}");
        let told = watched.take("/reports");
        let told = told.iter().map(|told| told["reports"][0].clone());
        told.map(|told| (told["attemptId"].clone(), told["event"]["type"].clone()))
            .collect::<Vec<_>>()
    };
    let end = || Event::Finished {
        outcome: Box::new(Outcome::without_run(Verdict::Accepted, "done")),
    };
    let attempt = |n: u8| json!(AttemptId::random([n; 16]));
    let began = |n| vec![(attempt(n), json!("started"))];
    assert_eq!(report(1, 0, Event::Started).await, began(1));
    assert_eq!(report(2, 0, Event::Started).await, began(2));
    // The room shows the second; the first has ended.
    let ended = vec![(attempt(2), json!("finished"))];
    assert_eq!(report(1, 1, end()).await, ended);
    assert_eq!(report(2, 1, end()).await, vec![]);
    assert_eq!(report(3, 0, Event::Started).await, vec![]);
    assert_eq!(
        report(1, 0, Event::Started).await,
        began(1),
        "it comes again"
    );
    let seen = world.seen(&execution).await;
    assert_eq!(json!(seen.attempt_id), attempt(1));
}

#[tokio::test]
async fn an_execution_that_was_taken_in_is_given_even_if_the_wait_for_it_breaks_off() {
    let mut world = World::new().await;
    world.watch("/executions/get");
    let wanted = json!({ "language": "python", "code": "1" });
    let path = "/api/v1/executions?wait=true";
    let (status, _, execution) = world.ask("POST", path, &wanted).await;
    assert_eq!(status, 202);
    let execution: Execution = serde_json::from_slice(&execution).unwrap();
    let link = world.link().await;
    let leases = world.lease(&link, 1).await.leases;
    assert_eq!(leases[0].job.execution_id, execution.id);
    let path = format!("/api/v1/executions/{}/cancel?wait=true", execution.id);
    let (status, _, _) = world.ask("POST", &path, &Value::Null).await;
    assert_eq!(status, 202);
}

#[tokio::test]
async fn only_reports_may_be_long_and_nothing_long_of_an_executor_is_shown() {
    let world = World::new().await;
    let link = world.link().await;
    let long = offer(0, &"9".repeat(limits::BODY_BYTES_MAX));
    let (status, _) = world.signed(&link, "/internal/leases", &long).await;
    assert_eq!(status, 413);
    let allowed = offer(0, &"9".repeat(limits::BODY_BYTES_MAX / 2));
    let (status, _) = world.signed(&link, "/internal/leases", &allowed).await;
    assert_eq!(status, 200);
    let (_, _, shown) = world.ask("GET", "/api/v1/languages", &Value::Null).await;
    assert!(shown.len() < 2_000, "{}", shown.len());
}

#[tokio::test]
async fn content_that_is_long_as_json_arrives_in_the_room() {
    let world = World::new().await;
    let content = "\u{1}".repeat(limits::CONTENT_BYTES_MAX);
    world.edge.set_rooms_unreachable(true);
    let session = world.session(&content).await;
    world.edge.set_rooms_unreachable(false);
    world.edge.clock.advance_ms(10_000);
    world.edge.directory.tick().await.unwrap();
    assert!(world.content(&session).await.content == content);
    assert!(world.sql("SELECT 1 FROM outbox").await.is_empty());
    assert!(world.sql("SELECT 1 FROM part").await.is_empty());
}

#[tokio::test]
async fn a_message_that_is_not_readable_holds_up_no_other() {
    let world = World::new().await;
    world.edge.set_rooms_unreachable(true);
    world.session("lost").await;
    let session = world.session("found").await;
    world.edge.set_rooms_unreachable(false);
    let first = "UPDATE outbox SET message = '{\"type\":\"of another age\"}' \
                 WHERE id = (SELECT min(id) FROM outbox)";
    world.sql(first).await;
    world.edge.clock.advance_ms(10_000);
    world.edge.directory.tick().await.unwrap();
    assert_eq!(world.content(&session).await.content, "found");
    let left = world.sql("SELECT message FROM outbox").await;
    assert_eq!(left.len(), 1, "it is kept");
}

#[tokio::test]
async fn a_job_that_is_not_readable_ends_and_holds_up_no_other() {
    let world = World::new().await;
    let link = world.link().await;
    let wanted = json!({ "language": "python", "code": "1" });
    let broken = world.execution(&wanted).await;
    world.sql("UPDATE part SET data = x'7b7d'").await;
    let sound = world.execution(&wanted).await;
    let mut leased = Vec::new();
    for _ in 0..2 {
        leased.extend(world.lease(&link, 1).await.leases);
    }
    // The same lease twice, as it is not acknowledged.
    assert!(!leased.is_empty());
    assert!(
        leased
            .iter()
            .all(|lease| lease.job.execution_id == sound.id)
    );
    let broken = world.seen(&broken).await;
    assert_eq!(broken.verdict, Some(Verdict::InternalError));
}

#[tokio::test]
async fn what_nobody_runs_has_ended_when_it_is_looked_at_even_if_nothing_ticks() {
    let world = World::new().await;
    let wanted = json!({ "language": "python", "code": "1" });
    let execution = world.execution(&wanted).await;
    world.edge.clock.advance_ms(limits::EXECUTION_MS_MAX);
    // The access token has ended meanwhile, the login has not.
    let execution = crate::executions::get::get(
        &world.edge.directory,
        crate::executions::calls::Get {
            caller: caller(&world, &execution).await,
            execution_id: execution.id,
            wait_ms: 0,
        },
    );
    let verdict = execution.await.unwrap().verdict;
    assert_eq!(verdict, Some(Verdict::Expired));
}

async fn caller(world: &World, execution: &Execution) -> crate::token::Caller {
    let rows = world.sql("SELECT id FROM login_session").await;
    crate::token::Caller {
        user_id: execution.user_id,
        login_session_id: rows[0].get("id").unwrap(),
    }
}

#[tokio::test]
async fn a_path_that_is_no_text_is_answered_like_every_other_mistake() {
    let world = World::new().await;
    for path in [
        "/api/v1/sessions/%ff",
        "/api/v1/executions/%ff",
        "/api/v1/sessions/%ff/content",
    ] {
        let (status, media_type, _) = world.ask("GET", path, &Value::Null).await;
        assert_eq!((status, &*media_type), (404, "application/problem+json"));
    }
}
