//! How often one may ask. The deployment has the limits that every deployment has, and clients say
//! where they are as a proxy would say it.

use anyhow::{Context as _, Result, ensure};
use codecrafter_shared::api::{FeedPass, Refresh, SignedIn};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::role::Role;
use futures_util::future::join_all;
use http::Method;

use crate::client::{Answer, Client, PASSWORD};
use crate::world::World;

/// What some platform believes, because there no client can have written it.
const BELIEVED_ELSEWHERE: [&str; 4] = [
    "cf-connecting-ip",
    "forwarded",
    "spin-client-addr",
    "x-real-ip",
];

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let value = answer
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// `Retry-After`, in seconds.
fn wait(answer: &Answer) -> u32 {
    header(answer, "retry-after").parse().unwrap_or(0)
}

pub async fn one_address_makes_so_many_accounts_and_nobody_else_is_held_up(
    world: World,
) -> Result<()> {
    let address = world.address();
    for _ in 0..5 {
        world
            .stranger()
            .at(&*address)
            .register(&world.name())
            .await?;
    }
    let request = serde_json::json!({
        "username": world.name(), "email": "x@example.org", "password": PASSWORD,
    });
    let sixth = world.stranger().at(&*address);
    let refused = sixth.post("/api/v1/auth/register", &request).await?;
    ensure!((600..=720).contains(&wait(&refused)), "{}", wait(&refused));
    let problem = refused.refused(ErrorCode::RateLimited)?;
    let detail = problem.detail.unwrap_or_default();
    ensure!(detail.contains("Try again in 12 minutes"), "{detail}");
    world.user().await?;
    // The same network of 64 bits is the same subscriber.
    let neighbour = world.stranger().at(address.replace("::1", ":1:2:3:4"));
    let refused = neighbour.post("/api/v1/auth/register", &request).await?;
    refused.refused(ErrorCode::RateLimited)?;
    Ok(())
}

pub async fn of_strangers_requests_at_once_exactly_so_many_pass(world: World) -> Result<()> {
    let address = world.address();
    let stranger = world.stranger().at(&*address);
    let asked = (0..130).map(|_| stranger.get("/api/v1/auth/me"));
    let (mut passed, mut refused) = (0, 0);
    for answer in join_all(asked).await {
        match answer?.status.as_u16() {
            401 => passed += 1,
            429 => refused += 1,
            other => anyhow::bail!("got {other}"),
        }
    }
    // One comes back every nine seconds.
    ensure!(
        (100..=115).contains(&passed),
        "{passed} passed, {refused} not"
    );
    let answer = world.stranger().get("/api/v1/auth/me").await?;
    answer.refused(ErrorCode::TokenMissing)?;
    Ok(())
}

pub async fn what_a_client_writes_of_itself_gives_it_no_other_address(world: World) -> Result<()> {
    let address = world.address();
    let mut passed = 0;
    for n in 0..120 {
        let lie = world.address();
        let client = Client::new(&world.url);
        let request = client
            .request(Method::GET, "/api/v1/auth/me")
            .header("x-forwarded-for", format!("{lie}, {address}"));
        let lies = BELIEVED_ELSEWHERE.iter();
        let request = lies.fold(request, |request, name| {
            request.header(*name, format!("198.51.100.{n}:1"))
        });
        let status = client.send(request).await?.status;
        passed += u32::from(status == 401);
    }
    ensure!((100..=115).contains(&passed), "{passed} passed");
    Ok(())
}

/// Each try has to wait half a second longer than the one before, so that however slow a machine is,
/// one comes too early.
async fn guess_until_refused(guesser: &Client, login: &str) -> Result<Answer> {
    for _ in 0..40 {
        let answer = guesser.login(login, "wrong words").await?;
        if answer.status == 429 {
            return Ok(answer);
        }
        answer.refused(ErrorCode::CredentialsInvalid)?;
    }
    anyhow::bail!("no try came too early")
}

pub async fn who_guesses_passwords_gets_slower_and_the_owner_is_not_held_up(
    world: World,
) -> Result<()> {
    let owner = world.user().await?;
    let name = &owner.user()?.username;
    let guesser = world.stranger();
    // That there is no such account is not told by this either.
    for login in [name.to_uppercase(), world.name()] {
        let refused = guess_until_refused(&guesser, &login).await?;
        ensure!((1..=20).contains(&wait(&refused)), "{}", wait(&refused));
        refused.refused(ErrorCode::RateLimited)?;
    }
    let elsewhere = world.stranger();
    for _ in 0..5 {
        let _: SignedIn = elsewhere.login(name, PASSWORD).await?.expect(200)?;
    }
    Ok(())
}

pub async fn a_user_is_counted_as_one_whatever_their_address(world: World) -> Result<()> {
    let owner = world.user().await?;
    let session = world.public_session(&owner, Role::Viewer).await?;
    let guest = world.user().await?;
    let mut joined = 0;
    loop {
        let answer = guest.clone().at(world.address()).join(&session).await?;
        if answer.status == 429 {
            ensure!((1..=5).contains(&wait(&answer)), "{}", wait(&answer));
            answer.refused(ErrorCode::RateLimited)?;
            break;
        }
        ensure!(answer.status == 200, "got {}", answer.status);
        joined += 1;
        ensure!(joined < 150, "no end of it");
    }
    ensure!(joined >= 110, "{joined} joined");
    // What else they do is not held up by that, nor what others do.
    guest
        .get("/api/v1/auth/me")
        .await?
        .expect::<serde_json::Value>(200)?;
    let other = world.user().await?;
    other.joined(&session).await?;
    Ok(())
}

pub async fn a_feed_is_opened_so_often_and_says_when_to_come_again(world: World) -> Result<()> {
    let user = world.user().await?;
    let connect = user.request(Method::POST, "/api/v1/notifications/connect");
    let pass: FeedPass = user.send(connect).await?.expect(200)?;
    let stranger = world.stranger();
    let open = async |token: &str| {
        let request = stranger.request(Method::GET, &pass.events_url);
        stranger.send(request.bearer_auth(token)).await
    };
    let first = open(&pass.feed_token).await?;
    ensure!(first.status == 200, "got {}", first.status);
    let policy = header(&first, "ratelimit-policy");
    ensure!(policy == r#""feeds";q=300;w=60"#, "{policy}");
    // Five come back in a second, so that it takes more than 300 to meet the limit.
    let mut refused = None;
    for _ in 0..100 {
        let asked = (0..20).map(|_| open(&pass.feed_token));
        for answer in join_all(asked).await {
            let answer = answer?;
            match answer.status.as_u16() {
                200 => {}
                429 => refused = Some(answer),
                other => anyhow::bail!("got {other}"),
            }
        }
        if refused.is_some() {
            break;
        }
    }
    let refused = refused.context("no end of it")?;
    ensure!(wait(&refused) == 1, "{}", wait(&refused));
    ensure!(header(&refused, "ratelimit").starts_with(r#""feeds";r=0"#));
    refused.refused(ErrorCode::RateLimited)?;
    // What else they do is not held up by that, nor another's feed; and who has no token is not
    // counted as anybody.
    user.get("/api/v1/auth/me")
        .await?
        .expect::<serde_json::Value>(200)?;
    let other = world.user().await?;
    let connect = other.request(Method::POST, "/api/v1/notifications/connect");
    let theirs: FeedPass = other.send(connect).await?.expect(200)?;
    ensure!(open(&theirs.feed_token).await?.status == 200);
    open("nothing").await?.refused(ErrorCode::TokenInvalid)?;
    Ok(())
}

/// What operators see of a limit.
async fn refused_by(world: &World, limit: &str) -> Result<u64> {
    let (client, request) = world.operator(Method::GET, "/api/v1/metrics");
    let answer = client.send(request).await?;
    ensure!(answer.status == 200, "got {}", answer.status);
    ensure!(header(&answer, "content-type").starts_with("text/plain; version=0.0.4"));
    let text = String::from_utf8(answer.body)?;
    let name = format!("codecrafter_edge_refused_total{{limit=\"{limit}\"}} ");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(&name));
    Ok(lines.next().context(name.clone())?.parse()?)
}

pub async fn operators_see_how_many_requests_a_limit_has_refused(world: World) -> Result<()> {
    let before = refused_by(&world, "join").await?;
    let owner = world.user().await?;
    let session = world.public_session(&owner, Role::Viewer).await?;
    let guest = world.user().await?;
    let mut refused = 0;
    for _ in 0..400 {
        refused += u64::from(guest.join(&session).await?.status == 429);
        if refused == 5 {
            break;
        }
    }
    ensure!(refused == 5, "{refused} refused");
    // An instance tells its first refusals at once.
    let after = refused_by(&world, "join").await?;
    ensure!(after > before, "{before}, and then {after}");
    let stranger = world.stranger().get("/api/v1/metrics").await?;
    stranger.refused(ErrorCode::TokenMissing)?;
    let request = owner.get("/api/v1/metrics").await?;
    request.refused(ErrorCode::TokenInvalid)?;
    Ok(())
}

pub async fn answers_under_limits_say_how_they_stand(world: World) -> Result<()> {
    let user = world.user().await?;
    let me = user.get("/api/v1/auth/me").await?;
    ensure!(
        header(&me, "ratelimit-policy") == r#""user";q=1200;w=60"#,
        "{me:?}"
    );
    let left = header(&me, "ratelimit");
    ensure!(
        left.starts_with(r#""user";r=1"#) && left.ends_with(";t=1"),
        "{left}"
    );
    ensure!(header(&me, "x-ratelimit-limit") == "1200", "{me:?}");
    let remaining: u32 = header(&me, "x-ratelimit-remaining").parse()?;
    ensure!((1_100..1_200).contains(&remaining), "{remaining} left");
    ensure!(header(&me, "x-ratelimit-reset") == "1", "{me:?}");

    let refresh_token = user
        .signed_in
        .as_ref()
        .map(|tokens| tokens.refresh_token.clone());
    let refresh = Refresh {
        refresh_token: refresh_token.unwrap_or_default(),
    };
    let refreshed = user.post("/api/v1/auth/refresh", &refresh).await?;
    ensure!(
        header(&refreshed, "ratelimit-policy") == r#""refresh";q=3000;w=900"#,
        "{refreshed:?}"
    );

    let free = world.stranger().get("/health").await?;
    ensure!(header(&free, "ratelimit").is_empty(), "{free:?}");
    Ok(())
}
