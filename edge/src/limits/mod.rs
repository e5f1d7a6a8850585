//! Rate limits: how often somebody may ask for something.
//!
//! [`policy`] is the table of who may do what how often, and [`plan`] says which of it a request
//! falls under; [`address`] says where a request comes from. [`rate`] and [`slow_down`] are the
//! arithmetic, with the time passed in. Who has asked how often is kept by [`shard`], which knows
//! nothing but keys and numbers: the keys are hashes, so neither an address nor a name is stored.
//! [`refusals`] is what an instance of the front remembers by itself, so that a flood is answered
//! without asking anybody; [`tally`] is how many requests were refused, for operators.
//!
//! What a limit does to a request is not decided here: that is [`crate::front::limit`].

pub mod address;
pub mod calls;
mod counters;
pub mod plan;
pub mod policy;
pub mod rate;
pub mod refusals;
pub mod shard;
pub mod slow_down;
pub mod tally;

/// Shards among which keys are spread by their hash. A fixed number, so that each is awake where
/// there is traffic at all, and keeps in memory what it would otherwise have to write.
pub const SHARDS: u8 = 16;

/// Microseconds: fine enough that rounding the interval of a rate changes nothing that counts.
pub type Micros = i64;

/// An instant as rates count it.
#[must_use]
pub const fn micros(at: codecrafter_shared::time::Timestamp) -> Micros {
    at.as_millis().saturating_mul(1_000)
}

/// Whole seconds that are not shorter than `wait`.
#[must_use]
pub fn seconds(wait: Micros) -> u32 {
    let seconds = wait.max(0).saturating_add(999_999) / 1_000_000;
    u32::try_from(seconds).unwrap_or(u32::MAX)
}
