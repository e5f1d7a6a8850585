//! JavaScript values in words.

use worker::js_sys::{Error, JSON};
use worker::wasm_bindgen::{JsCast as _, JsValue};

/// An error's message, or the value as JSON; for logs and error texts.
pub fn describe(value: &JsValue) -> String {
    if let Some(error) = value.dyn_ref::<Error>() {
        return String::from(error.message());
    }
    if let Some(text) = value.as_string() {
        return text;
    }
    JSON::stringify(value)
        .ok()
        .and_then(|text| text.as_string())
        .unwrap_or_else(|| "an error without words".into())
}
