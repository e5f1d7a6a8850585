//! Attacks on the sandbox, each a real program in a real container, in every isolation mode; and
//! what the host looks like afterwards. Needs a Docker engine and the images; run by
//! `cargo xtask test --only abuse`, or by hand with
//! `cargo test -p codecrafter-executor-host --test abuse -- --ignored`, with a part of a name
//! behind it for the cases of that name alone.
//!
//! A case's name begins with its number. [`resources`] and [`output`] use up what there is,
//! [`compile`] attacks by the compiler, [`isolation`] and [`traces`] look for ways out and to
//! other jobs, [`files`] is what comes back beside output, [`terminal`] what
//! somebody sits at, [`service`] about who waits for the result. [`world`] runs them,
//! [`host`] is what must hold after each, [`control`] the innocent job that must not notice.
//! [`weakened`] are the controls of all that: a wall is taken away, and the attack that it stops
//! succeeds.

mod compile;
mod control;
mod files;
mod host;
mod isolation;
mod output;
mod resources;
mod service;
mod soak;
mod terminal;
mod traces;
mod weakened;
mod world;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use crate::world::{Attack, Mode, block_on};

/// Cases that are not run, by a part of their names, and why. They are counted as skipped.
const SKIPPED: &[(&str, &str)] = &[];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // As in every suite that needs a service: `--ignored` says that it is there. What is ignored
    // all the same is then what is skipped.
    let is_asked_for = arguments.ignored || arguments.include_ignored;
    (arguments.ignored, arguments.include_ignored) = (false, false);
    let mut trials = Vec::new();
    for (name, trial) in all() {
        let why = SKIPPED.iter().find(|(part, _)| name.contains(part));
        let why = why.map(|(_, why)| *why).or_else(|| soak::skipped(&name));
        if let (Some(why), true) = (why, is_asked_for && !arguments.list) {
            println!("skipped {name}: {why}");
        }
        trials.push(trial.with_ignored_flag(!is_asked_for || why.is_some()));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    block_on(world::close_all());
    conclusion.exit_code()
}

/// Every case by its name.
fn all() -> Vec<(String, Trial)> {
    let groups = [
        ("resources", resources::attacks()),
        ("output", output::attacks()),
        ("compile", compile::attacks()),
        ("isolation", isolation::attacks()),
        ("traces", traces::attacks()),
        ("files", files::attacks()),
        ("terminal", terminal::attacks()),
        ("service", service::attacks()),
        ("soak", soak::attacks()),
    ];
    let mut trials = Vec::new();
    for (group, attacks) in groups {
        for Attack { name, run } in attacks {
            for mode in Mode::ALL {
                let name = format!("{group}::{}::{name}", mode.name());
                trials.push((
                    name.clone(),
                    Trial::test(name, move || world::case(*mode, run)),
                ));
            }
        }
    }
    for (name, control) in weakened::controls() {
        let name = format!("weakened::{name}");
        trials.push((
            name.clone(),
            Trial::test(name, move || world::alone(control)),
        ));
    }
    trials
}
