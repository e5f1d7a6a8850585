//! The edge on Cloudflare Workers and workerd: the only code that names `worker`. It translates,
//! and decides nothing that another platform would have to decide again.
//!
//! A request meets [`entry`], then the core's front. Whatever lasts is in a Durable Object:
//! [`directory`], [`room`] with [`live_room`], [`person`], [`limits`], and [`hasher`], which only
//! computes. The rest are
//! the ports.

mod entry;
mod log;
mod settings;

mod directory;
mod hasher;
mod limits;
mod live_room;
mod person;
mod room;

mod alarm;
mod assets;
mod cache;
mod clock;
mod collector;
mod db;
mod object;
mod rooms;
mod shards;
mod signals;

#[cfg(feature = "probes")]
pub mod flood;
mod glue;
mod js;
