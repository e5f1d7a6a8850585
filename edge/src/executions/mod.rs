//! Executions as their owners see them (CC-EXEC): asked for, waiting, running, ended. How they
//! reach an executor and come back is the business of [`crate::executors`].

pub mod calls;
pub mod cancel;
pub mod create;
pub mod end;
pub mod files;
pub mod get;
pub mod input;
pub mod list;
pub mod retention;
pub mod routes;
pub mod store;
pub mod validate;
pub mod view;
pub mod wait;
