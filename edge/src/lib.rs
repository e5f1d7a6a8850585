//! The edge: accounts, sessions, rooms and executions, compiled to WebAssembly. One core runs on
//! Cloudflare Workers and on Spin; the target picks the adapter.
//!
//! Modules in the order in which a request meets them.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod ports;
pub mod room;

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod cloudflare;
