//! One signed request to the edge and its answer, as values; no retries and no state.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use codecrafter_shared::error::{ErrorCode, Problem};
use codecrafter_shared::job::{
    Acknowledge, Acknowledged, LINK_AUDIENCE, LeaseRequest, Leases, LinkClaims, Report,
    ReportsTaken,
};
use codecrafter_shared::time::Timestamp;
use codecrafter_shared::{keys, limits};
use jwt_simple::prelude::{Claims, EdDSAKeyPairLike as _};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE};
use reqwest::{Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::credentials::Credentials;
use crate::clock;

/// Time for an answer, beside the time that the edge was asked to hold the request.
const ANSWER_MAX: Duration = Duration::from_secs(20);
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The edge as an enrolled host sees it.
pub struct Client {
    http: reqwest::Client,
    credentials: Credentials,
    /// Whether the last request was answered as it should be.
    is_connected: AtomicBool,
}

impl Client {
    /// A client that signs with these credentials. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When TLS cannot be set up.
    pub fn new(credentials: Credentials) -> Result<Self, CallError> {
        Ok(Self {
            http: http(&credentials.edge)?,
            credentials,
            is_connected: AtomicBool::new(false),
        })
    }

    /// Whether the edge has answered the last request of those that are over, and works with this
    /// host. A report that it does not take is no quarrel.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Relaxed)
    }

    /// Asks for jobs. The edge may hold the request for `request.wait_ms`.
    pub async fn lease(&self, request: &LeaseRequest) -> Result<Leases, CallError> {
        let held = Duration::from_millis(u64::try_from(request.wait_ms).unwrap_or(0));
        self.call("/internal/leases", request, held + ANSWER_MAX)
            .await
    }

    /// Says that jobs are in the queue.
    pub async fn acknowledge(&self, request: &Acknowledge) -> Result<Acknowledged, CallError> {
        self.call("/internal/leases/ack", request, ANSWER_MAX).await
    }

    /// Says what happened, in order; at most [`limits::REPORTS_MAX`]. Harmless to repeat.
    pub async fn report(&self, reports: &[&Report]) -> Result<ReportsTaken, CallError> {
        /// [`codecrafter_shared::job::Reports`] without owning them.
        #[derive(Serialize)]
        struct Borrowed<'a> {
            reports: &'a [&'a Report],
        }
        self.call("/internal/reports", &Borrowed { reports }, ANSWER_MAX)
            .await
    }

    async fn call<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        path: &'static str,
        request: &Q,
        patience: Duration,
    ) -> Result<A, CallError> {
        let answer = self.ask(path, request, patience).await;
        let is_connected = answer.as_ref().map_or_else(CallError::is_final, |_| true);
        self.is_connected.store(is_connected, Ordering::Relaxed);
        answer
    }

    async fn ask<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        path: &'static str,
        request: &Q,
        patience: Duration,
    ) -> Result<A, CallError> {
        let body = serde_json::to_vec(request).map_err(|e| CallError::Own(e.to_string()))?;
        let token = self.sign(path, &body)?;
        let url = at(&self.credentials.edge, path);
        let call = self.http.post(url).timeout(patience);
        let call = call.header(AUTHORIZATION, format!("Bearer {token}"));
        let call = call.header(CONTENT_TYPE, "application/json").body(body);
        answer(call.send().await?).await
    }

    /// The token for one request: it fits this path and this body, for a minute at most.
    fn sign(&self, path: &str, body: &[u8]) -> Result<String, CallError> {
        let claims = LinkClaims {
            path: path.into(),
            body: keys::body_hash(body),
        };
        let life = u64::try_from(limits::LINK_TOKEN_MS).unwrap_or(0);
        let life = jwt_simple::prelude::Duration::from_millis(life);
        let mut claims = Claims::with_custom_claims(claims, life)
            .with_issuer(self.credentials.executor_id)
            .with_audience(LINK_AUDIENCE);
        // A clock that is a little fast is no reason to be refused.
        claims.invalid_before = None;
        self.credentials
            .key
            .sign(claims)
            .map_err(|error| CallError::Own(error.to_string()))
    }
}

/// `path` under the edge's URL, which has no path of its own.
pub(super) fn at(edge: &Url, path: &str) -> Url {
    let mut url = edge.clone();
    url.set_path(path);
    url
}

/// What all requests to the edge have in common.
pub(super) fn http(edge: &Url) -> Result<reqwest::Client, CallError> {
    let mut http = reqwest::Client::builder()
        .user_agent(concat!(
            "codecrafter-executor-host/",
            env!("CARGO_PKG_VERSION")
        ))
        .connect_timeout(CONNECT_MAX)
        // A signature fits one path; a join token is for this edge only.
        .redirect(reqwest::redirect::Policy::none());
    if is_loopback(edge) {
        http = http.no_proxy();
    }
    Ok(http.build()?)
}

/// Whether the edge is this machine.
pub(crate) fn is_loopback(edge: &Url) -> bool {
    match edge.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let address = host.trim_start_matches('[').trim_end_matches(']');
            address
                .parse()
                .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
        None => false,
    }
}

/// The body of a good answer, or why it was not one.
pub(super) async fn answer<A: DeserializeOwned>(response: Response) -> Result<A, CallError> {
    let status = response.status();
    let date = response
        .headers()
        .get(DATE)
        .and_then(|date| date.to_str().ok());
    let skew_ms = date.and_then(skew_ms);
    let body = response.bytes().await?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|error| CallError::Answer(error.to_string()));
    }
    let problem = serde_json::from_slice(&body).ok();
    Err(CallError::Refused(Box::new(Refusal {
        status: status.as_u16(),
        problem,
        skew_ms,
    })))
}

/// By how much the host's clock is ahead of the one that wrote `date` (RFC 9110 §5.6.7).
fn skew_ms(date: &str) -> Option<i64> {
    // The one form that is generated: `Sun, 06 Nov 1994 08:49:37 GMT`.
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut parts = date.split(' ').skip(1);
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let time = parts.next()?;
    let month = MONTHS.find(month)? / 3 + 1;
    let written: Timestamp = format!("{year}-{month:02}-{day}T{time}Z").parse().ok()?;
    Some(clock::now().since(written))
}

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The edge was not reached, or fell silent.
    #[error("the edge does not answer: {}", crate::host::describe(.0))]
    Unreachable(#[from] reqwest::Error),
    /// It answered, but not 2xx.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// It answered 2xx with a body that is none of ours.
    #[error("the answer is not one of a CodeCrafter edge: {0}")]
    Answer(String),
    /// The request could not be made.
    #[error("the request cannot be made: {0}")]
    Own(String),
}

impl CallError {
    /// The edge's code, if it was the edge that refused and not something on the way to it.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(refusal) => refusal.problem.as_ref().map(|problem| problem.code),
            _ => None,
        }
    }

    /// Whether the edge will say the same of the same body whenever it is asked.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self.code(),
            Some(
                ErrorCode::MalformedJson
                    | ErrorCode::ValidationFailed
                    | ErrorCode::BodyTooLarge
                    | ErrorCode::ExecutionNotFound
            )
        )
    }
}

/// An answer that was a refusal.
#[derive(Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// What the edge said; `None` when the answer came from something else, such as a proxy.
    pub problem: Option<Problem>,
    /// How far the host's clock is ahead of the answer's `Date`, in milliseconds.
    pub skew_ms: Option<i64>,
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(problem) = &self.problem else {
            return write!(f, "HTTP {}, and not from a CodeCrafter edge", self.status);
        };
        write!(f, "{} ({})", problem.title, problem.code.as_str())?;
        if let Some(detail) = &problem.detail {
            write!(f, " {detail}")?;
        }
        match problem.code {
            ErrorCode::ExecutorUnknown => f.write_str(
                " This host was revoked, or its credentials are of another deployment. It keeps \
                 what it has; to go on, run `executor-host join` with `--again` and start it anew.",
            ),
            ErrorCode::TokenExpired | ErrorCode::TokenInvalid => {
                f.write_str(" Is this host's clock right?")?;
                match self.skew_ms.map(|skew| skew / 1000) {
                    // Rounded by a minute, so that the same trouble is told once.
                    Some(skew) if skew.abs() >= 30 => {
                        let (minutes, side) = ((skew.abs() + 30) / 60, side(skew));
                        write!(
                            f,
                            " It is about {minutes} min {side} the edge's; let NTP set it."
                        )
                    }
                    _ => Ok(()),
                }
            }
            ErrorCode::ProtocolUnsupported => f.write_str(" Is executor-host up to date?"),
            _ => Ok(()),
        }
    }
}

const fn side(skew: i64) -> &'static str {
    if skew > 0 { "ahead of" } else { "behind" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skew_is_the_distance_to_the_date_of_the_answer() {
        let ahead = skew_ms("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let expected = clock::now().since("1994-11-06T08:49:37.000Z".parse().unwrap());
        assert!((expected - ahead).abs() < 60_000);
        assert_eq!(skew_ms("yesterday"), None);
    }

    fn refused(code: ErrorCode, skew_ms: i64) -> CallError {
        let problem = Problem {
            kind: String::new(),
            title: code.title().into(),
            status: code.status(),
            detail: None,
            code,
            request_id: None,
            errors: Vec::new(),
        };
        let refusal = Refusal {
            status: code.status(),
            problem: Some(problem),
            skew_ms: Some(skew_ms),
        };
        CallError::Refused(Box::new(refusal))
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let unknown = refused(ErrorCode::ExecutorUnknown, 0).to_string();
        for word in ["executor-host join", "--again", "start it anew"] {
            assert!(unknown.contains(word), "{unknown}");
        }
        let expired = refused(ErrorCode::TokenExpired, -300_000).to_string();
        assert!(expired.contains("5 min behind the edge's"), "{expired}");
        let invalid = refused(ErrorCode::TokenInvalid, 1_000).to_string();
        assert!(!invalid.contains(" min "), "{invalid}");
    }

    #[test]
    fn only_what_the_edge_itself_refuses_for_good_is_final() {
        assert!(refused(ErrorCode::ValidationFailed, 0).is_final());
        assert!(!refused(ErrorCode::Internal, 0).is_final());
        assert!(!refused(ErrorCode::ExecutorUnknown, 0).is_final());
        let (status, problem, skew_ms) = (422, None, None);
        let proxy = Refusal {
            status,
            problem,
            skew_ms,
        };
        assert!(!CallError::Refused(Box::new(proxy)).is_final());
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let loopback = |url: &str| is_loopback(&url.parse().unwrap());
        assert!(loopback("http://127.0.0.1:1") && loopback("http://[::1]:1"));
        assert!(loopback("http://localhost"));
        assert!(!loopback("http://192.168.0.1") && !loopback("https://localhost.example"));
    }
}
