//! Who types at which program: brings input from control messages to the interactive runs of this
//! host. What comes before its run has begun is kept for a while, because input may overtake its
//! job, which waits in the queue.
//!
//! Messages may come again, after a link has restarted. Every input has its number in its
//! execution, so that nothing is typed twice.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codecrafter_shared::id::ExecutionId;
use codecrafter_shared::interaction::{Input as Typed, Inputs, Interactive};
use codecrafter_shared::limits;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::Instant;

use crate::sandbox::{Input, Interaction, TerminalSize};

/// Bytes of early input that are kept: of more, the oldest goes. With a shared queue every worker
/// hears all input, and keeps what others have got.
const EARLY_BYTES_MAX: usize = 4 << 20;
/// Messages of early input that are kept; they may hold no text at all.
const EARLY_MAX: usize = 4096;
/// The key that ends the input at the beginning of a line, Ctrl-D. A terminal goes on after it.
const END_KEY: u8 = 4;
/// How long early input is kept.
const EARLY_FOR: Duration = Duration::from_mins(5);

/// The keyboards of the programs that run here.
#[derive(Debug, Default)]
pub(super) struct Keyboards {
    book: Mutex<Book>,
}

impl Keyboards {
    /// Somebody has typed this at the program of `execution`. Never waits: what the program does
    /// not read is kept, and an execution takes only so much.
    pub(super) fn give(&self, execution: ExecutionId, inputs: Inputs) {
        self.book().give(execution, inputs, Instant::now());
    }

    /// An attempt at an interactive execution begins: input goes to it, first what has come
    /// already.
    pub(super) fn begin(
        &self,
        execution: ExecutionId,
        interactive: Interactive,
    ) -> (Plugged<'_>, Interaction) {
        let on_terminal = interactive.terminal.is_some();
        let (number, input) = self.book().begin(execution, on_terminal, Instant::now());
        let plugged = Plugged {
            keyboards: self,
            execution,
            number,
        };
        let terminal = interactive.terminal.map(size);
        (plugged, Interaction { input, terminal })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keyboard of an attempt, until it is dropped.
#[derive(Debug)]
#[must_use = "input goes to the attempt for as long as this is held"]
pub(super) struct Plugged<'a> {
    keyboards: &'a Keyboards,
    execution: ExecutionId,
    number: u64,
}

impl Drop for Plugged<'_> {
    fn drop(&mut self) {
        self.keyboards.book().end(self.execution, self.number);
    }
}

/// The rules, without a clock.
#[derive(Debug, Default)]
struct Book {
    running: HashMap<ExecutionId, Keyboard>,
    /// Oldest first.
    early: VecDeque<Early>,
    early_bytes: usize,
    begun: u64,
}

/// Where the input of one execution goes: to the newest attempt. A shared queue may deliver a job
/// again before the first attempt has noticed that it was taken away.
#[derive(Debug)]
struct Keyboard {
    attempt: u64,
    program: Sender<Input>,
    on_terminal: bool,
    /// The number of the input that is due.
    next: u32,
}

#[derive(Debug)]
struct Early {
    execution: ExecutionId,
    inputs: Inputs,
    bytes: usize,
    since: Instant,
}

impl Book {
    fn give(&mut self, execution: ExecutionId, inputs: Inputs, now: Instant) {
        self.forget_old(now);
        if let Some(keyboard) = self.running.get_mut(&execution) {
            keyboard.press(execution, inputs);
            return;
        }
        let bytes = inputs.inputs.iter().map(text_bytes).sum();
        self.early_bytes += bytes;
        self.early.push_back(Early {
            execution,
            inputs,
            bytes,
            since: now,
        });
        while self.early_bytes > EARLY_BYTES_MAX || self.early.len() > EARLY_MAX {
            self.forget_oldest();
        }
    }

    fn begin(
        &mut self,
        execution: ExecutionId,
        on_terminal: bool,
        now: Instant,
    ) -> (u64, Receiver<Input>) {
        self.forget_old(now);
        self.begun += 1;
        // As many as an execution takes: to send never has to wait.
        let (program, input) = mpsc::channel(limits::INPUTS_MAX as usize);
        let next = self.running.get(&execution).map_or(0, |before| before.next);
        let mut keyboard = Keyboard {
            attempt: self.begun,
            program,
            on_terminal,
            next,
        };
        let is_own = |early: &Early| early.execution == execution;
        let (own, others): (VecDeque<_>, _) = std::mem::take(&mut self.early)
            .into_iter()
            .partition(is_own);
        self.early = others;
        for early in own {
            self.early_bytes -= early.bytes;
            keyboard.press(execution, early.inputs);
        }
        self.running.insert(execution, keyboard);
        (self.begun, input)
    }

    fn end(&mut self, execution: ExecutionId, attempt: u64) {
        let is_newest = |keyboard: &Keyboard| keyboard.attempt == attempt;
        if self.running.get(&execution).is_some_and(is_newest) {
            self.running.remove(&execution);
        }
    }

    fn forget_old(&mut self, now: Instant) {
        let is_old = |early: &Early| now.duration_since(early.since) >= EARLY_FOR;
        while self.early.front().is_some_and(is_old) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.early.pop_front() {
            self.early_bytes -= oldest.bytes;
        }
    }
}

impl Keyboard {
    /// Types what has not been typed yet.
    fn press(&mut self, execution: ExecutionId, inputs: Inputs) {
        let Inputs { after, inputs } = inputs;
        if after > self.next && self.next > 0 {
            let lost = after - self.next;
            tracing::warn!(execution.id = %execution, lost, "input was lost on its way");
        }
        for (number, input) in (after..).zip(inputs) {
            if number < self.next {
                continue;
            }
            self.next = number + 1;
            // A program that has ended reads no more.
            let _ = self.program.try_send(match input {
                Typed::Text { text } => Input::Bytes(text.into_bytes()),
                Typed::End if self.on_terminal => Input::Bytes(vec![END_KEY]),
                Typed::End => Input::End,
                Typed::Signal { signal } => Input::Signal(signal.number()),
                Typed::Resize(to) => Input::Resize(size(to)),
            });
        }
    }
}

fn size(size: codecrafter_shared::interaction::TerminalSize) -> TerminalSize {
    TerminalSize {
        columns: size.columns,
        rows: size.rows,
    }
}

fn text_bytes(input: &Typed) -> usize {
    match input {
        Typed::Text { text } => text.len(),
        Typed::End | Typed::Signal { .. } | Typed::Resize(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::contract::execution;
    use codecrafter_shared::interaction::Signal;

    fn text(text: &str) -> Typed {
        Typed::Text { text: text.into() }
    }

    fn inputs(after: u32, letters: &str) -> Inputs {
        let letters = letters.chars();
        Inputs {
            after,
            inputs: letters.map(|letter| text(&letter.to_string())).collect(),
        }
    }

    fn read(input: &mut Receiver<Input>) -> String {
        let mut letters = String::new();
        while let Ok(input) = input.try_recv() {
            match input {
                Input::Bytes(bytes) => letters.push_str(&String::from_utf8(bytes).unwrap()),
                other => letters.push_str(&format!("{other:?}")),
            }
        }
        letters
    }

    #[test]
    fn what_is_typed_goes_to_its_program_in_order_and_once() {
        let (mut book, now) = (Book::default(), Instant::now());
        let (_, mut one) = book.begin(execution(1), false, now);
        let (_, mut other) = book.begin(execution(2), false, now);
        book.give(execution(1), inputs(0, "ab"), now);
        book.give(execution(1), inputs(0, "abc"), now);
        book.give(execution(1), inputs(1, "b"), now);
        book.give(execution(1), inputs(3, "d"), now);
        assert_eq!(
            (read(&mut one), read(&mut other)),
            ("abcd".into(), String::new())
        );
    }

    #[test]
    fn signals_sizes_and_the_end_are_passed_on() {
        let (mut book, now) = (Book::default(), Instant::now());
        let (_, mut input) = book.begin(execution(1), false, now);
        let signal = Typed::Signal {
            signal: Signal::Interrupt,
        };
        let given = Inputs {
            after: 0,
            inputs: vec![signal, Typed::End],
        };
        book.give(execution(1), given, now);
        assert_eq!(input.try_recv(), Ok(Input::Signal(2)));
        assert_eq!(input.try_recv(), Ok(Input::End));
        let (_, mut terminal) = book.begin(execution(2), true, now);
        let inputs = vec![Typed::End, text("a")];
        book.give(execution(2), Inputs { after: 0, inputs }, now);
        assert_eq!(read(&mut terminal), "\u{4}a");
    }

    #[test]
    fn early_input_is_kept_for_its_program_in_order() {
        let (mut book, now) = (Book::default(), Instant::now());
        book.give(execution(1), inputs(0, "ab"), now);
        book.give(execution(2), inputs(0, "x"), now);
        book.give(execution(1), inputs(1, "bc"), now);
        let (_, mut input) = book.begin(execution(1), false, now);
        assert_eq!(read(&mut input), "abc");
        book.give(execution(1), inputs(3, "d"), now);
        assert_eq!(read(&mut input), "d");
        assert_eq!((book.early.len(), book.early_bytes), (1, 1));
    }

    #[test]
    fn a_second_attempt_gets_what_comes_from_then_on() {
        let (mut book, now) = (Book::default(), Instant::now());
        let (first, mut before) = book.begin(execution(1), false, now);
        book.give(execution(1), inputs(0, "ab"), now);
        let (second, mut after) = book.begin(execution(1), false, now);
        book.end(execution(1), first);
        book.give(execution(1), inputs(2, "c"), now);
        assert_eq!(
            (read(&mut before), read(&mut after)),
            ("ab".into(), "c".into())
        );
        book.end(execution(1), second);
        assert!(book.running.is_empty());
    }

    #[test]
    fn early_input_is_bounded_and_the_oldest_goes_first() {
        let (mut book, now) = (Book::default(), Instant::now());
        let long = "x".repeat(EARLY_BYTES_MAX / 4);
        for number in 0..5 {
            let inputs = vec![text(&long)];
            book.give(execution(number), Inputs { after: 0, inputs }, now);
        }
        assert_eq!((book.early.len(), book.early_bytes), (4, EARLY_BYTES_MAX));
        let (_, mut oldest) = book.begin(execution(0), false, now);
        assert_eq!(read(&mut oldest), "");
        let (_, mut newest) = book.begin(execution(4), false, now);
        assert_eq!(read(&mut newest).len(), long.len());
        (0..2 * EARLY_MAX as u64).for_each(|number| {
            let inputs = vec![Typed::End];
            book.give(execution(10 + number), Inputs { after: 0, inputs }, now);
        });
        assert_eq!(book.early.len(), EARLY_MAX);
        book.give(execution(1), inputs(0, "a"), now + EARLY_FOR);
        assert_eq!((book.early.len(), book.early_bytes), (1, 1));
    }
}
