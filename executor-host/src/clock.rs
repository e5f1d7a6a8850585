//! The host's time of day and randomness, in the types of the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use codecrafter_shared::id::{AttemptId, ExecutionId};
use codecrafter_shared::time::Timestamp;

/// Now, by the host's clock; 1970 if it stands before that.
#[must_use]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// An id for one start of a job, which cannot be guessed from any other.
///
/// # Panics
///
/// When the operating system gives no randomness: then nothing here can be done safely.
#[must_use]
pub fn attempt_id() -> AttemptId {
    AttemptId::random(random())
}

/// An id for an execution that no edge knows of.
///
/// # Panics
///
/// When the operating system gives no randomness.
#[must_use]
pub fn execution_id() -> ExecutionId {
    ExecutionId::at(now(), random())
}

/// A number from 0 up to and without 1; for jitter, not for secrets.
#[must_use]
pub fn fraction() -> f64 {
    f64::from(u32::from_le_bytes(random())) / (f64::from(u32::MAX) + 1.0)
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives no randomness");
    bytes
}
