//! What clients send by mistake or on purpose.

use anyhow::{Result, ensure};
use codecrafter_edge::token::{Caller, Keys};
use codecrafter_shared::api::User;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::LoginSessionId;
use codecrafter_shared::limits;
use reqwest::Method;
use serde_json::json;

use crate::world::World;

pub async fn what_is_not_json_is_told_apart_from_what_is_not_valid(world: World) -> Result<()> {
    let user = world.user().await?;
    let post = |body: &'static str, media_type: &'static str| {
        let request = user.request(Method::POST, "/api/v1/sessions");
        user.send(request.header("content-type", media_type).body(body))
    };
    let json = "application/json";
    for malformed in [
        "",
        "{",
        "{\"title\":",
        r#"{"title": "t", "language": "python"} trailing"#,
        "\u{0}",
    ] {
        post(malformed, json)
            .await?
            .refused(ErrorCode::MalformedJson)?;
    }
    let typed = post(r#"{"title": 7, "language": "python"}"#, json).await?;
    let problem = typed.refused(ErrorCode::ValidationFailed)?;
    ensure!(
        problem
            .errors
            .first()
            .is_some_and(|error| error.field == "title"),
        "{problem:?}"
    );
    let unknown = post(r#"{"title": "t", "language": "python", "colour": 1}"#, json).await?;
    let problem = unknown.refused(ErrorCode::ValidationFailed)?;
    ensure!(
        problem
            .errors
            .first()
            .is_some_and(|e| e.message.contains("colour")),
        "{problem:?}"
    );
    let missing = post(r#"{"language": "python"}"#, json).await?;
    let problem = missing.refused(ErrorCode::ValidationFailed)?;
    ensure!(
        problem
            .errors
            .first()
            .is_some_and(|error| error.field == "title"),
        "{problem:?}"
    );
    let long =
        json!({ "title": "t".repeat(101), "description": "d".repeat(501), "language": "python" });
    let problem = user
        .post("/api/v1/sessions", &long)
        .await?
        .refused(ErrorCode::ValidationFailed)?;
    let fields: Vec<_> = problem
        .errors
        .iter()
        .map(|error| error.field.as_str())
        .collect();
    ensure!(fields == ["title", "description"], "{fields:?}");
    post("{}", "text/plain")
        .await?
        .refused(ErrorCode::UnsupportedMediaType)?;
    Ok(())
}

pub async fn a_body_over_the_limit_is_refused(world: World) -> Result<()> {
    let padding = "x".repeat(limits::BODY_BYTES_MAX);
    let body = json!({ "login": "a", "password": padding });
    let answer = world.stranger().post("/api/v1/auth/login", &body).await?;
    answer.refused(ErrorCode::BodyTooLarge)?;
    let user = world.user().await?;
    let body = json!({ "language": "python", "code": "x".repeat(limits::CODE_BODY_BYTES_MAX) });
    user.post("/api/v1/executions", &body)
        .await?
        .refused(ErrorCode::BodyTooLarge)?;
    let body =
        json!({ "language": "python", "code": "x".repeat(limits::SOURCE_FILE_BYTES_MAX + 1) });
    user.post("/api/v1/executions", &body)
        .await?
        .refused(ErrorCode::ValidationFailed)?;
    Ok(())
}

pub async fn tokens_that_are_missing_forged_or_expired_are_refused(world: World) -> Result<()> {
    let user = world.user().await?;
    let me = async |token: Option<String>| {
        let stranger = world.stranger();
        let mut request = stranger.request(Method::GET, "/api/v1/auth/me");
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        stranger.send(request).await
    };
    me(None).await?.refused(ErrorCode::TokenMissing)?;
    me(Some("Basic YTpi".into()))
        .await?
        .refused(ErrorCode::TokenInvalid)?;
    me(Some("Bearer nonsense".into()))
        .await?
        .refused(ErrorCode::TokenInvalid)?;
    let caller = Caller {
        user_id: user.user()?.id,
        login_session_id: LoginSessionId::at(world.now(), [9; 10]),
    };
    let others = Keys::new(b"another secret of thirty-two bytes", None);
    let (forged, _) = others
        .access_token(caller, world.now())
        .map_err(|e| anyhow::anyhow!("{e:?}"))?;
    me(Some(format!("Bearer {forged}")))
        .await?
        .refused(ErrorCode::TokenInvalid)?;
    let unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.";
    me(Some(format!("Bearer {unsigned}")))
        .await?
        .refused(ErrorCode::TokenInvalid)?;
    let keys = world.keys();
    let past = world.now().plus_millis(-2 * limits::ACCESS_TOKEN_MS);
    let (expired, _) = keys
        .access_token(caller, past)
        .map_err(|e| anyhow::anyhow!("{e:?}"))?;
    me(Some(format!("Bearer {expired}")))
        .await?
        .refused(ErrorCode::TokenExpired)?;
    // Well signed, but no such login session was ever opened.
    let (unknown, _) = keys
        .access_token(caller, world.now())
        .map_err(|e| anyhow::anyhow!("{e:?}"))?;
    me(Some(format!("Bearer {unknown}")))
        .await?
        .refused(ErrorCode::LoginSessionEnded)?;
    let good = format!("Bearer {}", user.token());
    me(Some(good)).await?.expect::<User>(200)?;
    Ok(())
}

pub async fn an_identity_header_from_outside_changes_nothing(world: World) -> Result<()> {
    let (user, victim) = (world.user().await?, world.user().await?);
    let principal = json!({ "userId": victim.user()?.id, "role": "owner" }).to_string();
    let request = |client: &crate::client::Client| {
        client
            .request(Method::GET, "/api/v1/auth/me")
            .header("x-codecrafter-principal", &principal)
            .header("x-codecrafter-caller", &principal)
    };
    let stranger = world.stranger();
    stranger
        .send(request(&stranger))
        .await?
        .refused(ErrorCode::TokenMissing)?;
    let me: User = user.send(request(&user)).await?.expect(200)?;
    ensure!(me.id == user.user()?.id, "{me:?}");
    Ok(())
}

pub async fn unknown_languages_routes_and_methods_are_named(world: World) -> Result<()> {
    let user = world.user().await?;
    let body = json!({ "language": "klingon", "code": "nuqneH" });
    let answer = user.post("/api/v1/executions", &body).await?;
    let problem = answer.refused(ErrorCode::ValidationFailed)?;
    ensure!(
        problem
            .errors
            .first()
            .is_some_and(|e| e.message.contains("python")),
        "{problem:?}"
    );
    user.get("/api/v1/nowhere")
        .await?
        .refused(ErrorCode::RouteNotFound)?;
    user.get("/nowhere")
        .await?
        .refused(ErrorCode::RouteNotFound)?;
    let answer = user
        .send(user.request(Method::DELETE, "/api/v1/auth/me"))
        .await?;
    ensure!(answer.headers.contains_key("allow"), "no Allow header");
    answer.refused(ErrorCode::MethodNotAllowed)?;
    Ok(())
}

pub async fn files_of_an_execution_stay_in_their_folder(world: World) -> Result<()> {
    let user = world.user().await?;
    for path in [
        "../x",
        "/abs",
        "a/../../b",
        "-o",
        "a\u{0}b",
        &"p".repeat(300),
    ] {
        let body = json!({
            "language": "python",
            "code": "",
            "files": [{ "path": path, "content": "" }],
        });
        let answer = user.post("/api/v1/executions", &body).await?;
        let problem = answer.refused(ErrorCode::ValidationFailed)?;
        let named = problem
            .errors
            .first()
            .is_some_and(|error| error.field == "files[0].path");
        ensure!(named, "{path:?}: {problem:?}");
    }
    Ok(())
}
