//! `executor-host run`, as an operator uses it.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use codecrafter_shared::job::{Outcome, Verdict};

/// Runs the command with this standard input, and settings of nobody else.
fn run(arguments: &[&str], file: &Path, stdin: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_executor-host"));
    command.env_clear().arg("run").arg(file).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(stdin.as_bytes()).unwrap();
    drop(input);
    child.wait_with_output().unwrap()
}

fn source(name: &str, code: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, code).unwrap();
    (folder, file)
}

#[test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
fn one_program_is_run_with_its_input_and_arguments_and_its_exit_code_is_ours() {
    let code = "import sys\nprint(input(), sys.argv[1])\nprint('oh', file=sys.stderr)\nexit(3)";
    let (_folder, file) = source("a.py", code);
    let output = run(&["--", "there"], &file, "hello\n");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(output.stdout, b"hello there\n");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.starts_with("oh\nruntime error, exit code 3, "),
        "{told}"
    );
}

#[test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
fn what_a_limit_ended_or_a_compiler_refused_is_said_and_is_no_success() {
    let (_folder, file) = source("a.py", "while True: pass");
    let output = run(&["--json", "--cpu-ms", "100"], &file, "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let outcome: Outcome = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcome.verdict, Verdict::TimeLimit);

    let (_folder, file) = source("a.c", "int main(void) { return }");
    let output = run(&[], &file, "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("error:") && told.contains("\ncompile error, "),
        "{told}"
    );
}

#[test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
fn at_a_terminal_the_program_has_it_and_gives_it_back() {
    let code = "import os\nname = input('Who? ')\nprint('Hello', name, os.isatty(0))";
    let (_folder, file) = source("a.py", code);
    let program = env!("CARGO_BIN_EXE_executor-host");
    // Both commands see one terminal after the other; `script` plays the person's end of it.
    let both = format!("{program} run {} && stty -a", file.display());
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &both, "/dev/null"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut terminal = command.spawn().unwrap();
    let (mut keys, mut seen) = (terminal.stdin.take().unwrap(), String::new());
    let mut screen = terminal.stdout.take().unwrap();
    while !seen.contains("Who? ") {
        let mut byte = [0];
        screen.read_exact(&mut byte).unwrap();
        seen.push(char::from(byte[0]));
    }
    keys.write_all(b"Ada\n").unwrap();
    screen.read_to_string(&mut seen).unwrap();
    assert!(terminal.wait().unwrap().success(), "{seen}");
    assert!(seen.contains("Hello Ada True\r\n"), "{seen}");
    assert!(seen.contains("accepted, exit code 0"), "{seen}");
    assert!(
        seen.contains(" icanon ") && seen.contains(" echo "),
        "{seen}"
    );
}
