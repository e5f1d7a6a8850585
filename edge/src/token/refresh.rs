//! Refresh tokens: an id, a counter and a MAC, so that no copy of the database makes one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codecrafter_shared::keys;
use codecrafter_shared::limits;
use subtle::ConstantTimeEq as _;

use super::{Caller, Generation, Keys};

impl Keys {
    /// The refresh token of a login session's `counter`-th refresh. `salt` is in the session's
    /// row, so the secret alone makes no token.
    #[must_use]
    pub fn refresh_token(&self, caller: Caller, counter: u32, salt: &[u8]) -> String {
        let name = refresh_name(caller, counter);
        format!("{name}.{}", refresh_mac(&self.current, &name, salt))
    }

    /// Whether `token` was made by [`Keys::refresh_token`] with the same arguments.
    #[must_use]
    pub fn is_refresh_token(&self, parsed: &RefreshToken, salt: &[u8]) -> bool {
        let name = refresh_name(parsed.caller, parsed.counter);
        self.generations().any(|generation| {
            let mac = refresh_mac(generation, &name, salt);
            mac.as_bytes().ct_eq(parsed.mac.as_bytes()).into()
        })
    }
}

/// A refresh token taken apart; nothing about it is proved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// Whose it claims to be.
    pub caller: Caller,
    /// Which of the login session's tokens it claims to be.
    pub counter: u32,
    mac: String,
}

impl RefreshToken {
    /// Takes a token apart.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        if token.len() > limits::TOKEN_BYTES_MAX {
            return None;
        }
        let mut parts = token.strip_prefix("rt1.")?.split('.');
        let user_id = parts.next()?.parse().ok()?;
        let login_session_id = parts.next()?.parse().ok()?;
        let counter = parts.next()?.parse().ok()?;
        let mac = parts.next()?.to_owned();
        let caller = Caller {
            user_id,
            login_session_id,
        };
        parts.next().is_none().then_some(Self {
            caller,
            counter,
            mac,
        })
    }
}

fn refresh_name(caller: Caller, counter: u32) -> String {
    format!(
        "rt1.{}.{}.{counter}",
        caller.user_id, caller.login_session_id
    )
}

fn refresh_mac(generation: &Generation, name: &str, salt: &[u8]) -> String {
    let message = [name.as_bytes(), b"\0", salt].concat();
    URL_SAFE_NO_PAD.encode(keys::authenticate(&generation.refresh, &message))
}
