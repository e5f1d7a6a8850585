//! What connects a running program with the host: pipes, or one terminal for everything.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Stdio;

use agent_protocol::wire::OUTPUT_BYTES_MAX;
use agent_protocol::{Event, Exec, Stream, TerminalSize};

use super::channel::Channel;
use super::sys;

/// More input is not taken from the host while so much waits for the program to read it.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// What a terminal takes for the end of input, at the beginning of a line (EOT).
const END_OF_INPUT: u8 = 4;

/// The program's side: standard input, output and error.
pub struct ProgramSide(pub [Stdio; 3]);

/// Our side.
pub struct Streams {
    pub input: Input,
    pub stdout: Output,
    pub stderr: Output,
    terminal: Option<File>,
}

impl Streams {
    /// Both sides, with what the program gets to read from the start.
    pub fn open(exec: &Exec) -> io::Result<(ProgramSide, Self)> {
        let rest = exec.stdin.clone();
        let is_open = exec.keeps_input;
        if let Some(size) = exec.terminal {
            let (ours, theirs) = sys::open_terminal(size)?;
            let ours = File::from(ours);
            sys::set_nonblocking(ours.as_fd())?;
            let streams = Self {
                input: Input::new(ours.try_clone()?, true, rest, is_open),
                stdout: Output::new(Stream::Stdout, Some(ours.try_clone()?)),
                stderr: Output::new(Stream::Stderr, None),
                terminal: Some(ours),
            };
            let sides = [theirs.try_clone()?, theirs.try_clone()?, theirs];
            return Ok((ProgramSide(sides.map(Stdio::from)), streams));
        }
        let (stdin, input) = io::pipe()?;
        let (stdout, theirs_out) = io::pipe()?;
        let (stderr, theirs_err) = io::pipe()?;
        let ours = |fd: OwnedFd| -> io::Result<File> {
            sys::set_nonblocking(fd.as_fd())?;
            Ok(File::from(fd))
        };
        let streams = Self {
            input: Input::new(ours(input.into())?, false, rest, is_open),
            stdout: Output::new(Stream::Stdout, Some(ours(stdout.into())?)),
            stderr: Output::new(Stream::Stderr, Some(ours(stderr.into())?)),
            terminal: None,
        };
        let sides = [stdin.into(), theirs_out.into(), theirs_err.into()];
        Ok((ProgramSide(sides), streams))
    }

    /// Gives the terminal another size, if there is one; the kernel tells the program.
    pub fn resize(&self, size: TerminalSize) -> io::Result<()> {
        match &self.terminal {
            Some(terminal) => sys::set_terminal_size(terminal.as_fd(), size),
            None => Ok(()),
        }
    }

    /// Whether both outputs have ended.
    pub fn have_ended(&self) -> bool {
        self.stdout.fd().is_none() && self.stderr.fd().is_none()
    }
}

/// What the program has yet to read.
pub struct Input {
    /// `None` once it is closed.
    pipe: Option<File>,
    is_terminal: bool,
    rest: Vec<u8>,
    /// How much of `rest` is written.
    written: usize,
    /// Whether more may come.
    is_open: bool,
}

impl Input {
    fn new(pipe: File, is_terminal: bool, rest: Vec<u8>, is_open: bool) -> Self {
        let mut input = Self {
            pipe: Some(pipe),
            is_terminal,
            rest,
            written: 0,
            is_open: true,
        };
        if !is_open {
            input.close();
        }
        input.feed();
        input
    }

    /// To wait until the program reads; nothing while there is nothing for it to read.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        let waits = self.written < self.rest.len();
        self.pipe.as_ref().filter(|_| waits).map(AsFd::as_fd)
    }

    /// Whether the host's next order may be taken.
    pub fn has_room(&self) -> bool {
        self.rest.len() - self.written < INPUT_BYTES_MAX
    }

    /// More to read. What comes after the end is dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.is_open && self.pipe.is_some() {
            self.rest.drain(..self.written);
            self.written = 0;
            self.rest.extend_from_slice(bytes);
            self.feed();
        }
    }

    /// Nothing more will come.
    pub fn close(&mut self) {
        if self.is_open && self.is_terminal {
            self.rest.push(END_OF_INPUT);
        }
        self.is_open = false;
        self.feed();
    }

    /// Writes what the program's side takes. A pipe is closed after the last byte, or when nobody
    /// reads it; a terminal stays.
    pub fn feed(&mut self) {
        while let Some(pipe) = &mut self.pipe {
            let rest = &self.rest[self.written..];
            if rest.is_empty() {
                if !self.is_open && !self.is_terminal {
                    self.pipe = None;
                }
                return;
            }
            match pipe.write(rest) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }
}

/// One of the program's outputs.
pub struct Output {
    stream: Stream,
    /// `None` after its end.
    pipe: Option<File>,
    /// Bytes read so far.
    pub seen: u64,
}

impl Output {
    fn new(stream: Stream, pipe: Option<File>) -> Self {
        Self {
            stream,
            pipe,
            seen: 0,
        }
    }

    /// To wait for more, before its end.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Reads a piece, if there is one, and sends as much of it as is within `most` in all.
    pub fn pass_on(&mut self, most: u64, channel: &mut Channel) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        let mut buffer = [0; OUTPUT_BYTES_MAX];
        match pipe.read(&mut buffer) {
            Ok(0) => self.pipe = None,
            Ok(length) => {
                let room = usize::try_from(most.saturating_sub(self.seen)).unwrap_or(usize::MAX);
                self.seen += length as u64;
                let bytes = &buffer[..length.min(room)];
                if !bytes.is_empty() {
                    channel.send(&Event::Output {
                        stream: self.stream,
                        bytes: bytes.to_vec(),
                    })?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // A terminal that nobody has open any more.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => self.pipe = None,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
