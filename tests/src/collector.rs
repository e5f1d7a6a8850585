//! A little collector of OpenTelemetry: it keeps what it is sent, and may be held up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use codecrafter_shared::otlp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

/// A safety limit, for spans that never come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What listens at an address. Clones are the same.
#[derive(Debug, Clone)]
pub struct Collector {
    spans: Arc<watch::Sender<Vec<Value>>>,
    held: Arc<watch::Sender<bool>>,
}

impl Collector {
    /// Listens at `address` for as long as the runtime lives.
    ///
    /// # Errors
    /// If somebody else does.
    pub async fn listen(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await.context("the collector")?;
        let collector = Self {
            spans: Arc::new(watch::Sender::default()),
            held: Arc::new(watch::Sender::default()),
        };
        let routes = Router::new()
            .route(otlp::PATH, post(take))
            .with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(collector)
    }

    /// Answers nobody from now on, or everybody again. What is sent is kept all the same.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// Waits for a span that is as `wanted` says.
    ///
    /// # Errors
    /// If none comes.
    pub async fn span(&self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut spans = self.spans.subscribe();
        let is_there = |spans: &Vec<Value>| spans.iter().any(&wanted);
        let found = timeout(PATIENCE, spans.wait_for(is_there)).await;
        let found = found.context("the span never comes")??;
        let found = found.iter().find(|span| wanted(span));
        found.cloned().context("no span")
    }
}

async fn take(State(collector): State<Collector>, Json(body): Json<Value>) -> StatusCode {
    let Some(Value::Array(new)) = body.pointer("/resourceSpans/0/scopeSpans/0/spans") else {
        return StatusCode::BAD_REQUEST;
    };
    let spans = |spans: &mut Vec<Value>| spans.extend(new.iter().cloned());
    collector.spans.send_modify(spans);
    let mut held = collector.held.subscribe();
    // Its sender is in this state.
    let _ = held.wait_for(|held| !held).await;
    StatusCode::OK
}

/// What a span says under `key`, if that is a text.
#[must_use]
pub fn attribute<'a>(span: &'a Value, key: &str) -> Option<&'a str> {
    let attributes = span["attributes"].as_array()?;
    let attribute = attributes
        .iter()
        .find(|attribute| attribute["key"] == key)?;
    attribute["value"]["stringValue"].as_str()
}
