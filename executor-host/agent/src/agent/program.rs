//! One program from start to end: feeds it, passes its output on, holds it to its limits, and
//! leaves no process of it behind.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use agent_protocol::{BASE_ENV, Ended, Exec, Exit, Limit, Order};

use super::channel::Channel;
use super::counters::Counters;
use super::streams::{ProgramSide, Streams};
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
    let (theirs, streams) = Streams::open(exec)?;
    // The program's side of the streams is closed here with the command.
    let child = match command(exec, theirs, user)?.spawn() {
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
        streams,
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

/// The command, confined, with streams of its own.
fn command(exec: &Exec, theirs: ProgramSide, user: User) -> io::Result<Command> {
    let (program, arguments) = exec
        .argv
        .split_first()
        .ok_or_else(|| io::Error::other("there is no program to run"))?;
    let ProgramSide([stdin, stdout, stderr]) = theirs;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(BASE_ENV.iter().copied())
        .envs(exec.env.iter().map(|(name, value)| (name, value)))
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr);
    // One second more than all processes may have together, so that our own limit comes first.
    let cpu_seconds = u64::from(exec.limits.cpu_ms).div_ceil(1000) + 1;
    sys::confine(&mut command, user, cpu_seconds, exec.terminal.is_some());
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
        left_files: false,
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
    streams: Streams,
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
        // What came together with the order to run.
        self.obey(channel)?;
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
            self.streams.input.feed();
            self.obey(channel)?;
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

    /// Does as the host says meanwhile, as far as the program reads what it gets.
    fn obey(&mut self, channel: &mut Channel) -> io::Result<()> {
        while self.exec.keeps_input && self.streams.input.has_room() {
            match channel.received_order()? {
                None => break,
                Some(Order::Input { bytes }) => self.streams.input.push(&bytes),
                Some(Order::CloseInput) => self.streams.input.close(),
                Some(Order::Resize(size)) => self.streams.resize(size)?,
                Some(Order::Signal { number }) => match sys::signal_group(self.pid, number) {
                    // It has just ended, or there is no such signal.
                    Err(error) if error.raw_os_error() == Some(libc::EPERM) => return Err(error),
                    _ => {}
                },
                Some(order) => {
                    let what = format!("{order:?} came while a program ran");
                    return Err(io::Error::other(what));
                }
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
        channel: &mut Channel,
        children: &Children,
    ) -> io::Result<()> {
        let hears = self.exec.keeps_input && self.streams.input.has_room();
        let interest = if hears {
            Interest::Read
        } else {
            Interest::Gone
        };
        let mut fds = vec![
            PollFd::new(channel.input_fd(), interest),
            PollFd::new(children.fd(), Interest::Read),
        ];
        if channel.has_pending() {
            fds.push(PollFd::new(channel.output_fd(), Interest::Write));
        }
        if !channel.is_full() {
            let outputs = [self.streams.stdout.fd(), self.streams.stderr.fd()];
            fds.extend(
                outputs
                    .into_iter()
                    .flatten()
                    .map(|fd| PollFd::new(fd, Interest::Read)),
            );
        }
        let input = self.streams.input.fd();
        fds.extend(input.map(|fd| PollFd::new(fd, Interest::Write)));
        sys::poll(&mut fds, Some(wait))?;
        // The kernel ends everything in the container with its first process.
        if fds[0].is_ready() && !(hears && channel.receive()?) {
            return Err(io::Error::other("the host has gone"));
        }
        Ok(())
    }

    /// Passes on what both outputs hold, a piece of each.
    fn pass_on(&mut self, channel: &mut Channel) -> io::Result<()> {
        let most = u64::from(self.exec.limits.output_bytes);
        for output in [&mut self.streams.stdout, &mut self.streams.stderr] {
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
        while !self.streams.have_ended() {
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
            stdout_bytes: self.streams.stdout.seen,
            stderr_bytes: self.streams.stderr.seen,
            left_files: false,
        }
    }
}
