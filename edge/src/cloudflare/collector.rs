//! [`Collector`]: outgoing HTTP that outlives its request (`waitUntil`).

use std::sync::Arc;

use worker::Env;
use worker::js_sys::Uint8Array;
use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen_futures::{JsFuture, future_to_promise};

use super::{glue, js};
use crate::ports::{Collector, Told};

/// A collector at an address. In a workerd of one's own it is reached by the service `COLLECTOR`,
/// as others of the network of its machine are out of reach.
pub struct OutgoingHttp {
    env: Env,
    url: String,
}

impl OutgoingHttp {
    /// The collector at `address`.
    pub fn to(env: &Env, address: &Arc<str>) -> Self {
        Self {
            env: env.clone(),
            url: format!("{address}{}", codecrafter_shared::otlp::PATH),
        }
    }
}

impl Collector for OutgoingHttp {
    fn post_later(&self, body: Vec<u8>, told: Told) {
        let posted = glue::post_to_collector(&self.env, &self.url, Uint8Array::from(&*body));
        let ended = async move {
            let posted = async { JsFuture::from(posted?).await }.await;
            told(posted.map(drop).map_err(|error| js::describe(&error)));
            Ok(JsValue::UNDEFINED)
        };
        // Fails only outside of a request, where there is nobody to post for.
        let _ = glue::wait_until(&future_to_promise(ended));
    }
}
