//! `cargo run -p codecrafter-edge --features probes --example flood -- [FRAMES] [SEED]`: rooms with
//! a hostile client in each, until so many frames were sent. Prints how far they got, and the seed
//! of a room that fails.

#![allow(
    clippy::disallowed_methods,
    reason = "how long it takes is measured outside of the core"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use codecrafter_edge::probes::{Counts, Stage, flood};

/// No room of a few dozen frames takes as long, on the slowest machine.
const HANGS: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| match arguments.next() {
        Some(text) => text.parse().expect("a number"),
        None => default,
    };
    let (frames, first) = (number(1_000_000), number(1));
    let started = Instant::now();
    let mut counts = Counts::default();
    let mut rooms = 0;
    while counts.total() < frames {
        let seed = first + rooms;
        let room = Instant::now();
        let Ok(of_room) = std::panic::catch_unwind(|| flood(seed)) else {
            eprintln!("seed {seed}");
            return ExitCode::FAILURE;
        };
        if room.elapsed() > HANGS {
            eprintln!("seed {seed} takes {} s", room.elapsed().as_secs());
            return ExitCode::FAILURE;
        }
        counts.add(&of_room);
        rooms += 1;
    }
    println!("frames: {}", counts.total());
    println!("rooms: {rooms}, seeds from {first}");
    println!("seconds: {}", started.elapsed().as_secs());
    for stage in Stage::ALL {
        println!("{stage}: {}", counts.of(stage));
    }
    match counts.prove() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
