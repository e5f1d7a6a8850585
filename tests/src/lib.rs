//! Promises that are kept on every platform, entered where users enter: over HTTP.
//!
//! [`client`] is a typed client, [`link`] plays an executor's link, [`load`] drives a route for a
//! benchmark, [`conformance`] holds the promises. They run on a [`native`] deployment in `cargo
//! test`, and on workerd and the Spin component by `cargo xtask test`; the names are the same
//! everywhere.

pub mod client;
pub mod conformance;
pub mod link;
pub mod load;
pub mod native;
pub mod openapi;
pub mod world;
