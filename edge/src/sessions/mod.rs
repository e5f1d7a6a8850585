//! Sessions and their participants (CC-SESS, CC-SAPI): metadata in the Directory, content in the
//! session's room.
//!
//! [`store`] keeps sessions, [`participants`] who is in them, [`decided`] what an admin has said about
//! who comes back, [`mod@fork`] makes one of another, [`list`] finds them, [`content`] is the way to a document without a socket. Who
//! may do what is said by [`Role`](codecrafter_shared::role::Role) alone.
//!
//! Every change of lock or membership raises the session's access version (E7) and leaves a
//! notice for the room in the outbox, in the same transaction (E9).

pub mod calls;
pub mod content;
pub mod decided;
pub mod etag;
pub mod fork;
pub mod list;
pub mod origin;
pub mod participants;
pub mod routes;
pub mod store;
pub mod validate;
