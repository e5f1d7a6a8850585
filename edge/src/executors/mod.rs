//! The edge's side of a link (X1–X3, X6): enrolled executors, leases, and the reports that come
//! back. Every request but the first is signed with the executor's own key. Operators list
//! executors and send them away.

pub mod calls;
pub mod controls;
pub mod lease;
pub mod operator_routes;
pub mod operators;
pub mod routes;
pub mod store;
pub mod turns;
mod versions;
