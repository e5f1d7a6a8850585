//! The order loop. [`channel`] is the host, [`program`] runs one program, [`workspace`] is the
//! files, [`counters`] what the container has used, [`sys`] every call that the standard library lacks.
//!
//! One thread, on purpose: [`sys::as_program_user`] forks and goes on in the child.

mod channel;
mod counters;
mod program;
mod sys;
mod workspace;

use std::io;
use std::process::ExitCode;

use agent_protocol::{Event, Order, VERSION};

use channel::Channel;
use workspace::Saved;

/// Takes orders until the host closes the channel.
pub fn main() -> ExitCode {
    // The image's check that the binary is whole, without a host at the other end.
    if std::env::args().nth(1).as_deref() == Some("--version") {
        println!("codecrafter-agent protocol {VERSION}");
        return ExitCode::SUCCESS;
    }
    match serve() {
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
    let children = sys::Children::watch()?;
    let mut channel = Channel::over_stdio()?;
    channel.send(&Event::Ready { version: VERSION })?;

    let mut state = State::default();
    while let Some(order) = channel.next_order()? {
        if let Err(error) = carry_out(order, &mut state, &mut channel, &children) {
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

/// What one order leaves for the next.
#[derive(Default)]
struct State {
    /// A program has run: the work directory may hold anything, so nothing is written there
    /// from outside any more.
    tainted: bool,
    saved: Option<Saved>,
}

fn carry_out(
    order: Order,
    state: &mut State,
    channel: &mut Channel,
    children: &sys::Children,
) -> io::Result<()> {
    match order {
        Order::File { .. } if state.tainted => {
            Err(io::Error::other("a file came after a program had run"))
        }
        Order::File { path, content } => workspace::write(&path, &content),
        Order::Exec(exec) => {
            state.tainted = true;
            let ended = program::run(&exec, channel, children)?;
            channel.send(&Event::Ended(ended))
        }
        Order::Save => {
            state.saved = Some(Saved::take()?);
            Ok(())
        }
        Order::Restore => match &state.saved {
            Some(saved) => saved.restore(),
            None => Err(io::Error::other("nothing was saved to restore")),
        },
    }
}
