//! JSON Web Tokens as we make and accept them (RFC 7519, RFC 8725). The time is an argument, also
//! for the library.

use std::collections::HashSet;

use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::UserId;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;
use jwt_simple::JWTError;
use jwt_simple::prelude::{
    Audiences, Duration, Ed25519PublicKey, EdDSAPublicKeyLike as _, JWTClaims, VerificationOptions,
};
use serde::de::DeserializeOwned;

use crate::error::Refusal;

/// Who signs what this deployment signs.
pub(super) const ISSUER: &str = "codecrafter";

/// What a token of ours for `user` says.
pub(super) fn claims<C>(
    audience: &str,
    user: UserId,
    now: Timestamp,
    expires: Timestamp,
    custom: C,
) -> JWTClaims<C> {
    JWTClaims {
        issued_at: Some(Duration::from_secs(now.as_seconds())),
        expires_at: Some(Duration::from_secs(expires.as_seconds())),
        invalid_before: None,
        issuer: Some(ISSUER.into()),
        subject: Some(user.to_string()),
        audiences: Some(Audiences::AsString(audience.into())),
        jwt_id: None,
        nonce: None,
        custom,
    }
}

/// The library's defaults would accept a token for 15 minutes after its end, and one of a
/// megabyte; it would also ask the platform for the time.
pub(super) fn verification(audience: &str, now: Timestamp, life_ms: i64) -> VerificationOptions {
    let tolerance = limits::CLOCK_TOLERANCE_MS.unsigned_abs();
    VerificationOptions {
        allowed_audiences: Some(HashSet::from([audience.to_owned()])),
        time_tolerance: Some(Duration::from_millis(tolerance)),
        max_validity: Some(Duration::from_millis(
            life_ms.unsigned_abs().saturating_add(tolerance),
        )),
        max_token_length: Some(limits::TOKEN_BYTES_MAX),
        artificial_time: Some(Duration::from_secs(now.as_seconds())),
        ..Default::default()
    }
}

/// What `token` says, if one of `keys` has signed it and `options` allow it.
///
/// # Errors
/// [`ErrorCode::TokenExpired`] or [`ErrorCode::TokenInvalid`].
pub(super) fn verify_any<C: DeserializeOwned>(
    keys: impl Iterator<Item = Ed25519PublicKey>,
    token: &str,
    options: &VerificationOptions,
) -> Result<JWTClaims<C>, Refusal> {
    let mut refusal = Refusal::new(ErrorCode::TokenInvalid);
    for key in keys {
        match key.verify_token::<C>(token, Some(options.clone())) {
            // `max_validity` only looks at tokens that have both ends.
            Ok(claims) if claims.expires_at.is_some() && claims.issued_at.is_some() => {
                return Ok(claims);
            }
            Ok(_) => {}
            Err(error) => {
                use JWTError::{TokenHasExpired, TokenIsTooOld};
                let error = error.downcast_ref();
                if let Some(TokenHasExpired | TokenIsTooOld) = error {
                    refusal = Refusal::new(ErrorCode::TokenExpired);
                }
            }
        }
    }
    Err(refusal)
}

/// When a token ends, as it says itself.
pub(super) fn end<C>(claims: &JWTClaims<C>) -> Timestamp {
    let seconds = claims.expires_at.map_or(0, |at| at.as_secs());
    let millis = i64::try_from(seconds)
        .unwrap_or(i64::MAX)
        .saturating_mul(1000);
    Timestamp::from_millis(millis)
}

/// Whose token it is.
///
/// # Errors
/// [`ErrorCode::TokenInvalid`] if it names nobody.
pub(super) fn subject<C>(claims: &JWTClaims<C>) -> Result<UserId, Refusal> {
    let subject = claims
        .subject
        .as_deref()
        .and_then(|subject| subject.parse().ok());
    subject.ok_or_else(|| Refusal::new(ErrorCode::TokenInvalid))
}
