//! Rooms without sockets (R6): frames come by `POST` and go by server-sent events, and between two
//! requests a room is in the database only.
//!
//! ```text
//!   POST  ─▶ [`rooms`]: take the room from the database, step it, and put back in one transaction
//!            its changes, itself, and a numbered row for each frame that others are to get
//!   GET   ─▶ [`events`]: everything after the last number that this client has, as it comes
//! ```
//!
//! What a client asks for itself is answered in its `POST`. A stream that ends is taken up where it
//! was, by the number of the last event. One poller reads for all streams of a room in an instance
//! ([`hub`]), and does what is due in the room.

mod events;
mod frames;
mod hub;
mod poll;
mod rooms;
mod store;
#[cfg(test)]
mod tests;

pub use events::{Resume, STREAM_MS, refused};
pub use frames::{joined, split};
pub use rooms::{NotPosted, Posted, StreamedRooms};
