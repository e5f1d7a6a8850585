//! The settings of a deployment: variables and secrets of the Worker.

use codecrafter_shared::limits;
use worker::Env;
use worker::js_sys::Reflect;

use crate::config::{self, Config};

/// The settings that `env` binds.
///
/// # Errors
/// A sentence that names the setting that is missing or wrong.
pub fn config(env: &Env) -> Result<Config, String> {
    Config::from_settings(get(env)).map_err(|error| error.to_string())
}

/// Frames that one socket of a room may send in a second. The front serves nothing where the
/// setting is wrong, so a room need not tell of it.
pub fn frames_per_second(env: &Env) -> u32 {
    let setting = get(env)(config::FRAMES_PER_SECOND);
    config::frames_per_second(setting).unwrap_or(limits::ROOM_FRAMES_PER_SECOND)
}

fn get(env: &Env) -> impl Fn(&str) -> Option<String> {
    // A bare workerd binds `null` for a variable that is not set.
    |name| Reflect::get(env, &name.into()).ok()?.as_string()
}
