//! One program from start to end: feeds it, passes its output on, holds it to its limits, and
//! leaves no process of it behind.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use agent_protocol::wire::OUTPUT_BYTES_MAX;
use agent_protocol::{BASE_ENV, Ended, Event, Exec, Exit, Limit, Stream};

use super::channel::Channel;
use super::counters::Counters;
use super::sys::{self, Children, Interest, PollFd, Reaped, User, Wait};

/// How often CPU time is looked at, at the most.
const CPU_CHECK: Duration = Duration::from_millis(3);

/// Runs the program and returns when nothing of it is left.
///
/// # Errors
/// The channel broke or the system refused something that it always grants. What goes wrong
/// because of the program is in [`Ended`].
pub fn run(
    exec: &Exec,
    user: User,
    channel: &mut Channel,
    children: &Children,
) -> io::Result<Ended> {
    let counters = Counters::open();
    let cpu_before = counters.cpu().unwrap_or_default();
    let oom_kills_before = counters.oom_kills();
    let started = Instant::now();
    let mut child = match command(exec, user)?.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(not_started(&error)),
    };

    let mut run = Run {
        exec,
        pid: child.id(),
        started,
        counters,
        cpu_before,
        oom_kills_before,
        cores: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        input: Input::new(child.stdin.take(), &exec.stdin)?,
        stdout: Output::new(Stream::Stdout, child.stdout.take())?,
        stderr: Output::new(Stream::Stderr, child.stderr.take())?,
        first: None,
        cpu_waited: Duration::ZERO,
        peak_bytes: 0,
        limit: None,
    };
    run.attend(channel, children)?;
    let wall = started.elapsed();
    run.clear_away(channel, children)?;
    Ok(run.ended(wall))
}

/// The command, confined, with pipes of its own.
fn command(exec: &Exec, user: User) -> io::Result<Command> {
    let (program, arguments) = exec
        .argv
        .split_first()
        .ok_or_else(|| io::Error::other("there is no program to run"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(BASE_ENV.iter().copied())
        .envs(exec.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // One second more than all processes may have together, so that our own limit comes first.
    let cpu_seconds = u64::from(exec.limits.cpu_ms).div_ceil(1000) + 1;
    sys::confine(&mut command, user, cpu_seconds);
    Ok(command)
}

fn not_started(error: &io::Error) -> Ended {
    Ended {
        exit: Exit::NotStarted(error.raw_os_error().unwrap_or(libc::EINVAL)),
        limit: None,
        wall_us: 0,
        cpu_us: 0,
        peak_bytes: 0,
        oom_kills: 0,
        stdout_bytes: 0,
        stderr_bytes: 0,
    }
}

/// A program while it runs.
struct Run<'a> {
    exec: &'a Exec,
    pid: u32,
    started: Instant,
    counters: Counters,
    cpu_before: Duration,
    oom_kills_before: u64,
    cores: u32,
    input: Input<'a>,
    stdout: Output,
    stderr: Output,
    /// How the program's first process ended.
    first: Option<Exit>,
    /// CPU time of all that were waited for.
    cpu_waited: Duration,
    peak_bytes: u64,
    limit: Option<Limit>,
}

impl Run<'_> {
    /// Until the first process has ended or a limit is reached.
    fn attend(&mut self, channel: &mut Channel, children: &Children) -> io::Result<()> {
        while self.first.is_none() && self.limit.is_none() {
            let wait = match self.time_left() {
                Ok(wait) => wait,
                Err(limit) => {
                    self.limit = Some(limit);
                    break;
                }
            };
            self.wait_for_something(wait, channel, children)?;
            channel.send_pending()?;
            self.input.feed();
            if !channel.is_full() {
                self.pass_on(channel)?;
            }
            children.forget_signals();
            while let Some(reaped) = children.reap(Wait::Look)? {
                self.count(&reaped);
            }
        }
        Ok(())
    }

    /// How long until a limit may be reached at the earliest, or the limit that is.
    fn time_left(&self) -> Result<Duration, Limit> {
        let limits = &self.exec.limits;
        let wall = Duration::from_millis(u64::from(limits.wall_ms));
        let wall = wall
            .checked_sub(self.started.elapsed())
            .ok_or(Limit::Wall)?;
        let Some(cpu_used) = self.cpu_used() else {
            return Ok(wall);
        };
        let cpu = Duration::from_millis(u64::from(limits.cpu_ms));
        let cpu = cpu.checked_sub(cpu_used).ok_or(Limit::Cpu)?;
        // However many processes there are, they cannot use it up faster than this.
        Ok(wall.min((cpu / self.cores).max(CPU_CHECK)))
    }

    /// CPU time of everything in the container since the program's start.
    fn cpu_used(&self) -> Option<Duration> {
        Some(self.counters.cpu()?.saturating_sub(self.cpu_before))
    }

    fn wait_for_something(
        &self,
        wait: Duration,
        channel: &Channel,
        children: &Children,
    ) -> io::Result<()> {
        let mut fds = vec![
            PollFd::new(channel.input_fd(), Interest::Gone),
            PollFd::new(children.fd(), Interest::Read),
        ];
        if channel.has_pending() {
            fds.push(PollFd::new(channel.output_fd(), Interest::Write));
        }
        if !channel.is_full() {
            let outputs = [self.stdout.fd(), self.stderr.fd()];
            fds.extend(
                outputs
                    .into_iter()
                    .flatten()
                    .map(|fd| PollFd::new(fd, Interest::Read)),
            );
        }
        fds.extend(self.input.fd().map(|fd| PollFd::new(fd, Interest::Write)));
        sys::poll(&mut fds, Some(wait))?;
        if fds[0].is_ready() {
            // The kernel ends everything in the container with its first process.
            return Err(io::Error::other("the host has gone"));
        }
        Ok(())
    }

    /// Passes on what both outputs hold, a piece of each.
    fn pass_on(&mut self, channel: &mut Channel) -> io::Result<()> {
        let most = u64::from(self.exec.limits.output_bytes);
        for output in [&mut self.stdout, &mut self.stderr] {
            output.pass_on(most, channel)?;
            if output.seen > most {
                self.limit = Some(Limit::Output);
            }
        }
        Ok(())
    }

    /// Ends all that is left and passes on what is left in the pipes.
    fn clear_away(&mut self, channel: &mut Channel, children: &Children) -> io::Result<()> {
        for reaped in children.kill_all()? {
            self.count(&reaped);
        }
        // Nobody is left to write, so this ends; over the limit it is only counted.
        while self.stdout.fd().is_some() || self.stderr.fd().is_some() {
            self.pass_on(channel)?;
            channel.flush()?;
        }
        if self.limit.is_none() {
            let cpu_used = self.cpu_used().unwrap_or(self.cpu_waited);
            let cpu = Duration::from_millis(u64::from(self.exec.limits.cpu_ms));
            self.limit = (cpu_used > cpu).then_some(Limit::Cpu);
        }
        Ok(())
    }

    fn count(&mut self, reaped: &Reaped) {
        self.cpu_waited += reaped.cpu();
        self.peak_bytes = self.peak_bytes.max(reaped.peak_bytes());
        if reaped.pid == self.pid && self.first.is_none() {
            self.first = Some(match reaped.exit_code() {
                Some(code) => Exit::Code(code),
                None => Exit::Signal(reaped.signal()),
            });
        }
    }

    fn ended(self, wall: Duration) -> Ended {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Ended {
            // It was ours and is dead, so it was waited for; a kill is what it would be.
            exit: self.first.unwrap_or(Exit::Signal(libc::SIGKILL)),
            limit: self.limit,
            wall_us: micros(wall),
            cpu_us: micros(self.cpu_waited),
            peak_bytes: self.peak_bytes,
            oom_kills: self
                .counters
                .oom_kills()
                .saturating_sub(self.oom_kills_before),
            stdout_bytes: self.stdout.seen,
            stderr_bytes: self.stderr.seen,
        }
    }
}

/// What the program has yet to read.
struct Input<'a> {
    pipe: Option<ChildStdin>,
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn new(pipe: Option<ChildStdin>, rest: &'a [u8]) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            sys::set_nonblocking(pipe.as_fd())?;
        }
        let mut input = Self { pipe, rest };
        input.feed();
        Ok(input)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Writes what the pipe takes. Closes it after the last byte, or when nobody reads it.
    fn feed(&mut self) {
        while let Some(pipe) = &mut self.pipe {
            if self.rest.is_empty() {
                self.pipe = None;
                return;
            }
            match pipe.write(self.rest) {
                Ok(written) => self.rest = &self.rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }
}

/// One of the program's outputs.
struct Output {
    stream: Stream,
    /// `None` after its end.
    pipe: Option<Box<dyn ReadableFd>>,
    /// Bytes read so far.
    seen: u64,
}

trait ReadableFd: Read + AsFd {}
impl<T: Read + AsFd> ReadableFd for T {}

impl Output {
    fn new(stream: Stream, pipe: Option<impl ReadableFd + 'static>) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            sys::set_nonblocking(pipe.as_fd())?;
        }
        Ok(Self {
            stream,
            pipe: pipe.map(|pipe| Box::new(pipe) as _),
            seen: 0,
        })
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Reads a piece, if there is one, and sends as much of it as is within the limit.
    fn pass_on(&mut self, most: u64, channel: &mut Channel) -> io::Result<()> {
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
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
