//! What the edge does for a trace, told to a collector of the operator's choice (`CODECRAFTER_OTLP`);
//! to nobody unless one is named.
//!
//! Which requests are told is decided where they are answered ([`crate::front::trace`],
//! [`crate::executors::routes`]). Here is what they have in common: spans are sent after the
//! answer, and dropped if the collector is away or too slow. No answer waits for it, or fails
//! because of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use codecrafter_shared::otlp::{self, Span};
use codecrafter_shared::time::Timestamp;
use codecrafter_shared::trace::TraceParent;

use crate::ports::{Collector, Rng};

/// Posts that may be under way at a time; the spans of one more are dropped.
const UNDER_WAY_MAX: u32 = 32;

const SERVICE: otlp::Service = otlp::Service {
    name: "codecrafter-edge",
    version: env!("CARGO_PKG_VERSION"),
};

/// Sends spans.
pub struct Exporter {
    collector: Arc<dyn Collector>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    under_way: AtomicU32,
    /// Whether it was said that spans do not arrive.
    away: AtomicBool,
}

impl Exporter {
    /// Sends spans to `collector`.
    pub fn new(collector: Arc<dyn Collector>) -> Self {
        Self {
            collector,
            state: Arc::default(),
        }
    }

    /// Sends `spans` once the present request has its answer, all in one piece, or drops them.
    pub fn send(&self, spans: &[Span]) {
        if spans.is_empty() {
            return;
        }
        let Some(place) = Place::take(&self.state) else {
            self.state.failed("too many posts are under way");
            return;
        };
        let body = otlp::request(SERVICE, spans).to_string().into_bytes();
        let told = move |posted: Result<(), String>| match posted {
            Ok(()) => place.0.succeeded(),
            Err(why) => place.0.failed(&why),
        };
        self.collector.post_later(body, Box::new(told));
    }
}

/// A post that is under way, until this is dropped.
struct Place(Arc<State>);

impl Place {
    fn take(state: &Arc<State>) -> Option<Self> {
        // Counted first, so that two that come at once do not both find the last place.
        let place = Self(state.clone());
        (state.under_way.fetch_add(1, Ordering::Relaxed) < UNDER_WAY_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    /// Said once, not for every post.
    fn failed(&self, why: &str) {
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(reason = %why, "cannot send spans");
        }
    }

    fn succeeded(&self) {
        if self.away.swap(false, Ordering::Relaxed) {
            tracing::info!("can send spans again");
        }
    }
}

/// A span that begins below `parent`.
#[must_use]
pub fn below(parent: TraceParent, rng: &dyn Rng) -> TraceParent {
    parent.with_parent(u64::from_be_bytes(rng.bytes()))
}

/// A time as spans have it.
#[must_use]
pub fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_millis())
        .unwrap_or(0)
        .saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::ports::Told;

    /// Keeps what it is given, and whoever wants to know.
    #[derive(Default)]
    struct Held(Mutex<Vec<Told>>);

    impl Collector for Held {
        fn post_later(&self, _: Vec<u8>, told: Told) {
            self.0.lock().unwrap().push(told);
        }
    }

    fn span() -> Span {
        Span {
            context: TraceParent::new(1, 2),
            parent: None,
            name: "a",
            server: true,
            from_ns: 1,
            to_ns: 2,
            attributes: Vec::new(),
            error: None,
        }
    }

    #[test]
    fn what_a_collector_does_not_take_in_time_is_dropped_and_makes_room() {
        let held = Arc::new(Held::default());
        let exporter = Exporter::new(held.clone());
        exporter.send(&[]);
        for _ in 0..UNDER_WAY_MAX + 10 {
            exporter.send(&[span()]);
        }
        let mut under_way = std::mem::take(&mut *held.0.lock().unwrap());
        assert_eq!(under_way.len(), UNDER_WAY_MAX as usize);
        // One has failed, one has arrived, of one nobody will ever hear.
        under_way.pop().unwrap()(Err("away".into()));
        under_way.pop().unwrap()(Ok(()));
        drop(under_way.pop());
        for _ in 0..10 {
            exporter.send(&[span()]);
        }
        assert_eq!(held.0.lock().unwrap().len(), 3);
    }
}
