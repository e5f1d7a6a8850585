//! What follows from the facts. Pure.

mod around;
mod engine;
mod inside;
mod machine;
mod runc;

pub(super) use around::{broker, edge, language_table, settings, state};
pub(super) use engine::{engine, socket};
pub(super) use inside::{KILL_MAX, images, probes};
pub(super) use machine::machine;

/// Bytes as people say them.
fn size(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 30;
    if tenths >= 10 {
        format!("{}.{} GiB", tenths / 10, tenths % 10)
    } else {
        format!("{} MiB", bytes >> 20)
    }
}
