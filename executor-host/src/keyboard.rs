//! The terminal of this command, lent to a program: keys go to it one by one, and so does the
//! terminal's size.

use std::io::{self, Read as _, stdin, stdout};

use agent_protocol::TerminalSize;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::sandbox::{Input, Interaction};

/// Pieces of input that wait for the program.
const WAITING: usize = 64;

/// The terminal, which is as it was again when this is dropped.
#[derive(Debug)]
pub struct Keyboard {
    before: Termios,
}

impl Keyboard {
    /// Lends the terminal that standard input and output are. For the rest of this process nobody
    /// else reads standard input.
    ///
    /// # Errors
    /// They are no terminal.
    pub fn lend() -> io::Result<(Self, Interaction)> {
        let size = size()?;
        let before = tcgetattr(stdin())?;
        let keyboard = Self {
            before: before.clone(),
        };
        let mut raw = before;
        // Ctrl-C is a key like the others: the program's terminal makes a signal of it.
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        let (sender, input) = mpsc::channel(WAITING);
        let resizes = sender.clone();
        // A thread, because reading a terminal cannot be given up.
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(length @ 1..) = stdin().lock().read(&mut buffer) {
                let typed = Input::Bytes(buffer[..length].to_vec());
                if sender.blocking_send(typed).is_err() {
                    return;
                }
            }
        });
        let mut resized = signal(SignalKind::window_change())?;
        tokio::spawn(async move {
            while resized.recv().await.is_some() {
                let Ok(size) = self::size() else { return };
                if resizes.send(Input::Resize(size)).await.is_err() {
                    return;
                }
            }
        });
        let terminal = Some(size);
        Ok((keyboard, Interaction { input, terminal }))
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Flush, &self.before);
    }
}

fn size() -> io::Result<TerminalSize> {
    let size = tcgetwinsize(stdout())?;
    Ok(TerminalSize {
        columns: size.ws_col,
        rows: size.ws_row,
    })
}
