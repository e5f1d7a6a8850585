//! What a person is told wherever they are, and who is online.
//!
//! Each person is a shard of its own, [`Shard::Person`](crate::ports::Shard::Person), which keeps a
//! bounded, numbered log ([`store`]) and tells every open client of the person ([`shard`]). Whoever
//! brings something about writes a message into the Directory's outbox ([`telling`]), in the transaction
//! that makes it true, so that none is lost and nobody waits for another person's shard to answer
//! well (E9).
//!
//! ```text
//!   Directory ─ outbox ─▶ Person: log ─▶ sockets (`cloudflare/person.rs`)
//!       ▲                    │     └───▶ event streams ([`events`])
//!       └── who is online ◀──┘
//! ```
//!
//! [`online`] is the Directory's side: feed tokens, and leases of who is online. [`routes`] are what
//! clients call.

pub mod calls;
pub mod events;
mod listeners;
pub mod mentions;
pub mod note;
pub mod online;
pub mod questions;
pub mod routes;
pub mod shard;
pub mod store;
pub mod telling;
#[cfg(test)]
mod tests;
pub mod visitor;
