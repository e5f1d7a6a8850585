//! Tokens (E7): what is signed, with which key, and what makes one valid. Time is an argument.
//!
//! | token | form | life | checked by |
//! |---|---|---|---|
//! | access | EdDSA JWT, `typ: at+jwt` | 15 min | the front, then the login session's row |
//! | room | EdDSA JWT, audience is the room | 12 h, or to the login session's end | the front, then the room: access version, ended logins |
//! | feed | as room, audience is the person's feed | 1 h, or to the login session's end | the front, the Directory, then the person's shard: ended logins |
//! | refresh | id, counter and HMAC | 7 days idle, 30 in all | the Directory |
//! | link | EdDSA JWT of the executor's own key | 60 s | the Directory |

mod jwt;
mod link;
mod refresh;
mod sockets;
mod verified;

use std::collections::HashSet;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{LoginSessionId, UserId};
use codecrafter_shared::keys::{self, Purpose};
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;
use jwt_simple::prelude::{Ed25519KeyPair, EdDSAKeyPairLike as _, HeaderOptions, JWTClaims};
use serde::{Deserialize, Serialize};

use crate::error::Refusal;
use jwt::{ISSUER, claims, end, subject, verification, verify_any};
use verified::Verified;

pub use link::{claimed_executor, verify_link};
pub use refresh::RefreshToken;

const ACCESS_AUDIENCE: &str = "codecrafter-api";
const ACCESS_TYPE: &str = "at+jwt";

/// Every key of a deployment.
pub struct Keys {
    current: Generation,
    previous: Option<Generation>,
    /// Ends with the process, and so with the keys.
    verified: Verified,
}

/// The keys of one secret. A key pair is made when it is first needed: that takes milliseconds of
/// CPU in wasm, of which the free plan of Workers has ten, and most requests need one pair at most.
struct Generation {
    secret: Vec<u8>,
    refresh: [u8; 32],
    limit: [u8; 32],
    access: OnceLock<Option<Ed25519KeyPair>>,
    room: OnceLock<Option<Ed25519KeyPair>>,
}

impl Generation {
    fn new(secret: &[u8]) -> Self {
        Self {
            secret: secret.to_vec(),
            refresh: keys::derive(secret, Purpose::RefreshToken),
            limit: keys::derive(secret, Purpose::LimitKey),
            access: OnceLock::new(),
            room: OnceLock::new(),
        }
    }

    fn access(&self) -> Option<&Ed25519KeyPair> {
        let make = || key_pair(keys::derive(&self.secret, Purpose::AccessToken));
        self.access.get_or_init(make).as_ref()
    }

    fn room(&self) -> Option<&Ed25519KeyPair> {
        let make = || key_pair(keys::derive(&self.secret, Purpose::RoomToken));
        self.room.get_or_init(make).as_ref()
    }
}

/// The key pair of a seed, named by its thumbprint (RFC 7638). `None` never happens: every seed
/// is a key.
fn key_pair(seed: [u8; 32]) -> Option<Ed25519KeyPair> {
    let pair = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new(seed));
    let pair = Ed25519KeyPair::from_bytes(&*pair).ok()?;
    let name = pair.public_key().jwk_thumbprint();
    Some(pair.with_key_id(&name))
}

fn no_key() -> Refusal {
    Refusal::internal("the deployment's secret gave no key")
}

/// Who makes a request: proved by an access token, and still to be checked against the login
/// session's row, which the Directory does in the transaction of the call itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Caller {
    /// The account.
    pub user_id: UserId,
    /// The login session behind the token.
    pub login_session_id: LoginSessionId,
}

#[derive(Serialize, Deserialize)]
struct AccessClaims {
    sid: LoginSessionId,
}

impl Keys {
    /// The keys of `secret`, and of the one that it replaces.
    #[must_use]
    pub fn new(secret: &[u8], previous: Option<&[u8]>) -> Self {
        Self {
            current: Generation::new(secret),
            previous: previous.map(Generation::new),
            verified: Verified::default(),
        }
    }

    fn generations(&self) -> impl Iterator<Item = &Generation> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    /// What limits know `name` by: 16 bytes of an HMAC as text. Nobody without the secret can tell
    /// whose it is, or choose what falls together with another.
    #[must_use]
    pub fn limit_key(&self, name: &str) -> String {
        let mac = keys::authenticate(&self.current.limit, name.as_bytes());
        let (half, _) = mac.split_at(16);
        URL_SAFE_NO_PAD.encode(half)
    }

    /// The public keys of access and room tokens, as `/.well-known/jwks.json` (RFC 7517).
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        let keys: Vec<serde_json::Value> = self
            .generations()
            .flat_map(|generation| [generation.access(), generation.room()])
            .flatten()
            .filter_map(|pair| {
                let public = pair.public_key();
                let mut key: serde_json::Value = serde_json::from_str(&public.to_jwk()).ok()?;
                let object = key.as_object_mut()?;
                object.insert("kid".into(), public.jwk_thumbprint().into());
                object.insert("alg".into(), "EdDSA".into());
                object.insert("use".into(), "sig".into());
                Some(key)
            })
            .collect();
        serde_json::json!({ "keys": keys })
    }

    /// Signs an access token; gives it with its end.
    ///
    /// # Errors
    /// [`ErrorCode::Internal`] if it cannot be serialized.
    pub fn access_token(
        &self,
        caller: Caller,
        now: Timestamp,
    ) -> Result<(String, Timestamp), Refusal> {
        let expires = now.plus_millis(limits::ACCESS_TOKEN_MS);
        let custom = AccessClaims {
            sid: caller.login_session_id,
        };
        let claims = claims(ACCESS_AUDIENCE, caller.user_id, now, expires, custom);
        let header = HeaderOptions {
            signature_type: Some(ACCESS_TYPE.into()),
            ..Default::default()
        };
        let pair = self.current.access().ok_or_else(no_key)?;
        let token = pair.sign_with_options(claims, &header);
        Ok((token.map_err(Refusal::internal)?, expires))
    }

    /// Who an access token was made for.
    ///
    /// # Errors
    /// [`ErrorCode::TokenExpired`] or [`ErrorCode::TokenInvalid`].
    pub fn verify_access(&self, token: &str, now: Timestamp) -> Result<Caller, Refusal> {
        if token.len() > limits::TOKEN_BYTES_MAX {
            return Err(Refusal::new(ErrorCode::TokenInvalid));
        }
        let hash = verified::hash(token);
        if let Some(caller) = self.verified.get(&hash, now) {
            return Ok(caller);
        }
        let mut options = verification(ACCESS_AUDIENCE, now, limits::ACCESS_TOKEN_MS);
        options.required_signature_type = Some(ACCESS_TYPE.into());
        options.allowed_issuers = Some(HashSet::from([ISSUER.to_owned()]));
        let keys = self
            .generations()
            .filter_map(Generation::access)
            .map(Ed25519KeyPair::public_key);
        let claims: JWTClaims<AccessClaims> = verify_any(keys, token, &options)?;
        let caller = Caller {
            user_id: subject(&claims)?,
            login_session_id: claims.custom.sid,
        };
        self.verified.put(hash, caller, now, end(&claims));
        Ok(caller)
    }
}

#[cfg(test)]
mod tests {
    use codecrafter_shared::id::{ExecutorId, SessionId};
    use codecrafter_shared::job::{LINK_AUDIENCE, LinkClaims};
    use codecrafter_shared::role::Role;

    use super::*;
    use crate::room::Principal;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    fn caller() -> Caller {
        Caller {
            user_id: UserId::at(NOW, [1; 10]),
            login_session_id: LoginSessionId::at(NOW, [2; 10]),
        }
    }

    fn pass() -> Principal {
        Principal {
            user_id: caller().user_id,
            login_session_id: caller().login_session_id,
            username: "ada".into(),
            display_name: "Ada".into(),
            role: Role::Editor,
            access_version: 3,
            expires_at: NOW.plus_millis(limits::ROOM_TOKEN_MS),
        }
    }

    #[test]
    fn an_access_token_lives_its_time_and_not_longer() {
        let keys = Keys::new(SECRET, None);
        let (token, expires) = keys.access_token(caller(), NOW).unwrap();
        assert_eq!(keys.verify_access(&token, NOW), Ok(caller()));
        // Remembered by now, which changes nothing about its end.
        assert_eq!(keys.verify_access(&token, NOW), Ok(caller()));
        assert_eq!(keys.verify_access(&token, expires), Ok(caller()));
        let late = expires.plus_millis(limits::CLOCK_TOLERANCE_MS + 1_000);
        let refusal = keys.verify_access(&token, late).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::TokenExpired);
    }

    #[test]
    fn a_token_is_good_for_its_own_purpose_only() {
        let keys = Keys::new(SECRET, None);
        let session = SessionId::at(NOW, [3; 10]);
        let (access, _) = keys.access_token(caller(), NOW).unwrap();
        let (room, _) = keys.room_token(session, &pass(), NOW).unwrap();
        let invalid = ErrorCode::TokenInvalid;
        assert_eq!(keys.verify_access(&room, NOW).unwrap_err().code, invalid);
        assert_eq!(
            keys.verify_room(session, &access, NOW).unwrap_err().code,
            invalid
        );
        let elsewhere = SessionId::at(NOW, [4; 10]);
        assert_eq!(
            keys.verify_room(elsewhere, &room, NOW).unwrap_err().code,
            invalid
        );
        assert_eq!(keys.verify_room(session, &room, NOW), Ok(pass()));

        let ends = NOW.plus_millis(limits::FEED_TOKEN_MS);
        let feed = keys.feed_token(caller(), NOW, ends).unwrap();
        assert_eq!(keys.verify_feed(&feed, NOW), Ok((caller(), ends)));
        for other in [&access, &room] {
            assert_eq!(keys.verify_feed(other, NOW).unwrap_err().code, invalid);
        }
        assert_eq!(keys.verify_access(&feed, NOW).unwrap_err().code, invalid);
        let elsewhere = keys.verify_room(session, &feed, NOW);
        assert_eq!(elsewhere.unwrap_err().code, invalid);
    }

    #[test]
    fn another_secret_forges_nothing_and_the_previous_one_still_counts() {
        let old = Keys::new(b"previous previous previous previous", None);
        let (token, _) = old.access_token(caller(), NOW).unwrap();
        let new = Keys::new(SECRET, None);
        assert_eq!(
            new.verify_access(&token, NOW).unwrap_err().code,
            ErrorCode::TokenInvalid
        );
        let rotating = Keys::new(SECRET, Some(b"previous previous previous previous"));
        assert_eq!(rotating.verify_access(&token, NOW), Ok(caller()));
        let jwks = rotating.jwks();
        assert_eq!(jwks["keys"].as_array().unwrap().len(), 4);
        assert!(jwks["keys"][0].get("d").is_none(), "a private key is shown");
    }

    #[test]
    fn the_operator_token_is_of_the_secret_or_the_one_before() {
        let (old, other) = (b"previous previous previous previous", [7; 32]);
        let rotating = Keys::new(SECRET, Some(old));
        for secret in [SECRET, old] {
            assert!(rotating.is_operator_token(&keys::operator_token(secret)));
            assert!(!rotating.is_operator_token(&keys::join_token(secret)));
        }
        assert!(!rotating.is_operator_token(&keys::operator_token(&other)));
        assert!(!rotating.is_operator_token(""));
    }

    #[test]
    fn a_refresh_token_fits_its_counter_and_its_row() {
        let keys = Keys::new(SECRET, None);
        let token = keys.refresh_token(caller(), 7, b"salt");
        let parsed = RefreshToken::parse(&token).unwrap();
        assert_eq!((parsed.caller, parsed.counter), (caller(), 7));
        assert!(keys.is_refresh_token(&parsed, b"salt"));
        assert!(!keys.is_refresh_token(&parsed, b"other"));
        let forged = token.replace(".7.", ".8.");
        assert!(!keys.is_refresh_token(&RefreshToken::parse(&forged).unwrap(), b"salt"));
        assert_eq!(RefreshToken::parse("rt1.x"), None);
    }

    #[test]
    fn a_link_token_fits_one_path_and_one_body() {
        let pair = Ed25519KeyPair::generate();
        let executor = ExecutorId::at(NOW, [5; 10]);
        let custom = LinkClaims {
            path: "/internal/leases".into(),
            body: "hash".into(),
        };
        let mut claims = claims(
            LINK_AUDIENCE,
            caller().user_id,
            NOW,
            NOW.plus_millis(60_000),
            custom,
        );
        claims.issuer = Some(executor.to_string());
        let token = pair.sign(claims).unwrap();
        assert_eq!(claimed_executor(&token), Some(executor));
        let key = pair.public_key().to_bytes();
        let verify = |path, body| verify_link(&token, executor, &key, path, body, NOW);
        assert!(verify("/internal/leases", "hash").is_ok());
        assert!(verify("/internal/reports", "hash").is_err());
        assert!(verify("/internal/leases", "other").is_err());
    }
}
