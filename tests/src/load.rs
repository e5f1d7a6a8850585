//! A closed loop of HTTP requests: each connection sends the next request when it has the whole
//! answer to the one before. So a server is never asked for more than it answers, and what is
//! measured is its answer and not a queue of the driver's.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What one connection sends again and again.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET` or `POST`.
    pub method: http::Method,
    /// The path, with its query.
    pub path: String,
    /// The access tokens that its requests carry, one after the other and then the first again;
    /// none if they carry none.
    pub bearers: Vec<String>,
    /// The JSON body, if the request has one.
    pub body: Option<Bytes>,
    /// The only status that counts as an answer.
    pub status: u16,
}

/// How long each answer took.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    /// In microseconds, sorted.
    micros: Vec<u64>,
    /// How long the whole took.
    pub elapsed: Duration,
}

impl Latencies {
    /// How many answers came.
    #[must_use]
    pub fn count(&self) -> usize {
        self.micros.len()
    }

    /// Answers per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.micros.len() as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// The time, in milliseconds, within which that share of the answers came; 0 without answers.
    #[must_use]
    pub fn percentile_ms(&self, share: f64) -> f64 {
        let last = self.micros.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length"
        )]
        let index = (last as f64 * share).round() as usize;
        self.micros
            .get(index)
            .map_or(0.0, |micros| *micros as f64 / 1_000.0)
    }
}

/// Sends each of `asked` on a connection of its own, over and over for `time`.
///
/// # Errors
/// If a connection breaks, or an answer has another status than it should: a server that refuses
/// is not fast.
pub async fn closed_loop(authority: &str, asked: &[Asked], time: Duration) -> Result<Latencies> {
    let mut connections = Vec::with_capacity(asked.len());
    for asked in asked {
        connections.push((connect(authority).await?, asked.clone()));
    }
    let begun = Instant::now();
    let mut loops = JoinSet::new();
    for (sender, asked) in connections {
        let authority = authority.to_owned();
        loops.spawn(async move { ask_until(sender, &authority, &asked, begun + time).await });
    }
    let mut all = Latencies::default();
    while let Some(micros) = loops.join_next().await {
        all.micros.extend(micros??);
    }
    all.elapsed = begun.elapsed();
    all.micros.sort_unstable();
    Ok(all)
}

async fn connect(authority: &str) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(authority)
        .await
        .with_context(|| authority.to_owned())?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn ask_until(
    mut sender: SendRequest<Full<Bytes>>,
    authority: &str,
    asked: &Asked,
    until: Instant,
) -> Result<Vec<u64>> {
    let mut micros = Vec::new();
    while Instant::now() < until {
        let sent = Instant::now();
        sender.ready().await?;
        let bearer = asked.bearers.get(micros.len() % asked.bearers.len().max(1));
        let request = request(authority, asked, bearer)?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if status != asked.status {
            bail!(
                "{} {} answered {status}: {}",
                asked.method,
                asked.path,
                String::from_utf8_lossy(&body)
            );
        }
        micros.push(u64::try_from(sent.elapsed().as_micros())?);
    }
    Ok(micros)
}

fn request(
    authority: &str,
    asked: &Asked,
    bearer: Option<&String>,
) -> Result<Request<Full<Bytes>>> {
    let mut request = Request::builder()
        .method(&asked.method)
        .uri(&asked.path)
        .header("host", authority);
    if let Some(bearer) = bearer {
        request = request.header("authorization", format!("Bearer {bearer}"));
    }
    if asked.body.is_some() {
        request = request.header("content-type", "application/json");
    }
    Ok(request.body(Full::new(asked.body.clone().unwrap_or_default()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let latencies = Latencies {
            micros: (1..=101).map(|n| n * 1_000).collect(),
            elapsed: Duration::from_secs(2),
        };
        assert!((latencies.percentile_ms(0.5) - 51.0).abs() < 1e-9);
        assert!((latencies.percentile_ms(0.99) - 100.0).abs() < 1e-9);
        assert!((latencies.per_second() - 50.5).abs() < 1e-9);
        assert!(Latencies::default().percentile_ms(0.5).abs() < 1e-9);
    }
}
