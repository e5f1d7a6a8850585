//! The queue on a real RabbitMQ: what every queue promises, and what it promises about the broker.
//! Needs a broker at the URL in `CODECRAFTER_TEST_AMQP_URL`; run by `cargo xtask test`, or by hand
//! with `cargo test -p codecrafter-executor-host --test rabbitmq -- --ignored`.
//!
//! Each test has a prefix of its own, always the same: names of quorum queues are never freed by
//! the broker.

mod bench;
mod broker;
mod commands;
#[path = "../common/mod.rs"]
mod common;
mod contract;
mod dead_letters;
mod losses;
mod proxy;
mod service;
mod sharing;
mod tls;
mod topology;
