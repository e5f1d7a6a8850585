//! [`Signals`] between the events of one Durable Object.
//!
//! All events of an object run in one isolate and interleave where they wait, so plain memory
//! carries the wake-up. Nothing here survives the object, and nothing has to: who waits is gone
//! then, too.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::{BoxFuture, select};
use worker::Delay;
use worker::send::SendFuture;

use crate::ports::{Listener, Signals};

/// The signals of one Durable Object.
#[derive(Default)]
pub struct ObjectSignals {
    topics: Topics,
}

/// Who listens, by topic. A topic without listeners has no entry.
type Topics = Arc<Mutex<HashMap<String, Vec<Arc<Slot>>>>>;

/// One listener's side of the wake-up.
#[derive(Default)]
struct Slot(Mutex<State>);

#[derive(Default)]
struct State {
    notified: bool,
    waker: Option<Waker>,
}

impl Signals for ObjectSignals {
    fn notify(&self, topic: &str) {
        // Taken out first, because a waker is foreign code.
        let listeners = lock(&self.topics).remove(topic).unwrap_or_default();
        for slot in listeners {
            let waker = {
                let mut state = lock(&slot.0);
                state.notified = true;
                state.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn listen(&self, topic: &str) -> Box<dyn Listener> {
        let slot = Arc::new(Slot::default());
        lock(&self.topics)
            .entry(topic.to_owned())
            .or_default()
            .push(slot.clone());
        Box::new(Listening {
            slot,
            topic: topic.to_owned(),
            topics: self.topics.clone(),
        })
    }
}

struct Listening {
    slot: Arc<Slot>,
    topic: String,
    topics: Topics,
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

impl Future for Listening {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.slot.0);
        if state.notified {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut topics = lock(&self.topics);
        if let Some(listeners) = topics.get_mut(&self.topic) {
            listeners.retain(|slot| !Arc::ptr_eq(slot, &self.slot));
            if listeners.is_empty() {
                topics.remove(&self.topic);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
