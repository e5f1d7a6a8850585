//! `cargo run --release -p codecrafter-edge --features probes --example work`: how long one update
//! can keep a room busy. For each way to try it, the largest that the gate admits is looked for, and
//! it and one that is ten times as large are timed.

#![allow(
    clippy::disallowed_methods,
    reason = "how long it takes is measured outside of the core"
)]

use std::time::{Duration, Instant};

use codecrafter_edge::probes::{SHAPES, Shape, admits};

fn main() {
    for (name, shape) in SHAPES {
        let (mut admitted, mut refused) = (1_u64, 65_536);
        while refused - admitted > 1 {
            let n = admitted.midpoint(refused);
            if timed(shape, n).0 {
                admitted = n;
            } else {
                refused = n;
            }
        }
        let takes = timed(shape, admitted).1;
        let refusal = timed(shape, (admitted * 10).min(65_535)).1;
        println!(
            "{name}: {admitted} structs in {} ms; ten times as many are refused in {} ms",
            takes.as_millis(),
            refusal.as_millis(),
        );
    }
}

/// Whether it is admitted, and how long that takes.
fn timed(shape: Shape, n: u64) -> (bool, Duration) {
    let mut takes = Duration::ZERO;
    let admitted = admits(shape, n, |integrate| {
        let started = Instant::now();
        integrate();
        takes = started.elapsed();
    });
    (admitted, takes)
}
