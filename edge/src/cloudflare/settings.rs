//! The settings of a deployment: variables and secrets of the Worker.

use worker::Env;
use worker::js_sys::Reflect;

use crate::config::Config;

/// The settings that `env` binds.
///
/// # Errors
/// A sentence that names the setting that is missing or wrong.
pub fn config(env: &Env) -> Result<Config, String> {
    // A bare workerd binds `null` for a variable that is not set.
    let get = |name: &str| Reflect::get(env, &name.into()).ok()?.as_string();
    Config::from_settings(get).map_err(|error| error.to_string())
}
