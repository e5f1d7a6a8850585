//! Tokens that open what stays open: rooms, and feeds of people.

use std::collections::HashSet;

use codecrafter_shared::id::{LoginSessionId, SessionId};
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;
use codecrafter_shared::time::Timestamp;
use jwt_simple::prelude::{Ed25519KeyPair, EdDSAKeyPairLike as _, JWTClaims};
use serde::{Deserialize, Serialize};

use super::jwt::{ISSUER, claims, end, subject, verification, verify_any};
use super::{AccessClaims, Caller, Generation, Keys, no_key};
use crate::error::Refusal;
use crate::room::Principal;

const FEED_AUDIENCE: &str = "codecrafter-feed";

#[derive(Serialize, Deserialize)]
struct RoomClaims {
    sid: LoginSessionId,
    username: String,
    name: String,
    role: Role,
    access: u64,
}

impl Keys {
    /// Signs a room token; gives it with its end, that of `pass`.
    ///
    /// # Errors
    /// [`Internal`](codecrafter_shared::error::ErrorCode::Internal) if it cannot be serialized.
    pub fn room_token(
        &self,
        session: SessionId,
        pass: &Principal,
        now: Timestamp,
    ) -> Result<(String, Timestamp), Refusal> {
        let expires = pass.expires_at;
        let custom = RoomClaims {
            sid: pass.login_session_id,
            username: pass.username.clone(),
            name: pass.display_name.clone(),
            role: pass.role,
            access: pass.access_version,
        };
        let claims = claims(&room_audience(session), pass.user_id, now, expires, custom);
        let pair = self.current.room().ok_or_else(no_key)?;
        let token = pair.sign(claims).map_err(Refusal::internal)?;
        Ok((token, expires))
    }

    /// What a room token proves about its bearer, for the room of `session`.
    ///
    /// # Errors
    /// [`TokenExpired`](codecrafter_shared::error::ErrorCode::TokenExpired) or
    /// [`TokenInvalid`](codecrafter_shared::error::ErrorCode::TokenInvalid).
    pub fn verify_room(
        &self,
        session: SessionId,
        token: &str,
        now: Timestamp,
    ) -> Result<Principal, Refusal> {
        let mut options = verification(&room_audience(session), now, limits::ROOM_TOKEN_MS);
        options.allowed_issuers = Some(HashSet::from([ISSUER.to_owned()]));
        let keys = self
            .generations()
            .filter_map(Generation::room)
            .map(Ed25519KeyPair::public_key);
        let claims: JWTClaims<RoomClaims> = verify_any(keys, token, &options)?;
        let expires_at = end(&claims);
        Ok(Principal {
            user_id: subject(&claims)?,
            login_session_id: claims.custom.sid,
            username: claims.custom.username,
            display_name: claims.custom.name,
            role: claims.custom.role,
            access_version: claims.custom.access,
            expires_at,
        })
    }

    /// Signs a feed token that ends at `expires`.
    ///
    /// # Errors
    /// [`Internal`](codecrafter_shared::error::ErrorCode::Internal) if it cannot be serialized.
    pub fn feed_token(
        &self,
        caller: Caller,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<String, Refusal> {
        let custom = AccessClaims {
            sid: caller.login_session_id,
        };
        let claims = claims(FEED_AUDIENCE, caller.user_id, now, expires, custom);
        let pair = self.current.room().ok_or_else(no_key)?;
        pair.sign(claims).map_err(Refusal::internal)
    }

    /// Whose feed a feed token opens, and until when.
    ///
    /// # Errors
    /// [`TokenExpired`](codecrafter_shared::error::ErrorCode::TokenExpired) or
    /// [`TokenInvalid`](codecrafter_shared::error::ErrorCode::TokenInvalid).
    pub fn verify_feed(&self, token: &str, now: Timestamp) -> Result<(Caller, Timestamp), Refusal> {
        let mut options = verification(FEED_AUDIENCE, now, limits::FEED_TOKEN_MS);
        options.allowed_issuers = Some(HashSet::from([ISSUER.to_owned()]));
        let keys = self
            .generations()
            .filter_map(Generation::room)
            .map(Ed25519KeyPair::public_key);
        let claims: JWTClaims<AccessClaims> = verify_any(keys, token, &options)?;
        let caller = Caller {
            user_id: subject(&claims)?,
            login_session_id: claims.custom.sid,
        };
        Ok((caller, end(&claims)))
    }
}

fn room_audience(session: SessionId) -> String {
    format!("codecrafter-room:{session}")
}
