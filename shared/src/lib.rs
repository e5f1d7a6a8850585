//! The vocabulary of CodeCrafter: what the edge, the executor-host, the agent's host and the
//! tests say to each other. Data types and pure rules only: no I/O, no async, no clock.
//!
//! Reading order follows an execution from the browser to the container and back:
//! [`id`] and [`time`] name things, [`trace`] and [`otlp`] say what belongs together, [`role`] who
//! may do what, [`api`] is what a client says to the edge over HTTP, [`relay`] and [`document`] what
//! it says to a room, [`interaction`] what it says to a program, [`job`] what the edge and a link
//! say to each other, [`language`] what a host can run. [`limits`] is every limit, [`error`] every
//! refusal, [`keys`] how one secret becomes every key.
//!
//! # Glossary
//!
//! | word | meaning |
//! |---|---|
//! | session | a shared coding document with its participants (never a login) |
//! | login session | one signed-in device of a user |
//! | room | the realtime side of a session |
//! | stream | a room's frames as server-sent events, where there are no WebSockets |
//! | feed | what a person is told, wherever they are |
//! | participant | a user with a role in a session |
//! | execution | a request to run code, as its owner sees it |
//! | job | an execution as the queue carries it; same id |
//! | attempt | one start of a job by a worker, with a random id |
//! | run | one start of the program inside an attempt |
//! | verdict | how a run or an execution ended, from a closed list |
//! | link | the part of an executor-host that talks to the edge |
//! | lease | a job handed to a link, until it is acknowledged or expires |
//! | agent | the process with pid 1 in a sandbox container |
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod id;
pub mod otlp;
pub mod time;
pub mod trace;

pub mod role;

pub mod api;
pub mod document;
pub mod relay;

pub mod interaction;
pub mod job;
pub mod language;

pub mod error;
pub mod keys;
pub mod limits;

#[cfg(feature = "schema")]
mod schema;
