//! [`Collector`]: outgoing HTTP, in the part of a request's task that follows its answer. The
//! manifest has to allow it (`allowed_outbound_hosts`).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::header::CONTENT_TYPE;
use spin_sdk::http::{FullBody, send};
use spin_sdk::time::sleep;
use spin_sdk::wasip3::spawn;

use crate::ports::{Collector, Told};

/// How long the collector may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A collector at an address.
pub struct OutgoingHttp(String);

impl OutgoingHttp {
    /// The collector at `address`.
    pub fn to(address: &Arc<str>) -> Self {
        Self(format!("{address}{}", codecrafter_shared::otlp::PATH))
    }
}

impl Collector for OutgoingHttp {
    fn post_later(&self, body: Vec<u8>, told: Told) {
        let url = self.0.clone();
        spawn(async move { told(post(&url, body).await) });
    }
}

async fn post(url: &str, body: Vec<u8>) -> Result<(), String> {
    let request = http::Request::post(url)
        .header(CONTENT_TYPE, "application/json")
        .body(FullBody::new(Bytes::from(body)))
        .map_err(|error| error.to_string())?;
    match select(pin!(send(request)), pin!(sleep(ANSWER_MAX))).await {
        Either::Left((Ok(answer), _)) if answer.status().is_success() => Ok(()),
        Either::Left((Ok(answer), _)) => Err(format!("it answered {}", answer.status())),
        Either::Left((Err(error), _)) => Err(error.to_string()),
        Either::Right(_) => Err("it did not answer in time".to_owned()),
    }
}
