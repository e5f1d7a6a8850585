//! What the front asks the Directory about accounts.

use codecrafter_shared::api::User;
use codecrafter_shared::id::UserId;
use codecrafter_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::directory::outbox::Committed;
use crate::shard::calls;
use crate::token::Caller;

calls! {
    /// Makes an account, and opens its first login session.
    "/accounts/open" => OpenAccount {
        /// The name to sign in with, as it was typed.
        username: String,
        /// The mail address, as it was typed.
        email: String,
        /// What others see.
        display_name: String,
        /// The password's hash.
        password: String,
    } -> Committed<OpenedLoginSession>;

    /// The hash to check a password against.
    "/accounts/credentials" => FindCredentials {
        /// A user name or a mail address.
        login: String,
    } -> Option<Credentials>;

    /// Opens a login session for somebody whose password was right.
    "/accounts/login-sessions/open" => OpenLoginSession {
        /// The account.
        user_id: UserId,
        /// The password's hash under the present policy, if it was of an older one.
        rehashed: Option<String>,
    } -> Committed<OpenedLoginSession>;

    /// Exchanges a refresh token for the next one. Gives nothing for one that was used before: its
    /// login session has ended by that.
    "/accounts/login-sessions/refresh" => RefreshLoginSession {
        /// The token.
        refresh_token: String,
    } -> Committed<Option<OpenedLoginSession>>;

    /// Ends the caller's login session: its tokens are worth nothing from now on.
    "/accounts/login-sessions/end" => EndLoginSession {
        /// Who calls.
        caller: Caller,
    } -> Committed<()>;

    /// The caller's own account.
    "/accounts/me" => Me {
        /// Who calls.
        caller: Caller,
    } -> User;
}

/// An account's password hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The account.
    pub user_id: UserId,
    /// The PHC string.
    pub password: String,
}

/// A login session, with the refresh token that continues it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenedLoginSession {
    /// The account and the login session.
    pub caller: Caller,
    /// The account.
    pub user: User,
    /// Good for one refresh.
    pub refresh_token: String,
    /// When the login session ends unless it is refreshed.
    pub refresh_token_expires_at: Timestamp,
}
