//! The service itself.

use anyhow::{Context as _, Result, ensure};
use codecrafter_shared::api::{Health, Languages, Ready};
use codecrafter_shared::language::KNOWN;
use reqwest::Method;
use reqwest::header::{ETAG, IF_NONE_MATCH};
use serde_json::Value;

use crate::link::Link;
use crate::openapi::{Who, document, table};
use crate::world::World;

pub async fn the_service_says_that_it_lives_and_is_ready(world: World) -> Result<()> {
    let client = world.stranger();
    let health: Health = client.get("/health").await?.expect(200)?;
    ensure!(health.status == "ok");
    let apart = world.now().since(health.timestamp).abs();
    ensure!(apart < 60_000, "the clocks differ by {apart} ms");
    let ready: Ready = client.get("/ready").await?.expect(200)?;
    ensure!(ready.status == "ready", "{ready:?}");
    Ok(())
}

pub async fn languages_are_listed_with_what_is_offered(world: World) -> Result<()> {
    let link = Link::enrol(&world, "cobol").await?;
    link.lease(0, 0).await?;
    let link = Link::enrol(&world, "go").await?;
    link.lease(0, 0).await?;
    let languages: Languages = world
        .stranger()
        .get("/api/v1/languages")
        .await?
        .expect(200)?;
    ensure!(languages.items.len() == KNOWN.len(), "{languages:?}");
    ensure!(
        languages.items.is_sorted_by(|a, b| a.id < b.id),
        "not sorted: {languages:?}"
    );
    let go = languages.items.iter().find(|language| language.id == "go");
    let offered = go.is_some_and(|go| go.available && go.versions == ["1.2.3"]);
    ensure!(offered, "{go:?}");
    ensure!(go.is_some_and(|go| go.end_of_life.is_none()), "{go:?}");
    // Other hosts with other versions: the newest is first, by its numbers. The end of life is the
    // newest one's; that a host does not know it, or says what is no day, changes nothing.
    let hosts = [
        ("1.13.0", Some("2028-10-31")),
        ("1.13.0", None),
        ("1.13.0", Some("soon")),
        ("1.9.4", Some("2030-01-01")),
    ];
    for (version, end_of_life) in hosts {
        let other = Link::enrol(&world, "go").await?;
        let mut asked = other.lease_request(0, 0);
        asked.languages[0].version = version.into();
        asked.languages[0].end_of_life = end_of_life.map(String::from);
        other.ask(&asked).await?;
    }
    let languages: Languages = world
        .stranger()
        .get("/api/v1/languages")
        .await?
        .expect(200)?;
    let go = languages.items.iter().find(|one| one.id == "go");
    let versions = go.map(|go| go.versions.clone());
    let sorted = versions.as_deref() == Some(&["1.13.0", "1.9.4", "1.2.3"].map(String::from));
    ensure!(sorted, "{versions:?}");
    let end_of_life = go.and_then(|go| go.end_of_life.as_deref());
    ensure!(end_of_life == Some("2028-10-31"), "{end_of_life:?}");
    Ok(())
}

pub async fn public_keys_are_published_and_private_ones_are_not(world: World) -> Result<()> {
    let jwks: Value = world
        .stranger()
        .get("/.well-known/jwks.json")
        .await?
        .expect(200)?;
    let keys = jwks["keys"].as_array().cloned().unwrap_or_default();
    ensure!(keys.len() >= 2, "{jwks}");
    for key in keys {
        ensure!(
            key["kty"] == "OKP" && key["crv"] == "Ed25519" && key["x"].is_string(),
            "{key}"
        );
        ensure!(key["kid"].is_string() && key.get("d").is_none(), "{key}");
    }
    Ok(())
}

pub async fn every_answer_carries_security_headers_and_an_id(world: World) -> Result<()> {
    for path in ["/health", "/api/v1/auth/me", "/nowhere"] {
        let answer = world.stranger().get(path).await?;
        for header in [
            "x-request-id",
            "x-content-type-options",
            "x-frame-options",
            "referrer-policy",
        ] {
            ensure!(
                answer.headers.contains_key(header),
                "{path} has no {header}"
            );
        }
    }
    Ok(())
}

pub async fn the_api_describes_itself(world: World) -> Result<()> {
    const PATH: &str = "/api/v1/openapi.json";
    let stranger = world.stranger();
    let answer = stranger.get(PATH).await?;
    let tag = answer.headers.get(ETAG).cloned().context("no ETag")?;
    let served: Value = answer.expect(200)?;
    let version = served["openapi"].as_str().unwrap_or_default();
    ensure!(version.starts_with("3.1."), "{}", served["openapi"]);
    ensure!(served["info"]["version"].is_string(), "{}", served["info"]);
    for operation in table::operations() {
        let (path, method) = (operation.path, operation.method);
        let described = served["paths"][path][method].is_object();
        let is_public = operation.who != Who::Executor;
        ensure!(described == is_public, "{method} {path}: {described}");
    }
    ensure!(
        served == document::document(),
        "another document than docs/openapi.json is deployed"
    );
    let again = stranger.request(Method::GET, PATH);
    let again = stranger.send(again.header(IF_NONE_MATCH, tag)).await?;
    ensure!(again.status == 304 && again.body.is_empty(), "{again:?}");
    Ok(())
}

pub async fn the_short_prefix_is_the_same_api(world: World) -> Result<()> {
    let user = world.user().await?;
    let long: Value = user.get("/api/v1/auth/me").await?.expect(200)?;
    let short: Value = user.get("/api/auth/me").await?.expect(200)?;
    ensure!(long == short, "{long} differs from {short}");
    Ok(())
}
