//! What `glue.js` exports. Most of it may throw.

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

    #[wasm_bindgen(js_name = countMessage)]
    pub fn count_message();

    #[wasm_bindgen(catch)]
    pub fn later(millis: u32, callback: JsValue) -> Result<(), JsValue>;

    /// The open sockets of a room, each with a number.
    pub type Sockets;

    #[wasm_bindgen(constructor)]
    pub fn new() -> Sockets;

    #[wasm_bindgen(method)]
    pub fn add(this: &Sockets, socket: &WebSocket, app: bool) -> i32;

    #[wasm_bindgen(method, js_name = numberOf)]
    pub fn number_of(this: &Sockets, socket: &WebSocket) -> i32;

    #[wasm_bindgen(method)]
    pub fn take(this: &Sockets, number: i32) -> Option<WebSocket>;

    #[wasm_bindgen(method)]
    pub fn get(this: &Sockets, number: i32) -> Option<WebSocket>;

    #[wasm_bindgen(method)]
    pub fn send(this: &Sockets, number: i32, frame: &[u8]);

    #[wasm_bindgen(method)]
    pub fn broadcast(this: &Sockets, frame: &[u8], except: i32, app_only: bool);

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

    #[wasm_bindgen(catch, js_name = postToCollector)]
    pub fn post_to_collector(env: &Env, url: &str, body: Uint8Array) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_name = keepAlive)]
    pub fn wait_until(promise: &Promise) -> Result<(), JsValue>;

    #[wasm_bindgen(catch)]
    pub fn execute(sql: &JsValue, query: &str, values: &Array) -> Result<Option<Array>, JsValue>;
}
