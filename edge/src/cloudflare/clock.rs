//! Time and randomness of the runtime.

use codecrafter_shared::time::Timestamp;
use worker::Date;

use crate::ports::{Clock, Rng};

/// `Date.now()`. In production it stands still between two I/O operations.
pub struct WorkerClock;

impl Clock for WorkerClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(Date::now().as_millis().try_into().unwrap_or(i64::MAX))
    }
}

/// `crypto.getRandomValues`.
pub struct WorkerRng;

impl Rng for WorkerRng {
    fn fill(&self, bytes: &mut [u8]) {
        if getrandom::fill(bytes).is_err() {
            // Cannot happen inside a request. Ending the isolate is the one safe answer: a
            // secret made of whatever `bytes` held would be worse.
            std::process::abort();
        }
    }
}
