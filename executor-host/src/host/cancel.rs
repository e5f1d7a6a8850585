//! Which executions their owners have ended: those that run here, and those that are yet to come.
//! Decides nothing about anything else.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codecrafter_shared::id::ExecutionId;
use codecrafter_shared::limits;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Executions that are kept in mind; the oldest is forgotten first. Many times what a host can
/// hold, because with a shared queue every worker hears of every execution.
const REMEMBERED_MAX: usize = 4096;
/// How long one is kept in mind. By then its job has passed its deadline, and is not started.
const REMEMBERED_FOR: Duration = Duration::from_millis(limits::EXECUTION_MS_MAX as u64);

/// What is known of cancelled executions, shared by a host's attempts.
#[derive(Debug, Default)]
pub(super) struct Cancels {
    book: Mutex<Book>,
}

impl Cancels {
    /// The owner of `execution` has ended it. Harmless to repeat.
    pub(super) fn cancel(&self, execution: ExecutionId) {
        let here = self.book().cancel(execution, Instant::now());
        tracing::info!(execution.id = %execution, here, "cancelled");
    }

    /// An attempt at `execution` begins. `run` fires when its owner ends it, now or later.
    pub(super) fn begin(&self, execution: ExecutionId, run: CancellationToken) -> Begun<'_> {
        self.book().begin(execution, run, Instant::now());
        Begun {
            cancels: self,
            execution,
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt, until it is dropped.
#[derive(Debug)]
pub(super) struct Begun<'a> {
    cancels: &'a Cancels,
    execution: ExecutionId,
}

impl Begun<'_> {
    /// Whether the execution's owner has ended it.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancels.book().is_cancelled(self.execution)
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.cancels.book().end(self.execution);
    }
}

/// The rules, without a clock.
#[derive(Debug, Default)]
struct Book {
    running: HashMap<ExecutionId, Running>,
    /// Oldest first. What was cancelled while it ran stays in it: should the host fail and get the
    /// job again, it is not run again.
    remembered: VecDeque<(ExecutionId, Instant)>,
}

/// An execution that has attempts here. A shared queue may deliver one again before the first
/// attempt has noticed that it was taken away, so there may be two.
#[derive(Debug, Default)]
struct Running {
    attempts: Vec<CancellationToken>,
    ended: usize,
    cancelled: bool,
}

impl Book {
    /// Gives whether the execution runs here.
    fn cancel(&mut self, execution: ExecutionId, now: Instant) -> bool {
        self.forget_old(now);
        if !self.remembers(execution) {
            if self.remembered.len() >= REMEMBERED_MAX {
                self.remembered.pop_front();
            }
            self.remembered.push_back((execution, now));
        }
        let Some(running) = self.running.get_mut(&execution) else {
            return false;
        };
        running.cancelled = true;
        for run in &running.attempts {
            run.cancel();
        }
        true
    }

    fn begin(&mut self, execution: ExecutionId, run: CancellationToken, now: Instant) {
        self.forget_old(now);
        let remembered = self.remembers(execution);
        let running = self.running.entry(execution).or_default();
        running.cancelled |= remembered;
        if running.cancelled {
            run.cancel();
        }
        running.attempts.push(run);
    }

    fn is_cancelled(&self, execution: ExecutionId) -> bool {
        self.running
            .get(&execution)
            .is_some_and(|running| running.cancelled)
    }

    fn end(&mut self, execution: ExecutionId) {
        if let Some(running) = self.running.get_mut(&execution) {
            running.ended += 1;
            if running.ended == running.attempts.len() {
                self.running.remove(&execution);
            }
        }
    }

    fn remembers(&self, execution: ExecutionId) -> bool {
        self.remembered.iter().any(|(known, _)| *known == execution)
    }

    fn forget_old(&mut self, now: Instant) {
        let is_old = |since: Instant| now.duration_since(since) >= REMEMBERED_FOR;
        while let Some((_, since)) = self.remembered.front()
            && is_old(*since)
        {
            self.remembered.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::contract::execution;

    fn begin(book: &mut Book, number: u64, now: Instant) -> CancellationToken {
        let run = CancellationToken::new();
        book.begin(execution(number), run.clone(), now);
        run
    }

    #[test]
    fn what_runs_is_ended_and_nothing_else_however_often_it_is_said() {
        let (mut book, now) = (Book::default(), Instant::now());
        let (one, other) = (begin(&mut book, 1, now), begin(&mut book, 2, now));
        assert!(book.cancel(execution(1), now) && book.cancel(execution(1), now));
        assert!(one.is_cancelled() && book.is_cancelled(execution(1)));
        assert!(!other.is_cancelled() && !book.is_cancelled(execution(2)));
        assert_eq!(book.remembered.len(), 1);
    }

    #[test]
    fn what_comes_after_its_end_was_asked_for_is_ended_at_once() {
        let (mut book, now) = (Book::default(), Instant::now());
        assert!(!book.cancel(execution(1), now), "it is not here");
        // Also when it comes again, because the host failed.
        for _ in 0..2 {
            assert!(begin(&mut book, 1, now).is_cancelled());
            assert!(book.is_cancelled(execution(1)));
            book.end(execution(1));
        }
        assert!(!begin(&mut book, 2, now).is_cancelled());
    }

    #[test]
    fn what_was_cancelled_while_it_ran_is_not_run_again() {
        let (mut book, now) = (Book::default(), Instant::now());
        begin(&mut book, 1, now);
        book.cancel(execution(1), now);
        book.end(execution(1));
        assert!(book.running.is_empty());
        assert!(begin(&mut book, 1, now).is_cancelled());
    }

    #[test]
    fn two_attempts_at_one_execution_end_together() {
        let (mut book, now) = (Book::default(), Instant::now());
        let runs = [begin(&mut book, 1, now), begin(&mut book, 1, now)];
        book.end(execution(1));
        book.cancel(execution(1), now);
        assert!(runs.iter().all(CancellationToken::is_cancelled));
        book.end(execution(1));
        assert!(book.running.is_empty());
    }

    #[test]
    fn only_so_many_are_remembered_and_the_oldest_is_forgotten_first() {
        let (mut book, now) = (Book::default(), Instant::now());
        let many = REMEMBERED_MAX as u64;
        (0..=many).for_each(|number| {
            book.cancel(execution(number), now);
        });
        assert_eq!(book.remembered.len(), REMEMBERED_MAX);
        assert!(!begin(&mut book, 0, now).is_cancelled());
        assert!(begin(&mut book, 1, now).is_cancelled());
        assert!(begin(&mut book, many, now).is_cancelled());
    }

    #[test]
    fn what_cannot_come_any_more_is_forgotten() {
        let (mut book, now) = (Book::default(), Instant::now());
        book.cancel(execution(1), now);
        let almost = now + REMEMBERED_FOR - Duration::from_millis(1);
        assert!(begin(&mut book, 1, almost).is_cancelled());
        book.end(execution(1));
        assert!(!begin(&mut book, 1, now + REMEMBERED_FOR).is_cancelled());
        assert!(book.remembered.is_empty());
    }
}
