//! Messages on their way out: confirmed by the broker, or an error.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation};
use serde::Serialize;
use tokio::time::timeout;

use super::line::Kept;
use super::trouble::Trouble;

/// A broker that is short of memory or disk answers nothing until it is not.
const CONFIRM_MAX: Duration = Duration::from_secs(15);

/// `delivery_mode` of what survives a restart of the broker.
const PERSISTENT: u8 = 2;
const TRANSIENT: u8 = 1;

/// `priority` of what somebody waits for at a keyboard. A host that does not know it gathers such
/// messages like all others.
pub(super) const URGENT: u8 = 1;

/// How often a copy of a job was handed out before the copy was made.
pub(super) const DELIVERIES: &str = "codecrafter-deliveries";
/// Why a message is among the dead letters, where the broker does not say so in `x-death`.
pub(super) const REASON: &str = "codecrafter-reason";

/// What a message among the dead letters was, by [`crate::queue::letter::Kind`].
pub(super) const FROM: &str = "codecrafter-from";

/// Something to send.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    /// Empty for the exchange that knows every queue by its name.
    exchange: String,
    key: String,
    body: Vec<u8>,
    properties: BasicProperties,
}

impl Outgoing {
    /// A message that is kept in `queue`. Its id tells it from any other.
    pub(super) fn kept(queue: String, id: &str, body: Vec<u8>) -> Self {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(id.into());
        Self {
            exchange: String::new(),
            key: queue,
            body,
            properties,
        }
    }

    /// A message to everybody who listens to `exchange`.
    pub(super) fn told(exchange: String, content: &impl Serialize) -> Result<Self, Trouble> {
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(TRANSIENT);
        Ok(Self {
            exchange,
            key: String::new(),
            body: written(content)?,
            properties,
        })
    }

    /// The same for what somebody waits for, or not.
    pub(super) fn urgent(mut self, urgent: bool) -> Self {
        if urgent {
            self.properties = self.properties.with_priority(URGENT);
        }
        self
    }

    /// The same with these headers and no others.
    pub(super) fn with_headers<const N: usize>(mut self, all: [(&str, AMQPValue); N]) -> Self {
        let mut headers = FieldTable::default();
        for (name, value) in all {
            headers.insert(name.into(), value);
        }
        self.properties = self.properties.with_headers(headers);
        self
    }

    /// Sends it without waiting for anything but room in the connection.
    pub(super) async fn send(&self, channel: &Channel) -> Result<(), Trouble> {
        let (exchange, key) = ((&*self.exchange).into(), (&*self.key).into());
        let options = BasicPublishOptions::default();
        channel
            .basic_publish(exchange, key, options, &self.body, self.properties.clone())
            .await?;
        Ok(())
    }

    /// Sends it, and returns once the broker has it in a queue. It is sent even if nobody waits for
    /// it any more.
    pub(super) async fn confirmed(self, kept: &Arc<Kept>) -> Result<(), Trouble> {
        let kept = Arc::clone(kept);
        // Not in the caller's hands: a confirmation that nobody fetches is kept for ever.
        let sent = tokio::spawn(async move {
            let confirmed = async { self.confirmed_on(&kept.get().await?).await };
            let result = match timeout(CONFIRM_MAX, confirmed).await {
                Ok(Err(trouble @ (Trouble::Unconfirmed(_) | Trouble::NoQueue(_)))) => Err(trouble),
                Ok(result) => return result,
                Err(_) if kept.is_blocked().await => Err(Trouble::Blocked),
                Err(_) => Err(Trouble::Unconfirmed("")),
            };
            kept.reset().await;
            result
        });
        sent.await
            .unwrap_or(Err(Trouble::Unconfirmed(": the process is ending")))
    }

    async fn confirmed_on(&self, channel: &Channel) -> Result<(), Trouble> {
        let (exchange, key) = ((&*self.exchange).into(), (&*self.key).into());
        let options = BasicPublishOptions {
            // A queue must be there; a listener need not.
            mandatory: self.exchange.is_empty(),
            ..BasicPublishOptions::default()
        };
        let sent = channel
            .basic_publish(exchange, key, options, &self.body, self.properties.clone())
            .await?;
        match sent.await? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) => Err(Trouble::NoQueue(self.key.clone())),
            Confirmation::Nack(_) => Err(Trouble::Full(self.key.clone())),
            Confirmation::NotRequested => {
                Err(Trouble::Unconfirmed(": this channel has no confirmations"))
            }
        }
    }
}

/// `content` as the body of a message.
pub(super) fn written(content: &impl Serialize) -> Result<Vec<u8>, Trouble> {
    serde_json::to_vec(content).map_err(Trouble::Unwritable)
}
