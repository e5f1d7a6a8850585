//! The edge on Cloudflare Workers and workerd: the only code that names `worker`. It translates,
//! and decides nothing that another platform would have to decide again.
//!
//! A request meets [`entry`], then the core's front. Whatever lasts is in a Durable Object:
//! [`directory`], [`room`] with [`live_room`], and [`hasher`], which only computes. The rest are
//! the ports.

mod entry;
mod log;
mod settings;

mod directory;
mod hasher;
mod live_room;
mod room;

mod alarm;
mod assets;
mod cache;
mod clock;
mod db;
mod object;
mod rooms;
mod shards;
mod signals;

mod glue;
mod js;
