//! The executor-host: takes jobs from a queue and runs untrusted programs in Docker.
//!
//! Modules in the order in which a job meets them: [`link`] leases it from the edge, [`queue`]
//! keeps it, [`host`] admits it and sees it through, [`sandbox`] is what it runs in, [`docker`]
//! is the real one. Reports go back the same way. [`serve`] joins them, [`shutdown`] ends them;
//! [`one_run`] needs a sandbox only, and at a terminal a [`keyboard`]; [`doctor`] looks at the host itself;
//! [`health`] and [`metrics`] tell operators how it goes;
//! [`crew`] is how a link knows its workers where hosts share a queue.

pub mod link;

pub mod queue;

pub mod crew;

pub mod host;
pub mod languages;

pub mod sandbox;

pub mod docker;

pub mod doctor;
pub mod drain;
pub mod health;
pub mod keyboard;
pub mod metrics;
pub mod one_run;
pub mod serve;
pub mod shutdown;
pub mod spans;

pub mod config;

pub mod clock;
pub mod logs;
pub mod retry;
