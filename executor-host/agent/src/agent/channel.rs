//! The host's end: orders in, events out. Owns standard input and output, which no program ever
//! gets (each has pipes of its own, and everything above descriptor 2 closes when it starts).

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use agent_protocol::wire::Frames;
use agent_protocol::{Event, Order};

use super::sys::{self, Interest, PollFd};

/// Programs are not read while more than this waits for the host.
const PENDING_BYTES_MAX: usize = 64 * 1024;

/// Orders and events over the attached streams.
pub struct Channel {
    input: std::fs::File,
    output: std::fs::File,
    frames: Frames,
    /// Frames that the host has not taken yet.
    pending: Vec<u8>,
}

impl Channel {
    /// Takes over standard input and output.
    pub fn over_stdio() -> io::Result<Self> {
        let input = take(io::stdin().as_fd())?;
        let output = take(io::stdout().as_fd())?;
        // So that a host that does not read cannot keep the agent from enforcing limits.
        sys::set_nonblocking(output.as_fd())?;
        Ok(Self {
            input,
            output,
            frames: Frames::default(),
            pending: Vec::new(),
        })
    }

    /// Waits for the next order. `None` when the host has closed the channel.
    pub fn next_order(&mut self) -> io::Result<Option<Order>> {
        loop {
            if let Some(order) = self.received_order()? {
                return Ok(Some(order));
            }
            if !self.receive()? {
                return Ok(None);
            }
        }
    }

    /// The next order, if it has come whole.
    pub fn received_order(&mut self) -> io::Result<Option<Order>> {
        let body = self.frames.next_body().map_err(io::Error::other)?;
        let order = body.map(Order::from_body).transpose();
        order.map_err(io::Error::other)
    }

    /// Takes what the host has sent, and waits if that is nothing. False if the host has closed
    /// the channel.
    pub fn receive(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.input.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(length) => {
                    self.frames.push(&buffer[..length]);
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Queues an event and sends what can be sent without waiting.
    pub fn send(&mut self, event: &Event) -> io::Result<()> {
        self.pending.extend_from_slice(&event.to_frame());
        self.send_pending()
    }

    /// Sends what can be sent without waiting.
    pub fn send_pending(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            match self.output.write(&self.pending) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits until everything is sent.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            sys::poll(
                &mut [PollFd::new(self.output.as_fd(), Interest::Write)],
                None,
            )?;
            self.send_pending()?;
        }
        Ok(())
    }

    /// Whether the host is so far behind that no more should be read for it.
    pub fn is_full(&self) -> bool {
        self.pending.len() >= PENDING_BYTES_MAX
    }

    /// Whether something waits to be sent.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// To watch for the host going away, or for what it sends, while a program runs.
    pub fn input_fd(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// To watch for the host taking more.
    pub fn output_fd(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }
}

/// A copy of a standard stream that is closed in every program.
fn take(stream: BorrowedFd<'_>) -> io::Result<std::fs::File> {
    Ok(std::fs::File::from(stream.try_clone_to_owned()?))
}
