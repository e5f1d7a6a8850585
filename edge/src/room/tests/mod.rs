//! The room's promises, tried through its only door: inputs in, steps out.

mod access;
mod awareness;
mod converge;
mod fixtures;
mod hostile;
mod runs;
mod storage;
pub mod support;
mod sync;
mod write;
