//! The flood of hostile frames inside of WebAssembly, called by `tests/flood/flood.mjs`. Numbers
//! only, so that nothing of JavaScript is needed to call it.

use std::cell::RefCell;

use worker::wasm_bindgen;
use worker::wasm_bindgen::prelude::wasm_bindgen;

use crate::probes::{Counts, Stage, flood};

thread_local! {
    static COUNTS: RefCell<Counts> = RefCell::default();
}

/// Floods one more room; gives how many frames were sent so far.
#[wasm_bindgen(js_name = floodRoom)]
pub fn flood_room(seed: u32) -> f64 {
    let of_room = flood(u64::from(seed));
    COUNTS.with_borrow_mut(|counts| {
        counts.add(&of_room);
        counts.total() as f64
    })
}

/// How many frames got to a stage and no further, by its number; −1 if there is none.
#[wasm_bindgen(js_name = floodCount)]
pub fn flood_count(stage: u32) -> f64 {
    let stage = usize::try_from(stage).ok();
    let stage = stage.and_then(|stage| Stage::ALL.get(stage));
    COUNTS.with_borrow(|counts| stage.map_or(-1.0, |stage| counts.of(*stage) as f64))
}

/// Whether what was sent proves anything.
#[wasm_bindgen(js_name = floodProves)]
pub fn flood_proves() -> bool {
    COUNTS.with_borrow(|counts| counts.prove().is_ok())
}
