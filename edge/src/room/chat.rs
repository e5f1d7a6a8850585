//! What participants say to each other. Messages are rows of the room's database, stored before
//! anybody is told of them; that somebody types is told by awareness, and never stored.

pub mod shard;
pub mod store;
