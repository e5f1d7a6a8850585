//! The control job: an innocent program that looks around, and must find nothing of anybody else.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use codecrafter_shared::job::Outcome;

use crate::world::{Mode, Program, World, only_run, printed};

/// How long it may take in any case, with a container of its own if there is none: several times
/// what it usually does, so that only what an attack has done to the host is seen.
const NORMAL: Duration = Duration::from_secs(2);
/// The same where it is compiled first, by a compiler that is slow to start.
const NORMAL_COMPILED: Duration = Duration::from_secs(5);
/// On a machine that is slow itself it may take so many times what it took there before any attack.
const TIMES: u32 = 5;
/// One of so many must be as fast as that: others use this machine too.
const TRIES: usize = 10;

/// What it took before any attack, by mode and language.
static BEFORE: Mutex<Option<HashMap<(Mode, String), Duration>>> = Mutex::new(None);

/// Runs the control job of a language before it is attacked in, if nobody has in this mode.
pub async fn measure(world: &World, language: &str) {
    let place = (world.mode, language.to_owned());
    let known = |before: &mut HashMap<_, _>| before.contains_key(&place);
    if with_before(known) {
        return;
    }
    let (program, expected, _) = of(language);
    let began = Instant::now();
    finds_nothing(world.run(&program.0).await, &expected);
    let took = began.elapsed();
    with_before(|before| *before.entry(place.clone()).or_insert(took));
}

fn with_before<T>(work: impl FnOnce(&mut HashMap<(Mode, String), Duration>) -> T) -> T {
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    work(before.get_or_insert_default())
}

/// Runs the control job of a language and sees that it is as ever.
pub async fn passes(world: &World, language: &str) {
    let (program, expected, normal) = of(language);
    let place = (world.mode, language.to_owned());
    let before = with_before(|before| before.get(&place).copied());
    let normal = normal.max(before.unwrap_or_default() * TIMES);
    let mut fastest = Duration::MAX;
    for _ in 0..TRIES {
        let began = Instant::now();
        let outcome = world.run(&program.0).await;
        fastest = fastest.min(began.elapsed());
        finds_nothing(outcome, &expected);
        if fastest <= normal {
            return;
        }
    }
    panic!("an innocent job in {language} takes {fastest:?}");
}

#[track_caller]
fn finds_nothing(outcome: Outcome, expected: &str) {
    let run = only_run(outcome);
    // Go's compiler keeps its settings there, unless it did not have to run.
    let seen = printed(&run).replace("/tmp: go\n", "/tmp: \n");
    assert_eq!(seen, expected);
}

/// The job, what it prints, and how long it may take.
fn of(language: &str) -> (Program, String, Duration) {
    // Its own files first, then those of others and how many processes there are, all of which
    // every language can look at.
    let seen = |own: &str| format!("/work: {own}\n/tmp: \n/dev/shm: \n/dev/mqueue: \n/proc: 2\n");
    let (code, own) = match language {
        "python" => {
            let all = format!("{}{PYTHON_SEES}", seen("main.py"));
            return (Program::python(PYTHON), all, NORMAL);
        }
        "builder" => {
            let code = format!("{BUILD}{PYTHON}");
            let all = format!("{}{PYTHON_SEES}", seen("main.py program"));
            return (Program::builder(&code), all, NORMAL);
        }
        "c" => (include_str!("programs/control.c"), "main.c program"),
        "cpp" => (include_str!("programs/control.c"), "main.cpp program"),
        "rust" => (include_str!("programs/control.rs"), "main.rs program"),
        "go" => (
            include_str!("programs/control.go"),
            "go.mod main.go program",
        ),
        "java" => (
            include_str!("programs/Control.java"),
            ".launch Main.class Main.java",
        ),
        other => panic!("there is no control job in {other}"),
    };
    let normal = match language {
        "c" => NORMAL,
        _ => NORMAL_COMPILED,
    };
    (Program::new(language, code), seen(own), normal)
}

const PYTHON: &str = include_str!("programs/control.py");

/// What the one in Python sees beyond that.
const PYTHON_SEES: &str = "\
System V: 0 0 0
sockets: 0
locks: 0
variables: HOME LANG PATH PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED
/work 0o22 0 0 1024
";

/// Makes a program of its own text.
const BUILD: &str = "\
import os
if not os.path.exists('program'):
    open('program', 'w').write('#!/usr/bin/python3\\n' + open('main.py').read())
    os.chmod('program', 0o755)
    raise SystemExit
";
