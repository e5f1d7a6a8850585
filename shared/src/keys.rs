//! How one secret per deployment becomes every key (E8): HKDF-SHA-256 (RFC 5869) with the key's
//! purpose as label. A key can be used for its purpose only, and knowing one gives no other.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::id::{ExecutionId, ExecutorId, SessionId};

/// What a key is for. The label is part of the key: changing it changes every value made with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Ed25519 seed that signs access tokens.
    AccessToken,
    /// Ed25519 seed that signs room tokens.
    RoomToken,
    /// HMAC key of report tokens.
    ReportToken,
    /// The token with which an executor-host enrols.
    JoinToken,
    /// HMAC key under which refresh tokens are stored.
    RefreshToken,
    /// The token with which an operator lists and revokes executors.
    OperatorToken,
    /// HMAC key under which limits count addresses, users and names.
    LimitKey,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::AccessToken => b"codecrafter/access-token/v1",
            Self::RoomToken => b"codecrafter/room-token/v1",
            Self::ReportToken => b"codecrafter/report-token/v1",
            Self::JoinToken => b"codecrafter/join-token/v1",
            Self::RefreshToken => b"codecrafter/refresh-token/v1",
            Self::OperatorToken => b"codecrafter/operator-token/v1",
            Self::LimitKey => b"codecrafter/limit-key/v1",
        }
    }
}

/// The fewest bytes of a deployment's secret.
pub const SECRET_BYTES_MIN: usize = 32;

/// The key of `secret` for `purpose`.
#[must_use]
pub fn derive(secret: &[u8], purpose: Purpose) -> [u8; 32] {
    let mut key = [0; 32];
    // Expanding fails only for more than 255 × 32 bytes of output.
    let expanded = Hkdf::<Sha256>::new(None, secret).expand(purpose.label(), &mut key);
    debug_assert!(expanded.is_ok());
    key
}

/// The token that an operator passes to `executor-host join --token`. The prefix lets people and
/// scanners of leaked secrets know it, and keeps it from looking like an option.
#[must_use]
pub fn join_token(secret: &[u8]) -> String {
    format!(
        "ccjoin_{}",
        URL_SAFE_NO_PAD.encode(derive(secret, Purpose::JoinToken))
    )
}

/// The token with which an operator calls `/executors`. It has a prefix for the same reasons as the
/// join token, and another key: whoever may add a host may not send others away.
#[must_use]
pub fn operator_token(secret: &[u8]) -> String {
    format!(
        "ccop_{}",
        URL_SAFE_NO_PAD.encode(derive(secret, Purpose::OperatorToken))
    )
}

/// The token that lets `executor` report on `execution`, to the room of its `session` if it has
/// one, and on nothing else (X3).
#[must_use]
pub fn report_token(
    secret: &[u8],
    execution: ExecutionId,
    session: Option<SessionId>,
    executor: ExecutorId,
) -> String {
    let session = session.map_or_else(String::new, |session| session.to_string());
    let text = format!("{execution}:{session}:{executor}");
    URL_SAFE_NO_PAD.encode(authenticate(
        &derive(secret, Purpose::ReportToken),
        text.as_bytes(),
    ))
}

/// HMAC-SHA-256 of `message` under `key`.
#[must_use]
pub fn authenticate(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(message);
            mac.finalize().into_bytes().into()
        }
        // HMAC takes keys of every length.
        Err(_) => [0; 32],
    }
}

/// SHA-256 of `message` in base64url without padding, as bodies are named in signed requests.
#[must_use]
pub fn body_hash(message: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn every_purpose_has_a_key_of_its_own() {
        let secret = [1; SECRET_BYTES_MIN];
        let purposes = [
            Purpose::AccessToken,
            Purpose::RoomToken,
            Purpose::ReportToken,
            Purpose::JoinToken,
            Purpose::RefreshToken,
            Purpose::OperatorToken,
            Purpose::LimitKey,
        ];
        let mut keys: Vec<_> = purposes.iter().map(|p| derive(&secret, *p)).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), purposes.len());
        assert_ne!(
            derive(&secret, Purpose::JoinToken),
            derive(&[2; 32], Purpose::JoinToken)
        );
    }

    #[test]
    fn a_report_token_fits_one_execution_of_one_session_and_one_executor() {
        let now = Timestamp::from_millis(1);
        let (a, b) = (ExecutionId::at(now, [1; 10]), ExecutionId::at(now, [2; 10]));
        let (x, y) = (ExecutorId::at(now, [1; 10]), ExecutorId::at(now, [2; 10]));
        let session = |n| Some(SessionId::at(now, [n; 10]));
        let token =
            |execution, session, executor| report_token(&[9; 32], execution, session, executor);
        assert_ne!(token(a, None, x), token(b, None, x));
        assert_ne!(token(a, None, x), token(a, None, y));
        assert_ne!(token(a, session(1), x), token(a, session(2), x));
        assert_ne!(token(a, session(1), x), token(a, None, x));
        assert_eq!(token(a, session(1), x), token(a, session(1), x));
    }
}
