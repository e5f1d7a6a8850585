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

pub mod config;
pub mod front;
pub mod router;

pub mod accounts;
pub mod chat;
pub mod executions;
pub mod executors;
pub mod history;
pub mod notifications;
pub mod sessions;
pub mod versions;

pub mod directory;
pub mod limits;
pub mod room;

pub mod error;
pub mod log;
pub mod password;
pub mod ports;
pub mod shard;
pub mod spans;
pub mod token;

#[cfg(any(test, feature = "probes"))]
pub mod probes;

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod cloudflare;

#[cfg(target_os = "wasi")]
mod spin;

#[cfg(not(target_family = "wasm"))]
pub mod native;

#[cfg(all(test, not(target_family = "wasm")))]
mod hostile;
