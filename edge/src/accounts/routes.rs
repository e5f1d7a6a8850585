//! `/auth`: register, login, refresh, logout, me. Prepare, ask the Directory, finish.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use codecrafter_shared::api::{Login, Refresh, Register, SignedIn};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::limits;
use futures_util::future::join;
use http::StatusCode;

use super::calls::{
    EndLoginSession, FindCredentials, Me, OpenAccount, OpenLoginSession, OpenedLoginSession,
    RefreshLoginSession,
};
use super::validate;
use crate::error::Refusal;
use crate::front::Edge;
use crate::front::extract::{Body, Ok200};
use crate::front::limit::{self, Attempt, Origin};
use crate::front::validate::Fields;
use crate::password;
use crate::token::Caller;

/// `POST /auth/register` (CC-AUTH-01). The role is not the client's to choose.
pub async fn register(
    State(edge): State<Edge>,
    Body(request): Body<Register>,
) -> Result<Response, Refusal> {
    let mut fields = Fields::default();
    validate::register(&mut fields, &request);
    fields.check()?;
    let password = edge
        .hasher
        .hash(&request.password, edge.rng.bytes())
        .await?;
    let display_name = request
        .display_name
        .unwrap_or_else(|| request.username.clone());
    let opened = edge
        .directory(&OpenAccount {
            username: request.username,
            email: request.email.trim().to_owned(),
            display_name: display_name.trim().to_owned(),
            password,
        })
        .await?;
    let opened = edge.deliver(opened).await;
    Ok((StatusCode::CREATED, axum::Json(signed_in(&edge, opened)?)).into_response())
}

/// `POST /auth/login` (CC-AUTH-02). An unknown user and a wrong password take the same time and
/// get the same answer.
pub async fn login(
    State(edge): State<Edge>,
    origin: Origin,
    Body(request): Body<Login>,
) -> Result<Response, Response> {
    let too_long = request.password.chars().count() > *limits::PASSWORD_CHARS.end();
    if too_long || request.login.len() > limits::EMAIL_BYTES_MAX {
        return Err(Refusal::new(ErrorCode::CredentialsInvalid).into_response());
    }
    let attempt = limit::tried(&edge, &origin, &request.login).await?;
    let signed_in = with_password(&edge, request, attempt).await;
    let signed_in = signed_in.map_err(Refusal::into_response)?;
    Ok(axum::Json(signed_in).into_response())
}

async fn with_password(edge: &Edge, request: Login, attempt: Attempt) -> Result<SignedIn, Refusal> {
    let refused = || Refusal::new(ErrorCode::CredentialsInvalid);
    let found = edge
        .directory(&FindCredentials {
            login: request.login,
        })
        .await?;
    let phc = found
        .as_ref()
        .map_or(password::NOBODY, |found| found.password.as_str());
    let right = edge.hasher.verify(&request.password, phc).await?;
    let (true, Some(found)) = (right, found) else {
        return Err(refused());
    };
    let rehashed = if password::is_outdated(&found.password) {
        Some(
            edge.hasher
                .hash(&request.password, edge.rng.bytes())
                .await?,
        )
    } else {
        None
    };
    let open = OpenLoginSession {
        user_id: found.user_id,
        rehashed,
    };
    let (opened, ()) = join(edge.directory(&open), attempt.was_right(edge)).await;
    let opened = opened?;
    let opened = edge.deliver(opened).await;
    signed_in(edge, opened)
}

/// `POST /auth/refresh` (CC-AUTH-03).
pub async fn refresh(State(edge): State<Edge>, Body(request): Body<Refresh>) -> Ok200<SignedIn> {
    let call = RefreshLoginSession {
        refresh_token: request.refresh_token,
    };
    let refreshed = edge.deliver(edge.directory(&call).await?).await;
    let opened = refreshed.ok_or_else(|| Refusal::new(ErrorCode::LoginSessionEnded))?;
    signed_in(&edge, opened).map(axum::Json)
}

/// `POST /auth/logout` (CC-AUTH-04, X-14): ends the login session of the access token, and with it
/// every socket that its room tokens have opened (E7).
pub async fn logout(State(edge): State<Edge>, caller: Caller) -> Result<StatusCode, Refusal> {
    let ended = edge.directory(&EndLoginSession { caller }).await?;
    edge.deliver(ended).await;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /auth/me` (CC-AUTH-05).
pub async fn me(State(edge): State<Edge>, caller: Caller) -> Ok200<codecrafter_shared::api::User> {
    edge.directory(&Me { caller }).await.map(axum::Json)
}

fn signed_in(edge: &Edge, opened: OpenedLoginSession) -> Result<SignedIn, Refusal> {
    let now = edge.clock.now();
    let (access_token, access_token_expires_at) =
        edge.config.keys.access_token(opened.caller, now)?;
    Ok(SignedIn {
        user: opened.user,
        access_token,
        access_token_expires_at,
        refresh_token: opened.refresh_token,
        refresh_token_expires_at: opened.refresh_token_expires_at,
    })
}
