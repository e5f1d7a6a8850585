//! The log goes to standard error, which Spin shows and keeps without times of its own.

use super::clock::SpinClock;
use crate::log;
use crate::ports::Clock as _;

/// Sends the core's log to standard error.
pub fn install() {
    log::install(|_, mut line| {
        line.insert("time".into(), SpinClock.now().to_string().into());
        eprintln!("{}", serde_json::Value::Object(line));
    });
}
