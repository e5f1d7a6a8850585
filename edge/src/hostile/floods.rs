//! Floods and liars, and whom they hold up: nobody but themselves.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::limits::address::Peer;
use crate::limits::calls::{CountRefusals, Take};
use crate::shard::Call;

/// The shards, with the number of calls to each kind.
struct Counted {
    shards: Arc<dyn Shards>,
    directory: AtomicU64,
    limits: AtomicU64,
    /// Of refusals that operators are told.
    told: AtomicU64,
}

#[async_trait::async_trait]
impl Shards for Counted {
    async fn post(
        &self,
        shard: &Shard,
        path: &str,
        body: Vec<u8>,
    ) -> Result<ShardResponse, ShardUnreachable> {
        match shard {
            Shard::Directory { .. } => self.directory.fetch_add(1, Ordering::Relaxed),
            Shard::Limits { .. } if path == CountRefusals::PATH => {
                self.told.fetch_add(1, Ordering::Relaxed)
            }
            Shard::Limits { .. } => {
                assert!(path != Take::PATH || body.len() < 1_000);
                self.limits.fetch_add(1, Ordering::Relaxed)
            }
            Shard::Room { .. } | Shard::Person { .. } => 0,
        };
        self.shards.post(shard, path, body).await
    }
}

impl Counted {
    /// Calls since the last time: to the Directory, to limits.
    fn take(&self) -> (u64, u64) {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        (take(&self.directory), take(&self.limits))
    }
}

/// A deployment with these settings beside its secret.
async fn deployment(settings: &'static [(&str, &str)]) -> (World, Arc<Counted>) {
    let get = |name: &str| {
        let all = settings.iter().chain(&[("CODECRAFTER_SECRET", SECRET)]);
        let mut found = all.filter(|(known, _)| *known == name);
        found.next().map(|(_, value)| (*value).to_owned())
    };
    let mut world = World::new().await;
    let config = Config::from_settings(get).ok().unwrap();
    let directory = &world.edge.directory;
    let counted = Arc::new(Counted {
        shards: directory.shards.clone(),
        directory: AtomicU64::new(0),
        limits: AtomicU64::new(0),
        told: AtomicU64::new(0),
    });
    world.edge.router = crate::router::router(Ports {
        clock: directory.clock.clone(),
        rng: directory.rng.clone(),
        shards: counted.clone(),
        hasher: directory.hasher.clone(),
        assets: Arc::new(NoAssets),
        rooms: None,
        streamed_rooms: None,
        spans: None,
        limit_memory: Arc::default(),
        config,
    });
    (world, counted)
}

/// An answer, as far as limits show in it.
#[derive(Debug)]
struct Seen {
    status: u16,
    code: String,
    retry_after: u64,
    headers: http::HeaderMap,
}

impl World {
    async fn from(&self, peer: &str, request: http::request::Builder, body: &Value) -> Seen {
        let peer: Option<IpAddr> = peer.parse().ok();
        let request = request
            .extension(Peer(peer))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()));
        let answer = self
            .edge
            .router
            .clone()
            .call(request.unwrap())
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let retry_after = headers.get("retry-after");
        let retry_after = retry_after.map_or(0, |value| value.to_str().unwrap().parse().unwrap());
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        Seen {
            status,
            code: body["code"].as_str().unwrap_or_default().to_owned(),
            retry_after,
            headers,
        }
    }

    async fn probe(&self, peer: &str) -> Seen {
        let request = Request::get("/api/v1/sessions");
        self.from(peer, request, &Value::Null).await
    }

    async fn guess(&self, peer: &str, login: &str) -> Seen {
        let request = Request::post("/api/v1/auth/login");
        let body = json!({ "login": login, "password": "wrong words" });
        self.from(peer, request, &body).await
    }

    /// Each try has to wait longer than the one before, so one comes too early on any machine.
    async fn guess_until_refused(&self, calls: &Counted, login: &str) -> Seen {
        for _ in 0..40 {
            calls.take();
            let seen = self.guess("203.0.113.9", login).await;
            if seen.status == 429 {
                return seen;
            }
            assert_eq!(seen.status, 401);
        }
        panic!("no try came too early");
    }

    async fn registers(&self, peer: &str, name: &str) -> Seen {
        let request = Request::post("/api/v1/auth/register");
        let email = format!("{name}@example.org");
        let body = json!({ "username": name, "email": email, "password": "plain long words" });
        self.from(peer, request, &body).await
    }
}

#[tokio::test]
async fn ten_thousand_requests_of_one_address_get_as_far_as_a_hundred() {
    let (world, calls) = deployment(&[]).await;
    let began = world.edge.clock.now();
    let mut passed = 0;
    for _ in 0..10_000 {
        let seen = world.probe("203.0.113.1").await;
        passed += u32::from(seen.status == 401);
        assert!(
            seen.status == 401 || seen.code == "rate_limited",
            "{seen:?}"
        );
    }
    // One comes back every nine seconds.
    let back = u32::try_from(world.edge.clock.now().since(began)).unwrap() / 9_000;
    assert!((100..=101 + back).contains(&passed), "{passed} passed");
    let (directory, limits) = calls.take();
    assert_eq!(directory, 0);
    // One more for each time that it was refused; the others were answered from memory.
    assert!(
        (101..=103 + 3 * u64::from(back)).contains(&limits),
        "{limits} calls"
    );
    let told = calls.told.load(Ordering::Relaxed);
    assert!(
        (1..60).contains(&told),
        "{told} calls for what operators see"
    );
    // Others notice nothing, at the next address or signed in at the same.
    assert_eq!(world.probe("203.0.113.2").await.status, 401);
    let request = Request::get("/api/v1/sessions");
    let request = request.header("authorization", format!("Bearer {}", world.token));
    let signed_in = world.from("203.0.113.1", request, &Value::Null).await;
    assert_eq!(signed_in.status, 200);
    assert_eq!(calls.take(), (1, 2));
}

#[tokio::test]
async fn of_strangers_at_once_as_many_pass_as_of_strangers_in_turn() {
    let (world, _) = deployment(&[]).await;
    let asked = (0..500).map(|_| world.probe("203.0.113.1"));
    let seen = futures_util::future::join_all(asked).await;
    let passed = seen.iter().filter(|seen| seen.status == 401).count();
    assert!((100..=105).contains(&passed), "{passed} passed");
}

#[tokio::test]
async fn a_refusal_says_when_and_then_it_is_so() {
    let (world, _) = deployment(&[]).await;
    while world.probe("203.0.113.1").await.status == 401 {}
    let refused = world.probe("203.0.113.1").await;
    assert_eq!(refused.status, 429);
    let wait = refused.retry_after;
    assert!((1..=9).contains(&wait), "{wait}");
    let left = format!(r#""address";r=0;t={wait}"#);
    assert_eq!(refused.headers["ratelimit"], left);
    assert_eq!(
        refused.headers["ratelimit-policy"],
        r#""address";q=100;w=900"#
    );
    assert_eq!(refused.headers["x-ratelimit-remaining"], "0");
    world.edge.clock.advance_ms(9_000);
    let next = world.probe("203.0.113.1").await;
    assert_eq!(next.status, 401);
    assert_eq!(world.probe("203.0.113.1").await.status, 429);
}

#[tokio::test]
async fn what_a_client_writes_into_headers_gives_it_no_other_address() {
    let (world, _) = deployment(&[]).await;
    let lie = async |n: u32| {
        let request = Request::get("/api/v1/sessions")
            .header("x-forwarded-for", format!("198.51.100.{n}"))
            .header("cf-connecting-ip", format!("198.51.100.{n}"))
            .header("x-real-ip", format!("198.51.100.{n}"))
            .header("forwarded", format!("for=198.51.100.{n}"))
            .header("spin-client-addr", format!("198.51.100.{n}:1"))
            .header("x-codecrafter-peer", format!("198.51.100.{n}"));
        world
            .from("203.0.113.1", request, &Value::Null)
            .await
            .status
    };
    let mut passed = 0;
    for n in 0..250 {
        passed += u32::from(lie(n).await == 401);
    }
    assert!((100..=105).contains(&passed), "{passed} passed");
    assert_eq!(world.probe("198.51.100.7").await.status, 401);
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_is_itself() {
    let (world, _) = deployment(&[
        ("CODECRAFTER_TRUSTED_PROXIES", "10.0.0.0/8"),
        ("CODECRAFTER_LIMITS", "address=3/1h"),
    ])
    .await;
    let through = async |forwarded: &str| {
        let request = Request::get("/api/v1/sessions").header("x-forwarded-for", forwarded);
        world.from("10.1.2.3", request, &Value::Null).await.status
    };
    for n in 0..5 {
        let expected = if n < 3 { 401 } else { 429 };
        // What the client itself had written stands before what the proxy adds.
        let lie = format!("198.51.100.{n}, 203.0.113.1");
        assert_eq!(through(&lie).await, expected);
    }
    assert_eq!(through("203.0.113.2").await, 401);
}

#[tokio::test]
async fn one_address_makes_five_accounts_an_hour() {
    let (world, calls) = deployment(&[]).await;
    for n in 0..5 {
        assert_eq!(
            world
                .registers("203.0.113.1", &format!("user{n}"))
                .await
                .status,
            201
        );
    }
    calls.take();
    let refused = world.registers("203.0.113.1", "user5").await;
    assert_eq!(refused.status, 429);
    assert!((600..=720).contains(&refused.retry_after), "{refused:?}");
    assert_eq!(calls.take(), (0, 1));
    // Nor one more by the older name of the API.
    let older = Request::post("/api/auth/register");
    let older = world.from("203.0.113.1", older, &json!({})).await;
    assert_eq!(older.status, 429, "{older:?}");
    assert_eq!(world.registers("2001:db8::1", "user6").await.status, 201);
    // Of one subscriber's addresses all are one.
    for n in 2..6 {
        let at = format!("2001:db8::{n}");
        assert_eq!(world.registers(&at, &format!("six{n}")).await.status, 201);
    }
    assert_eq!(world.registers("2001:db8::ffff", "seven").await.status, 429);
    assert_eq!(
        world.registers("2001:db8:0:1::1", "eight").await.status,
        201
    );
}

#[tokio::test]
async fn a_guesser_gets_slower_and_the_owner_is_not_held_up() {
    let (world, calls) = deployment(&[]).await;
    assert_eq!(world.registers("203.0.113.1", "owner").await.status, 201);
    // What is not there is slowed down just as much.
    for login in ["OWNER ", "nobody"] {
        let refused = world.guess_until_refused(&calls, login).await;
        assert_eq!(&*refused.code, "rate_limited");
        assert!((1..=20).contains(&refused.retry_after), "{refused:?}");
        // The address, and the account: the Directory has heard nothing.
        assert_eq!(calls.take(), (0, 2));
    }
    let request = || Request::post("/api/v1/auth/login");
    let right = json!({ "login": "owner", "password": "plain long words" });
    for _ in 0..4 {
        let owner = world.from("203.0.113.1", request(), &right).await;
        assert_eq!(owner.status, 200, "{owner:?}");
    }
}

#[tokio::test]
async fn a_password_that_is_right_ends_the_delay_and_is_not_counted() {
    let (world, calls) = deployment(&[("CODECRAFTER_LIMITS", "login=10/1h")]).await;
    assert_eq!(world.registers("203.0.113.1", "owner").await.status, 201);
    let right = json!({ "login": "owner", "password": "plain long words" });
    let login = async || {
        let request = Request::post("/api/v1/auth/login");
        world.from("203.0.113.1", request, &right).await.status
    };
    for _ in 0..20 {
        assert_eq!(login().await, 200);
    }
    let refused = world.guess_until_refused(&calls, "owner").await;
    world
        .edge
        .clock
        .advance_ms(1_000 * i64::try_from(refused.retry_after).unwrap());
    let request = Request::post("/api/v1/auth/login");
    assert_eq!(world.from("203.0.113.9", request, &right).await.status, 200);
    // As if nobody had tried before: there are two more.
    assert_eq!(world.guess("203.0.113.9", "owner").await.status, 401);
    assert_eq!(world.guess("203.0.113.9", "owner").await.status, 401);
}

#[tokio::test]
async fn without_its_limits_a_deployment_guards_passwords_and_serves_the_rest() {
    let (world, calls) = deployment(&[]).await;
    world.edge.set_limits_unreachable(true);
    for refused in [
        world.guess("203.0.113.1", "eve").await,
        world.registers("203.0.113.1", "new").await,
    ] {
        assert_eq!((refused.status, &*refused.code), (503, "unavailable"));
        assert!(refused.retry_after > 0);
    }
    assert_eq!(calls.take().0, 0);
    let (status, ..) = world.ask("GET", "/api/v1/sessions", &Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(world.probe("203.0.113.1").await.status, 401);
    world.edge.set_limits_unreachable(false);
    assert_eq!(world.registers("203.0.113.1", "new").await.status, 201);
}

/// What operators see of a limit.
async fn refused_by(world: &World, limit: &str) -> u64 {
    let token = keys::operator_token(SECRET.as_bytes());
    let request = Request::get("/api/v1/metrics");
    let request = request.header("authorization", format!("Bearer {token}"));
    let answer = world
        .edge
        .router
        .clone()
        .call(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let name = format!("codecrafter_edge_refused_total{{limit=\"{limit}\"}} ");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(&name));
    lines.next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn operators_see_how_many_requests_each_limit_has_refused() {
    let (world, _) = deployment(&[("CODECRAFTER_LIMITS", "address=10/24h,register=1/24h")]).await;
    for _ in 0..1_010 {
        world.probe("203.0.113.1").await;
    }
    for name in ["one", "two", "three"] {
        world.registers("203.0.113.1", name).await;
    }
    let told = refused_by(&world, "address").await;
    assert!((800..=1_000).contains(&told), "{told}");
    // The rest goes along with a request of anybody's.
    world.edge.clock.advance_ms(60_000);
    world.probe("203.0.113.2").await;
    assert_eq!(refused_by(&world, "address").await, 1_000);
    assert_eq!(refused_by(&world, "register").await, 2);
    assert_eq!(refused_by(&world, "login").await, 0);
    // What cannot be told is kept, and who is refused gets their answer.
    assert_eq!(world.probe("203.0.113.1").await.status, 429);
    world.edge.set_limits_unreachable(true);
    for _ in 0..5 {
        assert_eq!(world.probe("203.0.113.1").await.status, 429);
    }
    world.edge.clock.advance_ms(60_000);
    assert_eq!(world.probe("203.0.113.3").await.status, 401);
    world.edge.set_limits_unreachable(false);
    assert_eq!(refused_by(&world, "address").await, 1_000);
    world.edge.clock.advance_ms(60_000);
    world.probe("203.0.113.3").await;
    assert_eq!(refused_by(&world, "address").await, 1_006);
    // What is for operators, nobody else is told.
    let request = Request::get("/api/v1/metrics");
    let request = request.header("authorization", format!("Bearer {}", world.token));
    let user = world.from("203.0.113.4", request, &Value::Null).await;
    assert_eq!((user.status, &*user.code), (401, "token_invalid"));
}

#[tokio::test]
async fn limits_that_are_off_ask_nobody() {
    let (world, calls) = deployment(&[("CODECRAFTER_LIMITS", "off")]).await;
    for _ in 0..300 {
        let seen = world.probe("203.0.113.1").await;
        assert_eq!(seen.status, 401);
        assert!(!seen.headers.contains_key("ratelimit"));
    }
    assert_eq!(calls.take(), (0, 0));
}

#[tokio::test]
async fn a_user_is_one_whatever_their_address() {
    let (world, calls) = deployment(&[("CODECRAFTER_LIMITS", "sessions=2/1h")]).await;
    let create = async |peer: &str| {
        let request = Request::post("/api/v1/sessions");
        let request = request.header("authorization", format!("Bearer {}", world.token));
        let body = json!({ "title": "t", "language": "python" });
        world.from(peer, request, &body).await
    };
    let first = create("203.0.113.1").await;
    assert_eq!(first.status, 201);
    let limits = first.headers["ratelimit"].to_str().unwrap();
    assert_eq!(limits, r#""user";r=1199;t=1, "sessions";r=1;t=1800"#);
    assert_eq!(create("203.0.113.2").await.status, 201);
    calls.take();
    assert_eq!(create("203.0.113.3").await.status, 429);
    assert_eq!(calls.take(), (0, 1));
    // What was refused has taken nothing from the other limit.
    let (status, ..) = world.ask("GET", "/api/v1/sessions", &Value::Null).await;
    assert_eq!(status, 200);
}
