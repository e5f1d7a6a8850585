//! The edge on Cloudflare Workers and workerd: the only code that names `worker`. It translates,
//! and decides nothing that another platform would have to decide again.

mod js;

mod assets;
mod cache;
mod clock;
mod db;
mod object;
mod shards;
mod signals;
