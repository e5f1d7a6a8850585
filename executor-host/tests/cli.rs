//! The command line, as an operator and `xtask` use it.

mod common;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::{Edge, JOIN_TOKEN, PATIENCE};
use executor_host::queue::contract::job;
use executor_host::queue::{Embedded, Queue as _};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Runs the program with these arguments and environment, and no other settings.
async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_executor-host"));
    command
        .env_clear()
        .args(arguments)
        .envs(environment.iter().copied());
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn stdout(output: &Output) -> &str {
    assert!(output.status.success(), "{output:?}");
    std::str::from_utf8(&output.stdout).unwrap()
}

fn refusal(output: &Output) -> &str {
    assert!(!output.status.success(), "{output:?}");
    std::str::from_utf8(&output.stderr).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn join_token_is_the_one_that_the_edge_derives_from_the_same_secret() {
    let output = run(&["join-token"], &[("CODECRAFTER_SECRET", SECRET)]).await;
    let expected = codecrafter_shared::keys::join_token(SECRET.as_bytes());
    assert_eq!(stdout(&output), format!("{expected}\n"));
    let output = run(&["join-token"], &[("CODECRAFTER_SECRET", "too short")]).await;
    assert!(refusal(&output).contains("at least 32"), "{output:?}");
    assert!(
        !refusal(&output).contains("too short"),
        "a secret is never shown"
    );
    assert!(refusal(&run(&["join-token"], &[]).await).contains("set CODECRAFTER_SECRET"));
}

#[tokio::test]
async fn operator_token_is_the_one_that_the_edge_derives_and_no_join_token() {
    let secret = [("CODECRAFTER_SECRET", SECRET)];
    let output = run(&["operator-token"], &secret).await;
    let expected = codecrafter_shared::keys::operator_token(SECRET.as_bytes());
    assert_eq!(stdout(&output), format!("{expected}\n"));
    assert_ne!(output.stdout, run(&["join-token"], &secret).await.stdout);
    let output = run(&["operator-token"], &[("CODECRAFTER_SECRET", "too short")]).await;
    assert!(!refusal(&output).contains("too short"), "{output:?}");
}

#[tokio::test]
async fn join_enrols_once_and_may_be_repeated() {
    let (edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    let join = [
        "join",
        &url,
        "--name",
        "lab 3",
        "--state-dir",
        text(folder.path()),
    ];
    let token = [("CODECRAFTER_JOIN_TOKEN", JOIN_TOKEN)];
    let first = run(&join, &token).await;
    assert!(stdout(&first).starts_with("joined "), "{first:?}");
    assert!(!stdout(&first).contains(JOIN_TOKEN));
    let second = run(&join, &token).await;
    assert!(stdout(&second).contains("already"), "{second:?}");
    assert_eq!(edge.state().hosts.len(), 1);
    let wrong = [&join[..], &["--again", "--token", "wrong"]].concat();
    assert!(refusal(&run(&wrong, &[]).await).contains("token_invalid"));
}

#[tokio::test]
async fn join_sends_no_token_in_the_clear_unless_it_is_told_to() {
    let folder = TempDir::new().unwrap();
    let at = |url: &'static str| {
        let arguments = [
            "join",
            url,
            "--token",
            "t",
            "--state-dir",
            text(folder.path()),
        ];
        async move { refusal(&run(&arguments, &[]).await).to_owned() }
    };
    assert!(at("http://192.0.2.1").await.contains("use https://"));
    assert!(at("ftp://192.0.2.1").await.contains("use https://"));
    assert!(
        at("https://192.0.2.1/api")
            .await
            .contains("ends after its host and port")
    );
    assert!(at("code.example").await.contains("not a URL"));
}

#[tokio::test]
async fn queue_tells_how_much_waits_also_while_the_queue_is_in_use() {
    let folder = TempDir::new().unwrap();
    let arguments = ["queue", "--json", "--state-dir", text(folder.path())];
    let shown = async || -> serde_json::Value {
        serde_json::from_str(stdout(&run(&arguments, &[]).await)).unwrap()
    };
    let expected = |ready: u32| {
        serde_json::json!({
            "queue": "embedded", "ready": ready, "running": 0, "results": 0, "parked": 0,
        })
    };
    assert_eq!(shown().await, expected(0));
    let queue = Embedded::open(&folder.path().join("queue.db")).unwrap();
    queue.publish(&job(1)).await.unwrap();
    assert_eq!(shown().await, expected(1));
}

#[tokio::test]
async fn serve_says_what_is_missing() {
    let folder = TempDir::new().unwrap();
    let state = ("CODECRAFTER_STATE_DIR", text(folder.path()));
    for arguments in [&[][..], &["serve"], &["--slots", "3"]] {
        let output = run(arguments, &[state]).await;
        assert!(
            refusal(&output).contains("executor-host join"),
            "{output:?}"
        );
    }
    for role in ["link", "worker"] {
        let output = run(&["serve", "--role", role], &[state]).await;
        assert!(
            refusal(&output).contains("embedded queue belongs to one process"),
            "{output:?}"
        );
    }
    let gateway = run(&["--role", "gateway"], &[state]).await;
    assert!(refusal(&gateway).contains("no gateway"), "{gateway:?}");
    // A broker is no reason to do without an edge, except for a worker.
    let broker = ("AMQP_URL", "amqp://user:hunter2@host");
    for arguments in [&[][..], &["--role", "link"]] {
        let output = run(arguments, &[state, broker]).await;
        assert!(
            refusal(&output).contains("executor-host join"),
            "{output:?}"
        );
    }
}

#[tokio::test]
async fn a_broker_that_cannot_be_used_is_told_without_its_password() {
    let folder = TempDir::new().unwrap();
    let state = ("CODECRAFTER_STATE_DIR", text(folder.path()));
    for url in ["user:hunter2@host", "http://user:hunter2@host"] {
        for command in ["serve", "queue"] {
            let output = run(&[command], &[state, ("AMQP_URL", url)]).await;
            assert!(refusal(&output).contains("AMQP_URL: "), "{output:?}");
            assert!(!refusal(&output).contains("hunter2"), "{output:?}");
        }
    }
    let away = ("AMQP_URL", "amqp://user:hunter2@127.0.0.1:1");
    let output = run(&["queue"], &[state, away]).await;
    assert!(
        refusal(&output).contains("amqp://127.0.0.1:1"),
        "{output:?}"
    );
    assert!(!refusal(&output).contains("hunter2"), "{output:?}");
    let prefix = ["queue", "--amqp-prefix", "a b"];
    let output = run(&prefix, &[state]).await;
    assert!(refusal(&output).contains("1–100 characters"), "{output:?}");
    let help = run(&["serve", "--help"], &[away]).await;
    assert!(stdout(&help).contains("AMQP_URL"));
    assert!(!stdout(&help).contains("hunter2"));
}

#[tokio::test]
async fn no_log_level_shows_the_password_of_a_broker() {
    let (_edge, url) = Edge::start().await;
    let folder = TempDir::new().unwrap();
    Edge::enrol(&url, folder.path()).await;
    let log = "trace,lapin=trace,amq_protocol_tcp=trace";
    let mut link = tokio::process::Command::new(env!("CARGO_BIN_EXE_executor-host"))
        .env_clear()
        .args(["serve", "--role", "link", "--log", log])
        .env("CODECRAFTER_STATE_DIR", folder.path())
        .env("AMQP_URL", "amqp://user:hunter2@127.0.0.1:1")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(link.stderr.take().unwrap()).lines();
    // By then it has tried.
    loop {
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap();
        let line = line.unwrap().expect("it goes on");
        assert!(!line.contains("hunter2"), "{line}");
        if line.contains("is not there") {
            return;
        }
    }
}

#[tokio::test]
async fn settings_of_serve_in_the_environment_do_not_disturb_other_commands() {
    let folder = TempDir::new().unwrap();
    let environment = [
        ("CODECRAFTER_STATE_DIR", text(folder.path())),
        ("CODECRAFTER_SLOTS", "3"),
        ("CODECRAFTER_WARM", "0"),
        ("AMQP_URL", ""),
    ];
    let output = run(&["queue"], &environment).await;
    assert!(stdout(&output).contains("ready"), "{output:?}");
}

#[tokio::test]
async fn settings_out_of_range_are_refused_with_the_range() {
    for (setting, value) in [
        ("CODECRAFTER_SLOTS", "0"),
        ("CODECRAFTER_GRACE_SECONDS", "601"),
        ("CODECRAFTER_WARM", "65"),
    ] {
        let output = run(&["serve"], &[(setting, value)]).await;
        assert!(refusal(&output).contains("is not in"), "{output:?}");
    }
}

#[tokio::test]
async fn help_shows_no_secret_of_the_environment() {
    let output = run(
        &["join", "--help"],
        &[("CODECRAFTER_JOIN_TOKEN", "hunter2")],
    )
    .await;
    assert!(stdout(&output).contains("CODECRAFTER_JOIN_TOKEN"));
    assert!(!stdout(&output).contains("hunter2"));
}
