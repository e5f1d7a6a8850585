//! The edge's side of a link (X1–X3, X6): enrolled executors, leases, and the reports that come
//! back. Every request but the first is signed with the executor's own key.

pub mod calls;
pub mod routes;
pub mod store;
