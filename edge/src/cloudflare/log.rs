//! The core's log on the console, where `wrangler tail`, Workers Logs and the standard error of
//! workerd show it.

use serde_json::Value;
use tracing::Level;
use worker::wasm_bindgen::JsValue;
use worker::web_sys::console;

use crate::log::{self, Line};

/// Sends the core's log to the console. Called once, when the module starts.
pub fn install() {
    log::install(write);
}

fn write(level: Level, line: Line) {
    let line = JsValue::from_str(&Value::Object(line).to_string());
    match level {
        Level::ERROR => console::error_1(&line),
        Level::WARN => console::warn_1(&line),
        _ => console::log_1(&line),
    }
}
