//! What executors and operators show: the tokens that a deployment's secret determines, and the
//! signatures of a host's own key.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{ExecutionId, ExecutorId, SessionId};
use codecrafter_shared::job::{LINK_AUDIENCE, LinkClaims, Report};
use codecrafter_shared::keys;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;
use jwt_simple::prelude::{Ed25519PublicKey, JWTClaims};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

use super::Keys;
use super::jwt::{verification, verify_any};
use crate::error::Refusal;

impl Keys {
    /// Whether `token` is the one that lets an executor-host enrol.
    #[must_use]
    pub fn is_join_token(&self, token: &str) -> bool {
        self.generations().any(|generation| {
            keys::join_token(&generation.secret)
                .as_bytes()
                .ct_eq(token.as_bytes())
                .into()
        })
    }

    /// Whether `token` is the one that lets an operator list and revoke executors.
    #[must_use]
    pub fn is_operator_token(&self, token: &str) -> bool {
        self.generations().any(|generation| {
            keys::operator_token(&generation.secret)
                .as_bytes()
                .ct_eq(token.as_bytes())
                .into()
        })
    }

    /// The report token of an execution of `session` that was leased to `executor` (X3).
    #[must_use]
    pub fn report_token(
        &self,
        execution: ExecutionId,
        session: Option<SessionId>,
        executor: ExecutorId,
    ) -> String {
        keys::report_token(&self.current.secret, execution, session, executor)
    }

    /// Whether `report` has the token that lets `executor` say it: of this execution, to the room
    /// of this session.
    #[must_use]
    pub fn is_allowed_report(&self, report: &Report, executor: ExecutorId) -> bool {
        self.generations().any(|generation| {
            let (execution, session) = (report.execution_id, report.session_id);
            let wanted = keys::report_token(&generation.secret, execution, session, executor);
            let given = report.report_token.as_bytes();
            wanted.as_bytes().ct_eq(given).into()
        })
    }
}

/// The executor that a link's token claims to be from; nothing is proved yet.
#[must_use]
pub fn claimed_executor(token: &str) -> Option<ExecutorId> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: ExecutorId,
    }
    if token.len() > limits::TOKEN_BYTES_MAX {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Issuer>(&payload)
        .ok()
        .map(|issuer| issuer.iss)
}

/// Checks that `token` was signed by `executor`'s key for this path and body.
///
/// # Errors
/// [`ErrorCode::TokenExpired`] or [`ErrorCode::TokenInvalid`], with what did not fit.
pub fn verify_link(
    token: &str,
    executor: ExecutorId,
    public_key: &[u8],
    path: &str,
    body_hash: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    let key = Ed25519PublicKey::from_bytes(public_key).map_err(Refusal::internal)?;
    let mut options = verification(LINK_AUDIENCE, now, limits::LINK_TOKEN_MS);
    options.allowed_issuers = Some(HashSet::from([executor.to_string()]));
    let claims: JWTClaims<LinkClaims> = verify_any(std::iter::once(key), token, &options)?;
    if claims.custom.path != path || claims.custom.body != body_hash {
        let detail = "the token was signed for another path or body";
        return Err(Refusal::with_detail(ErrorCode::TokenInvalid, detail));
    }
    Ok(())
}
