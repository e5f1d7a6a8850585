//! [`Signals`] between the events of one Durable Object. They all run in one isolate and
//! interleave where they wait, so plain memory carries the wake-up.

use std::time::Duration;

use futures_util::future::{BoxFuture, select};
use worker::Delay;
use worker::send::SendFuture;

use crate::ports::wake::{Listening, Wakes};
use crate::ports::{Listener, Signals};

/// The signals of one Durable Object.
#[derive(Default)]
pub struct ObjectSignals(Wakes);

impl Signals for ObjectSignals {
    fn notify(&self, topic: &str) {
        self.0.notify(topic);
    }

    fn notify_one(&self, topic: &str) {
        self.0.notify_one(topic);
    }

    fn listen(&self, topics: &[String]) -> Box<dyn Listener> {
        Box::new(self.0.listen(topics))
    }
}

impl Listener for Listening {
    fn wait(self: Box<Self>, at_most_ms: u32) -> BoxFuture<'static, ()> {
        let delay = Delay::from(Duration::from_millis(at_most_ms.into()));
        let delay = SendFuture::new(delay);
        Box::pin(async move {
            select(*self, delay).await;
        })
    }
}
