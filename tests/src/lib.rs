//! Promises that are kept on every platform, entered where users enter: over HTTP.
//!
//! [`client`] is a typed client, [`link`] plays an executor's link, [`collector`] takes spans,
//! [`load`], [`relay`] and [`bell`] drive routes, rooms and executions for benchmarks,
//! [`conformance`] holds the promises. They run on a [`native`] deployment in `cargo test`, and on workerd and the Spin component by `cargo xtask test`; the
//! names are the same everywhere.

pub mod bell;
pub mod client;
pub mod collector;
pub mod conformance;
pub mod link;
pub mod load;
pub mod native;
pub mod openapi;
pub mod relay;
pub mod world;
