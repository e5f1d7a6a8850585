//! A message in this process's hands.

use futures_util::FutureExt as _;
use lapin::Acker;
use lapin::message;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use lapin::types::AMQPValue;

use super::publish::DELIVERIES;
use super::trouble::Trouble;

/// Counts as a delivery; from RabbitMQ 4.3 on, nothing else that gives a message back does.
const GIVE_BACK: BasicRejectOptions = BasicRejectOptions { requeue: true };
/// Counts as a delivery before RabbitMQ 4.3.
const RETURN: BasicNackOptions = BasicNackOptions {
    multiple: false,
    requeue: true,
};

/// A message that the broker has handed to this process alone. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) body: Vec<u8>,
    /// Tells it from any other that was ever published; empty for one that we did not.
    pub(super) id: String,
    /// How often it was handed out, this time included.
    pub(super) count: u32,
    acker: Option<Acker>,
}

impl Message {
    pub(super) fn new(delivery: message::Delivery) -> Self {
        let headers = delivery.properties.headers().as_ref();
        let number = |name| {
            let value = headers.and_then(|headers| headers.inner().get(name));
            value.and_then(number).unwrap_or(0)
        };
        // The broker counts what came back by itself, the header what was sent anew.
        let before = number("x-delivery-count").saturating_add(number(DELIVERIES));
        let id = delivery.properties.message_id().as_ref();
        Self {
            id: id.map_or_else(String::new, |id| id.as_str().to_owned()),
            count: before.saturating_add(1),
            body: delivery.data,
            acker: Some(delivery.acker),
        }
    }

    /// Removes it from the broker. That the broker has heard of it is not known: AMQP has no
    /// answer to an acknowledgement.
    pub(super) async fn ack(mut self) -> Result<(), Trouble> {
        let Some(acker) = self.acker.take() else {
            return Ok(());
        };
        settled(acker.ack(BasicAckOptions::default()).await)
    }

    /// Gives it back, to be handed out again at once, in its old place.
    pub(super) async fn give_back(mut self) -> Result<(), Trouble> {
        let Some(acker) = self.acker.take() else {
            return Ok(());
        };
        settled(acker.reject(GIVE_BACK).await)
    }

    /// Gives it back although nobody has seen it, without waiting.
    pub(super) fn unseen(mut self) {
        if let Some(acker) = self.acker.take() {
            let _ = acker.nack(RETURN).now_or_never();
        }
    }

    /// Whether it can still be settled: not once its connection or channel has gone.
    pub(super) fn is_ours(&self) -> bool {
        self.acker.as_ref().is_some_and(Acker::usable)
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        if let Some(acker) = self.acker.take() {
            // The first poll hands it to the connection; there is no answer to wait for.
            let _ = acker.reject(GIVE_BACK).now_or_never();
        }
    }
}

fn settled(result: lapin::Result<bool>) -> Result<(), Trouble> {
    match result {
        Ok(true) => Ok(()),
        Ok(false) => Err(Trouble::Lost),
        Err(error) => Err(error.into()),
    }
}

/// A header's number, in whichever of the sizes it was sent.
fn number(value: &AMQPValue) -> Option<u32> {
    let wide = match *value {
        AMQPValue::ShortShortInt(number) => number.into(),
        AMQPValue::ShortShortUInt(number) => number.into(),
        AMQPValue::ShortInt(number) => number.into(),
        AMQPValue::ShortUInt(number) => number.into(),
        AMQPValue::LongInt(number) => number.into(),
        AMQPValue::LongUInt(number) => number.into(),
        AMQPValue::LongLongInt(number) => number,
        _ => return None,
    };
    u32::try_from(wide).ok()
}
