//! Clients of a relay for Yjs documents, as cheap as they can be: what is measured with them is the
//! server and not the clients, although both run on the same machine.
//!
//! They speak the protocol of y-websocket, or Hocuspocus' dialect of it, to whichever server it is;
//! they keep no document, and read from an update only how far somebody's history has come.

pub mod edits;
pub mod idle;
pub mod joining;
pub mod many_rooms;
pub mod one_room;
pub mod peer;
pub mod server;
pub mod socket;
pub mod times;
