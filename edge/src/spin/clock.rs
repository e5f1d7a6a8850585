//! Time and randomness of the host.

use codecrafter_shared::time::Timestamp;
use spin_sdk::wasip3::clocks::system_clock;
use spin_sdk::wasip3::random::random;

use crate::ports::{Clock, Rng};

/// The host's clock.
pub struct SpinClock;

impl Clock for SpinClock {
    fn now(&self) -> Timestamp {
        let now = system_clock::now();
        let millis = i64::from(now.nanoseconds / 1_000_000);
        Timestamp::from_millis(now.seconds.saturating_mul(1_000).saturating_add(millis))
    }
}

/// The host's cryptographic randomness.
pub struct SpinRng;

impl Rng for SpinRng {
    fn fill(&self, bytes: &mut [u8]) {
        // By words, because the call for many bytes may give fewer than were asked for.
        for chunk in bytes.chunks_mut(size_of::<u64>()) {
            let word = random::get_random_u64().to_le_bytes();
            for (byte, random) in chunk.iter_mut().zip(word) {
                *byte = random;
            }
        }
    }
}
