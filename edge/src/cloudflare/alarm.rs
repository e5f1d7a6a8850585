//! The alarm of a Durable Object: it has one, and setting it writes a row. So what is known of it
//! is kept in memory, and it is set only when it would ring too late.

use std::cell::Cell;

use codecrafter_shared::time::Timestamp;
use worker::js_sys::Date;
use worker::wasm_bindgen::JsValue;
use worker::{ScheduledTime, State, Storage};

/// The one alarm of an object.
pub struct Alarm {
    storage: Storage,
    known: Cell<Known>,
}

#[derive(Clone, Copy)]
enum Known {
    /// Nothing yet: the object has just been started.
    Nothing,
    /// When it rings, if it is set.
    Rings(Option<Timestamp>),
}

impl Alarm {
    /// The alarm of the object with `state`.
    pub fn of(state: &State) -> Self {
        Self {
            storage: state.storage(),
            known: Cell::new(Known::Nothing),
        }
    }

    /// It rings at `at`, or earlier if it was to ring earlier.
    pub async fn ring_by(&self, at: Timestamp) {
        if self.rings_at().await.is_none_or(|planned| planned > at) {
            self.ring_at(Some(at)).await;
        }
    }

    /// It rings at `at` and at no other time; never, if that is `None`.
    pub async fn ring_at(&self, at: Option<Timestamp>) {
        let set = match at {
            Some(at) => self.storage.set_alarm(scheduled(at)).await,
            None => self.storage.delete_alarm().await,
        };
        match set {
            Ok(()) => self.known.set(Known::Rings(at)),
            Err(error) => {
                self.known.set(Known::Nothing);
                tracing::error!(cause = %error, "the alarm could not be set");
            }
        }
    }

    /// To be called when it rings: it is not set any more.
    pub fn has_rung(&self) {
        self.known.set(Known::Rings(None));
    }

    async fn rings_at(&self) -> Option<Timestamp> {
        if let Known::Rings(at) = self.known.get() {
            return at;
        }
        let at = self.storage.get_alarm().await.unwrap_or_else(|error| {
            tracing::error!(cause = %error, "the alarm could not be read");
            None
        });
        let at = at.map(Timestamp::from_millis);
        self.known.set(Known::Rings(at));
        at
    }
}

fn scheduled(at: Timestamp) -> ScheduledTime {
    // Exact: instants stay far below 2^53 ms.
    ScheduledTime::new(Date::new(&JsValue::from_f64(at.as_millis() as f64)))
}
