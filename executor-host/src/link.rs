//! The link dials the edge and is never dialled (X1): it enrols once, then leases jobs into the
//! queue and carries reports back. It knows nothing of how a job is run.
//!
//! ```text
//! lease.rs    edge ─ leases ─▶ queue, confirmed ─▶ acknowledged
//!             edge ─ control messages ─▶ queue, passed on ─▶ named in the next request
//! report.rs   live reports, then stored results ─▶ edge ─▶ confirmed in the queue
//! ```
//!
//! Both go on for ever: an edge that does not answer is asked again, a little later each time.

pub mod client;
pub mod credentials;
pub mod enrol;
mod lease;
mod report;

pub use client::Client;
pub use credentials::Credentials;
pub use lease::Leasing;
pub use report::Reporting;
