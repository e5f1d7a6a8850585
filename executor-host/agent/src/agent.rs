//! The order loop. [`channel`] is the host, [`workspace`] is the files, [`program`] runs one
//! program on its [`streams`], [`collect`] gives the files that it leaves, [`counters`] what the
//! container has used, [`users`] is the name of its user, [`reset`] what comes between two jobs,
//! [`sys`] every call that the standard library lacks.
//!
//! One thread, on purpose: [`sys::as_user`] forks and goes on in the child.

mod channel;
mod collect;
mod counters;
mod program;
mod reset;
mod streams;
mod sys;
mod users;
mod workspace;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::ExitCode;

use agent_protocol::wire::PIECE_BYTES_MAX;
use agent_protocol::{Event, Order, VERSION, WORK_DIR};

use channel::Channel;
use collect::Before;
use reset::Pristine;
use sys::User;
use users::Users;
use workspace::Saved;

/// Takes orders until the host closes the channel.
pub fn main() -> ExitCode {
    // For the image that is being built, without a host at the other end.
    let done = match std::env::args().nth(1).as_deref() {
        Some("--version") => {
            println!("codecrafter-agent protocol {VERSION}");
            Ok(())
        }
        Some("--prepare-image") => users::prepare_image(),
        _ => serve(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agent: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says [`Event::Ready`] and carries out orders. `Ok` when the host has closed the channel.
fn serve() -> io::Result<()> {
    // Programs are of another user; with this, none can look into the agent by /proc either.
    sys::make_undumpable()?;
    keep_terminals()?;
    let children = sys::Children::watch()?;
    let users = Users::of_image();
    let mut state = State::new(user(fs::metadata(WORK_DIR)?.uid())?);
    users.announce(state.user)?;
    let mut channel = Channel::over_stdio()?;
    channel.send(&Event::Ready { version: VERSION })?;

    while let Some(order) = channel.next_order()? {
        if let Err(error) = carry_out(order, &mut state, (&mut channel, &children, &users)) {
            channel.send(&Event::Failed {
                reason: error.to_string(),
            })?;
            channel.flush()?;
            return Err(error);
        }
        channel.flush()?;
    }
    Ok(())
}

/// Keeps programs from opening terminals: the machine has some thousands for all containers
/// together, and one program could take them all. A program that is to have one gets it from us.
fn keep_terminals() -> io::Result<()> {
    match fs::set_permissions(TERMINALS, Permissions::from_mode(0o600)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        kept => kept,
    }
}

/// Where terminals come from.
const TERMINALS: &str = "/dev/pts/ptmx";

/// What one order leaves for the next.
struct State {
    /// Whom programs run as.
    user: User,
    /// A program has run: the work directory may hold anything, so nothing is written there
    /// from outside any more.
    tainted: bool,
    saved: Option<Saved>,
    /// What was there before the last program, if somebody wants the files that it leaves.
    before: Option<Before>,
    /// What has come of what is to be unpacked.
    unpacking: Vec<u8>,
    /// How everything was before the first job, if it is to serve several.
    pristine: Option<Pristine>,
}

impl State {
    fn new(user: User) -> Self {
        Self {
            user,
            tainted: false,
            saved: None,
            before: None,
            unpacking: Vec::new(),
            pristine: None,
        }
    }
}

fn user(id: u32) -> io::Result<User> {
    User::new(id).ok_or_else(|| io::Error::other(format!("programs cannot run as user {id}")))
}

fn carry_out(
    order: Order,
    state: &mut State,
    (channel, children, users): (&mut Channel, &sys::Children, &Users),
) -> io::Result<()> {
    match order {
        Order::File { .. } | Order::Unpack { .. } if state.tainted => {
            Err(io::Error::other("a file came after a program had run"))
        }
        Order::File { path, content } => workspace::write(state.user, &path, &content),
        Order::Unpack { bytes, last } => {
            state.unpacking.extend_from_slice(&bytes);
            if !last {
                return Ok(());
            }
            workspace::unpack(state.user, &std::mem::take(&mut state.unpacking))?;
            channel.send(&Event::Unpacked)
        }
        Order::Exec(exec) => {
            state.tainted = true;
            state.before = match exec.tells_files {
                true => Some(Before::look(state.user)?),
                false => None,
            };
            let mut ended = program::run(&exec, state.user, channel, children)?;
            ended.left_files = state.before.as_ref().is_some_and(Before::has_changed);
            channel.send(&Event::Ended(ended))
        }
        Order::Collect(wanted) => match &state.before {
            Some(before) => collect::collect(state.user, before, &wanted, channel),
            None => Err(io::Error::other("nobody looked before the program ran")),
        },
        Order::Save => {
            state.saved = Some(Saved::take(state.user)?);
            Ok(())
        }
        Order::Restore => match &state.saved {
            Some(saved) => saved.restore(state.user),
            None => Err(io::Error::other("nothing was saved to restore")),
        },
        // For a program that has ended meanwhile.
        Order::Input { .. } | Order::CloseInput | Order::Signal { .. } | Order::Resize(_) => Ok(()),
        Order::Pack { most } => {
            let packed = workspace::pack(state.user, most)?.unwrap_or_default();
            let mut pieces = packed.chunks(PIECE_BYTES_MAX).peekable();
            loop {
                let bytes = pieces.next().unwrap_or_default().to_vec();
                let last = pieces.peek().is_none();
                channel.send(&Event::Packed { bytes, last })?;
                channel.flush()?;
                if last {
                    return Ok(());
                }
            }
        }
        Order::Reset { user: next } => {
            let pristine = match state.pristine.take() {
                Some(pristine) => pristine,
                None if state.tainted => {
                    return Err(io::Error::other("a job ran before there was any reset"));
                }
                None => Pristine::look()?,
            };
            let next = user(next)?;
            reset::reset(&pristine, state.user, next, children)?;
            users.announce(next)?;
            *state = State {
                pristine: Some(pristine),
                ..State::new(next)
            };
            channel.send(&Event::Clean)
        }
    }
}
