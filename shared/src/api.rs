//! Client ⇄ edge over HTTP: a request and a response type per route, under `/api/v1`.
//!
//! Requests refuse fields that they do not know, so that a misspelt option is an error and not a
//! silent default. Responses may gain fields; clients must ignore those they do not know.

mod accounts;
mod chat;
mod history;
mod notifications;
mod sessions;
mod versions;

mod executions;
mod executors;

mod service;

use serde::{Deserialize, Serialize};

pub use self::accounts::*;
pub use self::chat::*;
pub use self::executions::*;
pub use self::executors::*;
pub use self::history::*;
pub use self::notifications::*;
pub use self::service::*;
pub use self::sessions::*;
pub use self::versions::*;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "{T}Page")
)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The page's items.
    pub items: Vec<T>,
    /// Which page, from 1.
    pub page: u32,
    /// Items on a full page.
    pub limit: u32,
    /// Items on all pages, counted up to 1,000: at 1,000 there may be more, on further pages.
    pub total: u64,
}
