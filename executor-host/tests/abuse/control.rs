//! The control job: an innocent program that looks around, and must find nothing of anybody else.

use std::time::{Duration, Instant};

use codecrafter_shared::job::Outcome;

use crate::world::{Program, World, only_run, printed};

/// How long it may take at the most, with a container of its own if there is none: several times
/// what it usually does, so that only what an attack has done to the host is seen.
const NORMAL: Duration = Duration::from_secs(2);
/// The same where it is compiled first, by a compiler that is slow to start.
const NORMAL_COMPILED: Duration = Duration::from_secs(5);
/// One of so many must be as fast as that: others use this machine too.
const TRIES: usize = 3;

/// Runs the control job of a language and sees that it is as ever.
pub async fn passes(world: &World, language: &str) {
    let (program, expected, normal) = of(language);
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
