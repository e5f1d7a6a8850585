//! What becomes of a job on a host, with a real queue and a sandbox that follows orders.

mod attempts;
#[path = "../common/mod.rs"]
mod common;
mod controls;
mod offers;
mod slots;
mod world;
