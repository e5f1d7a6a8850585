//! One instance of the component: what it holds in the host, and what it may not do.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView,
    WasiHttpHooks, WasiHttpView,
};

use crate::offer::Offer;
use crate::outgoing::{self, Sent};

/// What belongs to one instance.
pub struct Ctx {
    /// The instance's handles.
    pub table: ResourceTable,
    /// What the component may use.
    pub offer: Arc<Offer>,
    /// SQLite connections that are open.
    pub connections: usize,
    /// Key-value stores that are open.
    pub stores: usize,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
}

impl Ctx {
    /// The context of a new instance.
    ///
    /// # Errors
    /// A mounted folder that cannot be opened.
    pub fn new(offer: Arc<Offer>) -> wasmtime::Result<Self> {
        let mut wasi = WasiCtxBuilder::new();
        // Standard output is this host's own: a test reads its address there.
        wasi.stdout(std::io::stderr()).stderr(std::io::stderr());
        for (name, value) in &offer.environment {
            wasi.env(name, value);
        }
        for (folder, path) in &offer.mounts {
            wasi.preopened_dir(folder, path, FsPerms::ReadOnly)?;
        }
        Ok(Self {
            table: ResourceTable::new(),
            hooks: Hooks(offer.clone()),
            offer,
            connections: 0,
            stores: 0,
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
        })
    }
}

impl WasiView for Ctx {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Ctx {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

struct Hooks(Arc<Offer>);

impl WasiHttpHooks for Hooks {
    /// As wasmtime has it, but for `host`, which a component sees on Spin.
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name| {
            *name != http::header::HOST
                && wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS.contains(name)
        })
    }

    /// Only to where the manifest allows it.
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _done: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        if self.0.outgoing.allows(request.uri()) {
            return Box::new(outgoing::send(request));
        }
        tracing::warn!(
            http.uri = %request.uri(),
            "refused an outbound request: allowed_outbound_hosts does not have it"
        );
        Box::new(std::future::ready(Err(Error::HttpRequestDenied)))
    }
}
