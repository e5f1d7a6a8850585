//! Accounts and login sessions.

use anyhow::{Result, ensure};
use codecrafter_shared::api::{Refresh, Register, SignedIn, User};
use codecrafter_shared::error::ErrorCode;

use crate::client::PASSWORD;
use crate::world::World;

pub async fn registering_signs_in(world: World) -> Result<()> {
    let name = world.name();
    let mut client = world.stranger();
    client.register(&name).await?;
    let me: User = client.get("/api/v1/auth/me").await?.expect(200)?;
    ensure!(&me == client.user()?, "{me:?}");
    ensure!(
        me.username == name && me.display_name == name && me.last_login_at.is_none(),
        "{me:?}"
    );
    Ok(())
}

pub async fn signing_in_takes_the_name_or_the_mail_address_in_any_case(world: World) -> Result<()> {
    let user = world.user().await?;
    let registered = user.user()?;
    for login in [registered.username.clone(), registered.email.to_uppercase()] {
        let signed_in: SignedIn = world
            .stranger()
            .login(&login, PASSWORD)
            .await?
            .expect(200)?;
        ensure!(
            signed_in.user.id == registered.id,
            "{login} is {signed_in:?}"
        );
    }
    let me: User = user.get("/api/v1/auth/me").await?.expect(200)?;
    ensure!(me.last_login_at.is_some(), "the sign-in was not noted");
    Ok(())
}

pub async fn a_wrong_password_and_an_unknown_user_get_the_same_answer(world: World) -> Result<()> {
    let user = world.user().await?;
    let invalid = ErrorCode::CredentialsInvalid;
    let wrong = world
        .stranger()
        .login(&user.user()?.username, "wrong words")
        .await?;
    let mut wrong = wrong.refused(invalid)?;
    let unknown = world.stranger().login(&world.name(), PASSWORD).await?;
    let mut unknown = unknown.refused(invalid)?;
    (wrong.request_id, unknown.request_id) = (None, None);
    ensure!(wrong == unknown, "{wrong:?} differs from {unknown:?}");
    Ok(())
}

pub async fn a_taken_name_or_mail_address_is_a_conflict(world: World) -> Result<()> {
    let user = world.user().await?;
    let taken = user.user()?;
    let request = |username: String, email: String| Register {
        username,
        email,
        password: PASSWORD.into(),
        display_name: None,
    };
    let stranger = world.stranger();
    let name = request(
        taken.username.to_uppercase(),
        format!("{}@example.org", world.name()),
    );
    stranger
        .post("/api/v1/auth/register", &name)
        .await?
        .refused(ErrorCode::UsernameTaken)?;
    let email = request(world.name(), taken.email.to_uppercase());
    stranger
        .post("/api/v1/auth/register", &email)
        .await?
        .refused(ErrorCode::EmailTaken)?;
    Ok(())
}

pub async fn every_wrong_field_of_a_registration_is_named(world: World) -> Result<()> {
    let request = Register {
        username: "a b".into(),
        email: "nowhere".into(),
        password: "password".into(),
        display_name: Some("x".repeat(51)),
    };
    let answer = world
        .stranger()
        .post("/api/v1/auth/register", &request)
        .await?;
    let problem = answer.refused(ErrorCode::ValidationFailed)?;
    let fields: Vec<_> = problem
        .errors
        .iter()
        .map(|error| error.field.as_str())
        .collect();
    ensure!(
        fields == ["username", "email", "password", "displayName"],
        "{fields:?}"
    );
    Ok(())
}

pub async fn a_refresh_token_is_good_once_and_its_reuse_ends_the_login(world: World) -> Result<()> {
    let user = world.user().await?;
    let client = world.stranger();
    let refresh = async |token: &str| {
        let request = Refresh {
            refresh_token: token.to_owned(),
        };
        client.post("/api/v1/auth/refresh", &request).await
    };
    let first = user
        .signed_in
        .clone()
        .map(|s| s.refresh_token)
        .unwrap_or_default();
    let second: SignedIn = refresh(&first).await?.expect(200)?;
    ensure!(second.refresh_token != first, "the token was not replaced");
    // The answer may have been lost: once more, and the same comes back.
    let again: SignedIn = refresh(&first).await?.expect(200)?;
    ensure!(
        again.refresh_token == second.refresh_token,
        "a second line of tokens was opened"
    );
    let third: SignedIn = refresh(&second.refresh_token).await?.expect(200)?;
    // The first is now two behind: somebody has a copy.
    refresh(&first)
        .await?
        .refused(ErrorCode::LoginSessionEnded)?;
    refresh(&third.refresh_token)
        .await?
        .refused(ErrorCode::LoginSessionEnded)?;
    user.get("/api/v1/auth/me")
        .await?
        .refused(ErrorCode::LoginSessionEnded)?;
    refresh("rt1.forged")
        .await?
        .refused(ErrorCode::TokenInvalid)?;
    Ok(())
}

pub async fn logging_out_ends_the_access_token_at_once(world: World) -> Result<()> {
    let user = world.user().await?;
    let other = world
        .stranger()
        .login(&user.user()?.username, PASSWORD)
        .await?;
    let other: SignedIn = other.expect(200)?;
    let logout = user.request(reqwest::Method::POST, "/api/v1/auth/logout");
    let answer = user.send(logout).await?;
    ensure!(answer.status == 204, "{}", answer.status);
    user.get("/api/v1/auth/me")
        .await?
        .refused(ErrorCode::LoginSessionEnded)?;
    let mut still_in = world.stranger();
    still_in.signed_in = Some(other);
    still_in.get("/api/v1/auth/me").await?.expect::<User>(200)?;
    Ok(())
}
