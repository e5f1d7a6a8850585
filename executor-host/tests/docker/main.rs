//! Real programs in real containers. Needs a Docker engine and the images; run by
//! `cargo xtask test`, or by hand with
//! `cargo test -p codecrafter-executor-host --test docker -- --ignored`.
//!
//! Each test has an instance name of its own, so that it sees only its own containers.

mod compiled;
mod doctor;
mod exhausted;
mod faults;
mod full_disk;
mod hangs;
mod interactive;
mod isolation;
mod languages;
mod limits;
mod live;
mod one_run;
mod output_files;
mod pool;
mod programs;
mod programs_by_language;
mod ready;
mod refusing_engine;
mod reuse;
mod runs;
mod scripts_by_language;
mod world;
