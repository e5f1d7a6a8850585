//! The room's promises, tried through its only door: inputs in, steps out.
//!
//! What the feature `probes` needs of it is built without the tests, for [`crate::probes`].
#![cfg_attr(
    not(test),
    allow(
        dead_code,
        unused_imports,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "what is tried out is to fail loudly"
    )
)]

pub mod decoders;
pub mod door;
pub mod flood;
pub mod support;
pub mod work;

#[cfg(test)]
mod access;
#[cfg(test)]
mod awareness;
#[cfg(test)]
mod converge;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod history;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod order;
#[cfg(test)]
mod pace;
#[cfg(test)]
mod quiet;
#[cfg(test)]
mod rate;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod saved;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod sync;
#[cfg(test)]
mod threats;
#[cfg(test)]
mod undo;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod worked;
#[cfg(test)]
mod write;
