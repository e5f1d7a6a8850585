//! Plain HTTP to services of this machine: JSON there and back, and waiting until one answers.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

/// How often a service that is awaited is asked.
const ASK: Duration = Duration::from_millis(100);

/// How long one request may take: longer than the edge holds one.
const REQUEST_LIMIT: Duration = Duration::from_secs(70);

/// A client of one service.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    bearer: Option<String>,
}

impl Client {
    /// A client that has not signed in. `base` is the URL before every path.
    pub fn new(base: impl Into<String>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(REQUEST_LIMIT))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Self {
            agent: config.into(),
            base: base.into(),
            bearer: None,
        }
    }

    /// The same client, signed in.
    pub fn with_bearer(&self, token: impl Into<String>) -> Self {
        Self {
            bearer: Some(token.into()),
            ..self.clone()
        }
    }

    /// The status and body of a `GET`.
    pub fn get(&self, path: &str) -> Result<(u16, Value)> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(token) = &self.bearer {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        answer(request.call()).with_context(|| format!("GET {path}"))
    }

    /// The status and body of a `POST`.
    pub fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let mut request = self.agent.post(format!("{}{path}", self.base));
        if let Some(token) = &self.bearer {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        answer(request.send_json(body)).with_context(|| format!("POST {path}"))
    }
}

/// The body, as JSON where it is JSON and as a string where it is not.
fn answer(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<(u16, Value)> {
    let mut response = response?;
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string()?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok((status, body))
}

/// The body of an answer whose status is `wanted`; anything else is an error that shows it.
pub fn expect(wanted: u16, (status, body): (u16, Value)) -> Result<Value> {
    if status != wanted {
        bail!("answered {status} instead of {wanted}: {body}");
    }
    Ok(body)
}

/// Asks again until there is something, or until `limit` has passed; then `what` did not happen.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        let last = match ask() {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => None,
            Err(why) => Some(why),
        };
        if begun.elapsed() > limit {
            let said = format!("{what}: not within {} s", limit.as_secs());
            return Err(match last {
                Some(why) => why.context(said),
                None => anyhow!(said),
            });
        }
        thread::sleep(ASK);
    }
}
