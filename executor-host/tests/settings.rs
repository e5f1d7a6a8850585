//! Settings from files, from the environment and from flags, as an operator gives them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// What no output may hold.
const PASSWORD: &str = "hunter2";

/// A folder with settings in it.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self { folder }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Runs the program with these settings and no others.
    fn run(&self, arguments: &[&str], environment: &[(&str, &Path)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_executor-host"));
        command.env_clear().args(arguments);
        command.env("HOME", self.folder.path());
        command.envs(environment.iter().copied());
        let output = command.output().unwrap();
        for stream in [&output.stdout, &output.stderr] {
            let shown = String::from_utf8_lossy(stream);
            assert!(!shown.contains(PASSWORD), "{shown}");
        }
        output
    }

    fn config(&self, arguments: &[&str], environment: &[(&str, &Path)]) -> Value {
        let arguments = [&["config", "--json"], arguments].concat();
        let output = self.run(&arguments, environment);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn refusal(&self, arguments: &[&str], environment: &[(&str, &Path)]) -> String {
        let output = self.run(arguments, environment);
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn value(text: &str) -> &Path {
    Path::new(text)
}

#[test]
fn a_flag_is_stronger_than_a_variable_and_that_than_the_file_and_that_than_the_default() {
    let world = World::new();
    let file = world.file("a.toml", "# ours\nslots = 5\nwarm = 6\ngrace_seconds = 7\n");
    let environment = [
        ("CODECRAFTER_CONFIG", &*file),
        ("CODECRAFTER_SLOTS", value("9")),
        ("CODECRAFTER_WARM", value("8")),
    ];
    let shown = world.config(&["--slots", "11"], &environment);
    let at = |line: u32| format!("{}:{line}", file.display());
    for (key, expected) in [
        ("slots", json!({ "value": "11", "from": "--slots" })),
        ("warm", json!({ "value": "8", "from": "CODECRAFTER_WARM" })),
        ("grace_seconds", json!({ "value": "7", "from": at(4) })),
        (
            "amqp_prefix",
            json!({ "value": "codecrafter", "from": "default" }),
        ),
        (
            "docker_runtime",
            json!({ "value": null, "from": "default" }),
        ),
    ] {
        assert_eq!(shown[key], expected, "{key}");
    }
    // The flag names the file as the variable does, and is stronger too.
    let other = world.file("b.toml", "slots = 12\n");
    let shown = world.config(&["--config", text(&other)], &environment[..1]);
    assert_eq!(shown["slots"]["value"], "12");
    assert_eq!(shown["grace_seconds"]["value"], "10");
}

#[test]
fn what_is_shown_to_people_is_the_same() {
    let world = World::new();
    let file = world.file("a.toml", "slots = 5\n");
    let output = world.run(&["config", "--config", text(&file)], &[]);
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    let line = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(
        line("slots"),
        ["slots", "5", &format!("{}:1", file.display())]
    );
    let home = world.folder.path().join(".local/state/codecrafter");
    let known = [text(&home), "/var/lib/codecrafter"];
    assert!(known.contains(&line("state_dir")[1]), "{shown}");
}

#[test]
fn a_file_that_cannot_be_used_stops_every_command_that_is_given_it() {
    let world = World::new();
    let file = world.file("a.toml", "slots = 0\nslot = 1\n");
    for command in ["serve", "join-token", "languages", "doctor", "config"] {
        let refusal = world.refusal(&[command, "--config", text(&file)], &[]);
        for words in [
            "a.toml:1: slots: 0 is not in 1..=256",
            "a.toml:2: there is no setting",
        ] {
            assert!(refusal.contains(words), "{command}: {refusal}");
        }
    }
    let missing = world.folder.path().join("missing.toml");
    let refusal = world.refusal(&["config"], &[("CODECRAFTER_CONFIG", &missing)]);
    assert!(
        refusal.contains("missing.toml") && refusal.contains("No such file"),
        "{refusal}"
    );
}

#[test]
fn secrets_are_never_shown_wherever_they_come_from() {
    let world = World::new();
    let url = format!("amqp://user:{PASSWORD}@127.0.0.1:1");
    let (url_file, token_file) = (world.file("url", &url), world.file("token", PASSWORD));
    let in_file = world.file(
        "a.toml",
        &format!("amqp_url = \"{url}\"\njoin_token = \"{PASSWORD}\"\n"),
    );
    let files = world.file(
        "b.toml",
        &format!(
            "amqp_url_file = {:?}\njoin_token_file = {:?}\n",
            text(&url_file),
            text(&token_file)
        ),
    );
    let environments: [&[(&str, &Path)]; 4] = [
        &[
            ("AMQP_URL", value(&url)),
            ("CODECRAFTER_JOIN_TOKEN", value(PASSWORD)),
        ],
        &[
            ("AMQP_URL_FILE", &url_file),
            ("CODECRAFTER_JOIN_TOKEN_FILE", &token_file),
        ],
        &[("CODECRAFTER_CONFIG", &in_file)],
        &[("CODECRAFTER_CONFIG", &files)],
    ];
    for environment in environments {
        // Each command is seen by `run` to show none; this one has the broker from somewhere.
        let refusal = world.refusal(&["queue"], environment);
        assert!(refusal.contains("amqp://127.0.0.1:1"), "{refusal}");
        world.config(&[], environment);
        for command in ["serve", "join", "config", "doctor"] {
            world.run(&[command, "--help"], environment);
        }
        let join = ["join", "http://127.0.0.1:1"];
        let refusal = world.refusal(&join, environment);
        assert!(refusal.contains("the edge does not answer"), "{refusal}");
    }
    let shown = world.config(&[], &[("CODECRAFTER_CONFIG", &in_file)]);
    assert_eq!(shown["amqp_url"]["value"], "(not shown)");
}

#[test]
fn the_stronger_of_a_secret_and_its_file_counts_and_two_alike_are_refused() {
    let world = World::new();
    let url = |port: u16| format!("amqp://user:{PASSWORD}@127.0.0.1:{port}");
    let url_file = world.file("url", &format!("{}\n", url(2)));
    let settings = world.file(
        "a.toml",
        &format!("amqp_url_file = {:?}\n", text(&url_file)),
    );
    let (config, one) = (("CODECRAFTER_CONFIG", &*settings), url(1));
    let refusal = world.refusal(&["queue"], &[config]);
    assert!(refusal.contains("127.0.0.1:2"), "{refusal}");
    let refusal = world.refusal(&["queue"], &[config, ("AMQP_URL", value(&one))]);
    assert!(refusal.contains("127.0.0.1:1"), "{refusal}");
    // As Docker Compose leaves a variable that nobody has set.
    let refusal = world.refusal(&["queue"], &[config, ("AMQP_URL", value(""))]);
    assert!(refusal.contains("127.0.0.1:2"), "{refusal}");
    let both = [("AMQP_URL_FILE", &*url_file), ("AMQP_URL", value(&one))];
    let refusal = world.refusal(&["queue"], &both);
    assert!(refusal.contains("give one of them"), "{refusal}");
    let missing = world.folder.path().join("missing");
    let refusal = world.refusal(&["queue"], &[("AMQP_URL_FILE", &missing)]);
    assert!(
        refusal.contains("AMQP_URL_FILE") && refusal.contains("missing"),
        "{refusal}"
    );
}

#[test]
fn the_deployments_secret_may_lie_in_a_file() {
    let world = World::new();
    let file = world.file("secret", &format!("{SECRET}\n"));
    let output = world.run(&["join-token"], &[("CODECRAFTER_SECRET_FILE", &file)]);
    let expected = codecrafter_shared::keys::join_token(SECRET.as_bytes());
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("{expected}\n")
    );
    let both = [
        ("CODECRAFTER_SECRET_FILE", &*file),
        ("CODECRAFTER_SECRET", value(SECRET)),
    ];
    assert!(
        world
            .refusal(&["join-token"], &both)
            .contains("give one of them")
    );
}

#[test]
fn config_fails_when_a_setting_cannot_be_used_and_shows_it_still() {
    let world = World::new();
    let output = world.run(&["config", "--role", "worker"], &[]);
    assert!(!output.status.success(), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("--role"),
        "{output:?}"
    );
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("AMQP_URL"),
        "{output:?}"
    );
}

#[test]
fn an_address_that_somebody_has_is_named_before_anything_starts() {
    let world = World::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refusal = world.refusal(&["serve"], &[("CODECRAFTER_METRICS", value(&address))]);
    assert!(
        refusal.contains(&format!("--metrics {address}")),
        "{refusal}"
    );
}

/// So that the document is complete, and each name in it is one that there is.
#[test]
fn every_setting_is_in_the_document() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/settings.md");
    let document = std::fs::read_to_string(document).unwrap();
    let host = document
        .split("\n## ")
        .find(|part| part.starts_with("executor-host"));
    let host = host.unwrap();
    let shown = World::new().config(&[], &[]);
    let keys: Vec<&String> = shown.as_object().unwrap().keys().collect();
    for key in &keys {
        let variable = match key.starts_with("amqp_url") {
            true => key.to_uppercase(),
            false => format!("CODECRAFTER_{}", key.to_uppercase()),
        };
        assert!(
            host.contains(&format!("`{variable}`")),
            "{variable} is not in settings.md"
        );
    }
    let named = host.split("CODECRAFTER_").skip(1);
    let letters = |letter: char| letter.is_ascii_uppercase() || letter == '_';
    let named = named.map(|rest| &rest[..rest.find(|at| !letters(at)).unwrap_or(0)]);
    for name in named.filter(|name| !name.is_empty()) {
        let other = ["SECRET", "SECRET_FILE", "CONFIG"].contains(&name);
        assert!(
            other || keys.contains(&&name.to_lowercase()),
            "there is no CODECRAFTER_{name}"
        );
    }
}
