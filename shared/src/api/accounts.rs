//! Accounts: registering, signing in, tokens.

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::time::Timestamp;

/// `POST /auth/register` → 201 [`SignedIn`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Register {
    /// 3–30 of letters, digits, `_` and `-`; unique without regard to case.
    pub username: String,
    /// Unique without regard to case.
    pub email: String,
    /// 8–128 characters.
    pub password: String,
    /// What others see; the user name if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// `POST /auth/login` → 200 [`SignedIn`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Login {
    /// The user name or the mail address.
    pub login: String,
    /// The password.
    pub password: String,
}

/// `POST /auth/refresh` → 200 [`SignedIn`] with a new refresh token; the old one ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refresh {
    /// The newest refresh token of the login session.
    pub refresh_token: String,
}

/// Tokens of a login session.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SignedIn {
    /// Who signed in.
    pub user: User,
    /// Sent as `Authorization: Bearer …`.
    pub access_token: String,
    /// When the access token ends.
    pub access_token_expires_at: Timestamp,
    /// For `POST /auth/refresh`; good for one use.
    pub refresh_token: String,
    /// When the login session ends unless it is refreshed.
    pub refresh_token_expires_at: Timestamp,
}

/// An account as its owner sees it; `GET /auth/me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The account's id.
    pub id: UserId,
    /// The name to sign in with.
    pub username: String,
    /// The mail address.
    pub email: String,
    /// What others see.
    pub display_name: String,
    /// When the account was made.
    pub created_at: Timestamp,
    /// The last sign-in before this one.
    pub last_login_at: Option<Timestamp>,
}
