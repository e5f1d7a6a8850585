//! [`Signals`] where there can be none: two requests may be in two instances, and instances share
//! no memory. Who waits looks again soon instead.

use std::time::Duration;

use futures_util::future::BoxFuture;
use spin_sdk::time::sleep;

use crate::ports::{Listener, Signals};

/// How long to wait before looking again. A result is seen half of this late on average, and
/// everybody who waits reads one indexed row as often.
const LOOK_AGAIN_MS: u32 = 200;

/// Wakes nobody.
pub struct NoSignals;

impl Signals for NoSignals {
    fn notify(&self, _: &str) {}

    fn notify_one(&self, _: &str) {}

    fn listen(&self, _: &[String]) -> Box<dyn Listener> {
        Box::new(ShortSleep)
    }
}

struct ShortSleep;

impl Listener for ShortSleep {
    fn wait(self: Box<Self>, at_most_ms: u32) -> BoxFuture<'static, ()> {
        let millis = at_most_ms.min(LOOK_AGAIN_MS);
        Box::pin(sleep(Duration::from_millis(millis.into())))
    }
}
