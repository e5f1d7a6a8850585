//! The functions of `glue.js`. All of them may throw.

use worker::Env;
use worker::js_sys::{Array, Promise, Uint8Array};
use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::web_sys::{Request, Response, WebSocket};

#[wasm_bindgen(module = "/src/cloudflare/glue.js", wasm_bindgen = worker::wasm_bindgen)]
extern "C" {
    #[wasm_bindgen(catch, js_name = requestHead)]
    pub fn request_head(request: &Request) -> Result<String, JsValue>;

    #[wasm_bindgen(catch, js_name = makeResponse)]
    pub fn make_response(
        status: u16,
        head: &str,
        body: Option<Uint8Array>,
        socket: Option<&WebSocket>,
    ) -> Result<Response, JsValue>;

    #[wasm_bindgen(catch, js_name = costsSoFar)]
    pub fn costs_so_far() -> Result<String, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn count(name: &str) -> Result<(), JsValue>;

    #[wasm_bindgen(catch, js_name = postToObject)]
    pub fn post_to_object(
        env: &Env,
        binding: &str,
        name: &str,
        path: &str,
        body: Uint8Array,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_name = connectToObject)]
    pub fn connect_to_object(
        env: &Env,
        binding: &str,
        name: &str,
        path: &str,
        header: &str,
        value: &str,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn execute(sql: &JsValue, query: &str, values: &Array) -> Result<Option<Array>, JsValue>;
}
