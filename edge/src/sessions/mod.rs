//! Sessions and their participants (CC-SESS, CC-SAPI): metadata in the Directory, content in the
//! session's room.
//!
//! Every change of lock or membership raises the session's access version (E7) and leaves a
//! notice for the room in the outbox, in the same transaction (E9).

pub mod calls;
pub mod routes;
pub mod store;
pub mod validate;
