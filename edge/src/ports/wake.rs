//! Wake-ups through plain memory, for platforms where the requests of a shard share some. Adapters
//! add their timers ([`super::Signals`], [`super::Listener`]); nothing here outlives the process,
//! and nothing has to: whoever waits is gone then, too.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Who listens to what. Cheap to clone; clones are the same.
#[derive(Clone, Default)]
pub struct Wakes(Arc<Mutex<Topics>>);

/// Listeners by topic, the one that has listened for longest first. A topic without listeners has
/// no entry.
type Topics = HashMap<String, VecDeque<Arc<Slot>>>;

/// One listener's side of the wake-up.
#[derive(Default)]
struct Slot(Mutex<State>);

#[derive(Default)]
struct State {
    woken: bool,
    /// The topic of a wake-up that nobody else got.
    alone_for: Option<String>,
    waker: Option<Waker>,
}

impl Wakes {
    /// Wakes everybody who listens to `topic`.
    pub fn notify(&self, topic: &str) {
        // Taken out first, because a waker is foreign code.
        let listeners = lock(&self.0).remove(topic).unwrap_or_default();
        for slot in listeners {
            slot.wake(None);
        }
    }

    /// Wakes the one who has listened to `topic` for longest and was not woken yet.
    pub fn notify_one(&self, topic: &str) {
        loop {
            let next = lock(&self.0).get_mut(topic).and_then(VecDeque::pop_front);
            match next {
                Some(slot) if slot.wake(Some(topic)) => return,
                // It is about to look for another reason.
                Some(_) => {}
                None => return,
            }
        }
    }

    /// How many listen to `topic` and were not woken yet.
    #[must_use]
    pub fn listeners(&self, topic: &str) -> usize {
        let known = lock(&self.0);
        let slots = known.get(topic).into_iter().flatten();
        slots.filter(|slot| !lock(&slot.0).woken).count()
    }

    /// Begins to listen to each of `topics`.
    #[must_use]
    pub fn listen(&self, topics: &[String]) -> Listening {
        let slot = Arc::new(Slot::default());
        let mut known = lock(&self.0);
        for topic in topics {
            let listeners = known.entry(topic.clone()).or_default();
            listeners.push_back(slot.clone());
        }
        Listening {
            slot,
            topics: topics.to_vec(),
            wakes: self.clone(),
        }
    }
}

impl Slot {
    /// Whether this woke it, and not something before.
    fn wake(&self, alone_for: Option<&str>) -> bool {
        let waker = {
            let mut state = lock(&self.0);
            if state.woken {
                return false;
            }
            state.woken = true;
            state.alone_for = alone_for.map(str::to_owned);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

/// Ends when one of its topics is notified. If it is dropped before that was noticed, a wake-up
/// that was for it alone goes to the next.
pub struct Listening {
    slot: Arc<Slot>,
    topics: Vec<String>,
    wakes: Wakes,
}

impl Future for Listening {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.slot.0);
        if state.woken {
            state.alone_for = None;
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        {
            let mut known = lock(&self.wakes.0);
            for topic in &self.topics {
                if let Some(listeners) = known.get_mut(topic) {
                    listeners.retain(|slot| !Arc::ptr_eq(slot, &self.slot));
                    if listeners.is_empty() {
                        known.remove(topic);
                    }
                }
            }
        }
        let alone_for = lock(&self.slot.0).alone_for.take();
        if let Some(topic) = alone_for {
            self.wakes.notify_one(&topic);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn topics(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn is_woken(listening: &mut Listening) -> bool {
        listening.now_or_never().is_some()
    }

    #[test]
    fn a_listener_is_woken_by_each_of_its_topics_even_before_it_waits() {
        let wakes = Wakes::default();
        for topic in ["a", "b"] {
            let mut listening = wakes.listen(&topics(&["a", "b"]));
            let mut other = wakes.listen(&topics(&["c"]));
            wakes.notify(topic);
            assert!(is_woken(&mut listening), "{topic}");
            assert!(!is_woken(&mut other));
        }
        assert!(lock(&wakes.0).is_empty(), "nobody listens any more");
    }

    #[test]
    fn one_wake_up_wakes_the_longest_listener_alone() {
        let wakes = Wakes::default();
        let mut first = wakes.listen(&topics(&["a", "b"]));
        let mut second = wakes.listen(&topics(&["a"]));
        wakes.notify_one("a");
        assert!(is_woken(&mut first) && !is_woken(&mut second));
        // The first looks already; the next wake-up is for somebody else.
        wakes.notify_one("a");
        assert!(is_woken(&mut second));
        wakes.notify_one("a");
        drop((first, second));
        assert!(lock(&wakes.0).is_empty());
    }

    #[test]
    fn a_wake_up_that_nobody_noticed_goes_to_the_next() {
        let wakes = Wakes::default();
        let first = wakes.listen(&topics(&["a"]));
        let mut second = wakes.listen(&topics(&["a"]));
        wakes.notify_one("a");
        drop(first);
        assert!(is_woken(&mut second));
        let mut third = wakes.listen(&topics(&["a"]));
        drop(second);
        assert!(!is_woken(&mut third), "it was noticed: nothing to pass on");
    }
}
