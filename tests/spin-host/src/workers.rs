//! How long an instance lives and how much it takes on: wasmtime's own pool of workers, which Spin
//! uses too, with Spin's figures.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep};
use wasmtime::component::GuestTaskId;
use wasmtime::{Engine, Store, StoreContextMut};
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::instance::Ctx;
use crate::offer::Offer;

/// How often an instance is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reuse {
    /// Requests that one instance answers in all.
    pub total: usize,
    /// Requests that it answers at a time.
    pub concurrent: usize,
    /// How long it waits for another.
    pub idle: Duration,
}

impl Reuse {
    /// An instance per request, so that nothing can be kept in memory by mistake.
    pub const FRESH: Self = Self {
        total: 1,
        concurrent: 1,
        idle: Duration::ZERO,
    };
    /// Spin's defaults.
    pub const SPIN: Self = Self {
        total: 128,
        concurrent: 16,
        idle: Duration::from_secs(1),
    };
}

/// Makes instances of one component.
pub struct Instances {
    engine: Engine,
    component: ProxyPre<Ctx>,
    offer: Arc<Offer>,
    reuse: Reuse,
}

impl Instances {
    /// Makes instances of `component`.
    pub fn new(engine: Engine, component: ServicePre<Ctx>, offer: Offer, reuse: Reuse) -> Self {
        Self {
            engine,
            component: ProxyPre::P3(component),
            offer: Arc::new(offer),
            reuse,
        }
    }
}

impl HandlerState for Instances {
    type StoreData = Ctx;
    type WorkerExpiration = Idle;
    type WorkerState = Reuse;

    async fn instantiate(&self) -> wasmtime::Result<Instance<Ctx, Idle, Reuse>> {
        let mut store = Store::new(&self.engine, Ctx::new(self.offer.clone())?);
        let proxy = self.component.instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            proxy,
            view: |ctx| ctx.http(),
            expiration: Idle {
                limit: self.reuse.idle,
                timer: None,
            },
            state: self.reuse,
        })
    }
}

impl WorkerState for Reuse {
    type StoreData = Ctx;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= self.total {
            ShouldAccept::Never
        } else if concurrent >= self.concurrent {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    /// Requests have no deadline, as on Spin.
    fn on_request_start(
        &self,
        _: StoreContextMut<'_, Ctx>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        Box::pin(pending())
    }

    fn drop(&self, store: Store<Ctx>, result: wasmtime::Result<()>) {
        if let Err(error) = result {
            tracing::error!("an instance failed: {error:#}");
        }
        drop(store);
    }
}

/// Ends an instance that has had nothing to do for a while.
pub struct Idle {
    limit: Duration,
    /// The timer of the present idleness, with the moment it began.
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl WorkerExpiration for Idle {
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        status: WorkerStatus,
        start: Instant,
    ) -> Poll<()> {
        if status != WorkerStatus::Idle {
            self.timer = None;
            return Poll::Pending;
        }
        let left = self.limit.saturating_sub(start.elapsed());
        match &mut self.timer {
            Some((began, timer)) if *began == start => timer.as_mut().poll(cx),
            timer => {
                let (_, timer) = timer.insert((start, Box::pin(sleep(left))));
                timer.as_mut().poll(cx)
            }
        }
    }
}
