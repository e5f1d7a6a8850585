//! A host that is broken in many ways, and a doctor who names each: the engine is one that says
//! whatever a test wants, everything else is broken for real.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Json, Response};
use common::Edge;
use executor_host::link::Credentials;
use executor_host::queue::Embedded;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener};

/// What no output may hold.
const PASSWORD: &str = "hunter2";

/// What an engine answers.
#[derive(Clone)]
struct Says {
    version: Value,
    info: Value,
    /// Whether it has an image of this name.
    has: fn(&str) -> bool,
}

impl Says {
    /// What a sound engine says.
    fn sound() -> Self {
        Self {
            version: json!({
                "Version": "28.5.1", "ApiVersion": "1.51", "MinAPIVersion": "1.24",
                "Arch": "amd64", "Os": "linux",
                "Components": [
                    { "Name": "Engine", "Version": "28.5.1" },
                    { "Name": "runc", "Version": "1.3.3" },
                ],
            }),
            info: json!({
                "MemoryLimit": true, "SwapLimit": true, "PidsLimit": true, "CpuCfsQuota": true,
                "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=userns"],
                "CgroupVersion": "2", "DockerRootDir": "/",
                "Runtimes": { "runc": { "path": "runc" } }, "Warnings": [],
            }),
            has: |_| true,
        }
    }
}

async fn answer(State(says): State<Arc<Mutex<Says>>>, uri: Uri) -> Response {
    let says = says.lock().unwrap().clone();
    let path = uri.path();
    // Every request but the first has the version of the API before its path.
    let path = match path.strip_prefix("/v1.") {
        Some(rest) => &rest[rest.find('/').unwrap()..],
        None => path,
    };
    let image = path.strip_prefix("/images/");
    let image = image.and_then(|image| image.strip_suffix("/json"));
    match (path, image) {
        ("/version", _) => Json(says.version).into_response(),
        ("/info", _) => Json(says.info).into_response(),
        ("/containers/json", _) => Json(json!([])).into_response(),
        (_, Some(image)) if (says.has)(image) => Json(json!({ "Id": "sha256:1" })).into_response(),
        (_, Some(_)) => (
            StatusCode::NOT_FOUND,
            Json(json!({ "message": "No such image" })),
        )
            .into_response(),
        _ => {
            let broken = Json(json!({ "message": "no space left on device" }));
            (StatusCode::INTERNAL_SERVER_ERROR, broken).into_response()
        }
    }
}

/// A host that is sound but for what a test breaks.
struct Host {
    folder: TempDir,
    says: Arc<Mutex<Says>>,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
}

/// What a check has found: its word, and what it says.
type Found = (String, String);

impl Host {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let says = Arc::new(Mutex::new(Says::sound()));
        let engine = Router::new().fallback(answer).with_state(Arc::clone(&says));
        let listener = UnixListener::bind(folder.path().join("engine.sock")).unwrap();
        tokio::spawn(async move { axum::serve(listener, engine).await.unwrap() });
        let host = Self {
            folder,
            says,
            arguments: vec!["--no-probes".into()],
            environment: BTreeMap::new(),
        };
        fs::create_dir(host.state()).unwrap();
        let (socket, state) = (host.path("engine.sock"), host.state());
        host.set("CODECRAFTER_DOCKER_SOCKET", text(&socket))
            .set("CODECRAFTER_STATE_DIR", text(&state))
            .set("CODECRAFTER_SLOTS", "1")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn state(&self) -> PathBuf {
        self.path("state")
    }

    fn set(mut self, variable: &str, value: &str) -> Self {
        self.environment.insert(variable.into(), value.into());
        self
    }

    fn says(self, change: impl FnOnce(&mut Says)) -> Self {
        change(&mut self.says.lock().unwrap());
        self
    }

    /// The engine's socket is this one.
    fn socket(self, name: &str) -> Self {
        let path = self.path(name);
        self.set("CODECRAFTER_DOCKER_SOCKET", text(&path))
    }

    async fn output(&self, user: Option<u32>) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_executor-host"));
        let mut command = Command::new(match user {
            None => program.to_owned(),
            // Where the tests are built, others may not look.
            Some(_) => {
                // By somebody else: what a process has open to write, another test's child may have
                // too for a moment, and then it cannot be run.
                let copy = self.path("executor-host");
                let copied = Command::new("cp").arg(program).arg(&copy).status();
                assert!(copied.unwrap().success());
                copy
            }
        });
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        command.env_clear().args(["doctor", "--json"]);
        command.args(&self.arguments).envs(&self.environment);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = output.await.unwrap();
        for stream in [&output.stdout, &output.stderr] {
            let shown = String::from_utf8_lossy(stream);
            assert!(!shown.contains(PASSWORD), "{shown}");
        }
        output
    }

    /// Everything that doctor finds, by the ids of the checks.
    async fn examine_as(&self, user: Option<u32>) -> BTreeMap<String, Found> {
        let output = self.output(user).await;
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let checks = report["checks"].as_array().unwrap().iter();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let checks: BTreeMap<String, Found> = checks
            .map(|check| {
                let says = ["detail", "why"].map(|key| word(&check[key])).concat();
                let mend = word(&check["mend"]);
                assert_eq!(check["result"] == "ok", mend.is_empty(), "{check}");
                (word(&check["id"]), (word(&check["result"]), says))
            })
            .collect();
        let broken = checks.values().any(|(word, _)| word == "broken");
        assert_eq!(output.status.code(), Some(i32::from(broken)), "{output:?}");
        assert_eq!(report["healthy"], !broken);
        checks
    }

    /// Requires that the check has found this and says these words, and that nothing is broken
    /// besides.
    async fn must_say(&self, id: &str, word: &str, words: &str) {
        self.must_say_to(None, id, word, words).await;
    }

    async fn must_say_to(&self, user: Option<u32>, id: &str, word: &str, words: &str) {
        let mut checks = self.examine_as(user).await;
        let found = checks.remove(id);
        let (found, says) = found.unwrap_or_else(|| panic!("no {id} in {checks:#?}"));
        assert_eq!(found, word, "{id}: {says}");
        assert!(says.contains(words), "{id} says {says:?}");
        let other: Vec<_> = checks
            .iter()
            .filter(|(_, (word, _))| word == "broken")
            .collect();
        assert!(other.is_empty(), "{id}, and also {other:#?}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_sound_engine_is_found_sound() {
    let host = Host::new().await;
    let mut checks = host.examine_as(None).await;
    // These are of the machine that the test runs on, and the last of nobody's doing.
    for id in [
        "cgroup.version",
        "cgroup.kill",
        "memory",
        "engine.disk",
        "edge",
    ] {
        checks
            .remove(id)
            .unwrap_or_else(|| panic!("no {id} in {checks:#?}"));
    }
    for (id, (word, says)) in checks {
        assert_eq!(word, "ok", "{id}: {says}");
    }
}

#[tokio::test]
async fn a_socket_without_an_engine_behind_it_is_told_apart_by_what_is_there() {
    let host = Host::new().await.socket("missing.sock");
    host.must_say("engine.socket", "broken", "there is no")
        .await;

    fs::write(host.path("file.sock"), "").unwrap();
    let host = host.socket("file.sock");
    host.must_say("engine.socket", "broken", "is no socket")
        .await;

    drop(UnixListener::bind(host.path("deserted.sock")).unwrap());
    let host = host.socket("deserted.sock");
    host.must_say("engine.socket", "broken", "nobody listens")
        .await;

    let silent = UnixListener::bind(host.path("silent.sock")).unwrap();
    let host = host.socket("silent.sock");
    host.must_say("engine.socket", "broken", "does not answer them")
        .await;
    drop(silent);

    let strange = UnixListener::bind(host.path("strange.sock")).unwrap();
    let other = Router::new().fallback(async || "hello");
    tokio::spawn(async move { axum::serve(strange, other).await.unwrap() });
    let host = host.socket("strange.sock");
    host.must_say("engine.socket", "broken", "not answer as an engine")
        .await;
}

#[tokio::test]
async fn a_socket_that_this_user_may_not_use_is_told() {
    let host = Host::new().await;
    let socket = host.path("engine.sock");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).unwrap();
        return host
            .must_say("engine.socket", "broken", "may not use")
            .await;
    }
    // For root there is no such socket: another user looks, who gets to everything but it.
    const NOBODY: u32 = 65_534;
    for folder in [host.folder.path(), &host.state()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    }
    host.must_say_to(Some(NOBODY), "engine.socket", "broken", "may not use")
        .await;
}

#[tokio::test]
async fn what_is_missing_or_weak_in_an_engine_is_named() {
    type Change = fn(&mut Says);
    let cases: [(Change, &str, &str, &str); 16] = [
        (
            |says| says.version["ApiVersion"] = "1.40".into(),
            "engine.version",
            "weak",
            "1.40",
        ),
        (
            |says| says.version["Arch"] = "riscv64".into(),
            "engine.architecture",
            "broken",
            "riscv",
        ),
        (
            |says| says.version["Components"][1]["Version"] = "1.1.11".into(),
            "engine.runc",
            "weak",
            "CVE-2024-21626",
        ),
        (
            |says| says.version["Components"][1]["Version"] = "1.2.7".into(),
            "engine.runc",
            "weak",
            "CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881",
        ),
        (
            |says| says.info["SecurityOptions"] = json!(["name=apparmor", "name=userns"]),
            "engine.seccomp",
            "broken",
            "no seccomp",
        ),
        (
            |says| says.info["SecurityOptions"] = json!(["name=seccomp", "name=userns"]),
            "engine.access",
            "weak",
            "neither",
        ),
        (
            |says| says.info["SecurityOptions"] = json!(["name=seccomp", "name=apparmor"]),
            "engine.users",
            "weak",
            "root outside",
        ),
        (
            |says| says.info["MemoryLimit"] = false.into(),
            "limit.memory",
            "broken",
            "memory",
        ),
        (
            |says| says.info["SwapLimit"] = false.into(),
            "limit.swap",
            "weak",
            "swap",
        ),
        (
            |says| says.info["PidsLimit"] = false.into(),
            "limit.processes",
            "broken",
            "forking",
        ),
        (
            |says| says.info["CpuCfsQuota"] = false.into(),
            "limit.cpu",
            "broken",
            "CPU",
        ),
        (
            |says| drop(says.info["PidsLimit"].take()),
            "limit.processes",
            "weak",
            "not say",
        ),
        (
            |says| says.info["Warnings"] = json!(["WARNING: the moon is full"]),
            "engine.warnings",
            "weak",
            "the moon is full",
        ),
        (
            |says| says.info["DockerRootDir"] = "/nowhere/to/be/seen".into(),
            "engine.disk",
            "weak",
            "/nowhere",
        ),
        (
            |says| says.has = |image| !image.contains("python"),
            "images",
            "weak",
            "python",
        ),
        (
            |says| says.has = |_| false,
            "images",
            "broken",
            "nothing can be run",
        ),
    ];
    for (change, id, word, words) in cases {
        let host = Host::new().await.says(change);
        host.must_say(id, word, words).await;
    }
}

#[tokio::test]
async fn a_runtime_that_the_engine_does_not_know_is_named() {
    let host = Host::new().await.set("CODECRAFTER_DOCKER_RUNTIME", "runsc");
    host.must_say("engine.runtime", "broken", "it knows runc")
        .await;
}

#[tokio::test]
async fn an_engine_that_starts_no_container_is_told_with_the_images_that_it_concerns() {
    let mut host = Host::new().await;
    host.arguments.clear();
    host.must_say("languages", "broken", "python").await;
}

#[tokio::test]
async fn a_state_folder_that_cannot_be_used_is_named() {
    let host = Host::new().await;
    fs::write(host.path("file"), "").unwrap();
    let below_a_file = host.path("file/state");
    let host = host.set("CODECRAFTER_STATE_DIR", text(&below_a_file));
    host.must_say("state.folder", "broken", "cannot be written to")
        .await;
    let later = host.path("not/yet/there");
    let host = host.set("CODECRAFTER_STATE_DIR", text(&later));
    host.must_say("state.folder", "ok", "will be made").await;
    assert!(!later.exists());
}

#[tokio::test]
async fn a_damaged_queue_is_named_and_a_sound_one_is_counted() {
    let host = Host::new().await;
    let file = host.state().join("queue.db");
    drop(Embedded::open(&file).unwrap());
    host.must_say("state.queue", "ok", "0 jobs and 0 results")
        .await;
    // The header stays, and so does the length.
    let mut bytes = fs::read(&file).unwrap();
    bytes[100..].fill(0xa5);
    fs::write(&file, bytes).unwrap();
    host.must_say("state.queue", "broken", "damaged").await;
    fs::write(&file, "this is no database").unwrap();
    host.must_say("state.queue", "broken", "damaged").await;
}

#[tokio::test]
async fn a_broker_that_cannot_be_used_is_named_without_its_password() {
    let url = format!("http://user:{PASSWORD}@127.0.0.1:1");
    let host = Host::new().await.set("AMQP_URL", &url);
    host.must_say("settings", "broken", "amqp://").await;
    let url = format!("amqp://user:{PASSWORD}@127.0.0.1:1");
    let host = host.set("AMQP_URL", &url);
    host.must_say("broker", "broken", "amqp://127.0.0.1:1")
        .await;
    let host = Host::new().await.set("CODECRAFTER_ROLE", "worker");
    host.must_say("settings", "broken", "AMQP_URL").await;
}

#[tokio::test]
async fn a_link_needs_no_engine_and_a_worker_no_edge() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://127.0.0.1:{}", listener.local_addr().unwrap().port());
    // Gone again: only what is looked at matters here.
    drop(listener);
    let host = Host::new().await.set("AMQP_URL", &url);
    let host = host.set("CODECRAFTER_ROLE", "link");
    let checks = host.examine_as(None).await;
    assert!(
        checks.contains_key("edge") && !checks.contains_key("engine.socket"),
        "{checks:#?}"
    );
    let host = host.set("CODECRAFTER_ROLE", "worker");
    let checks = host.examine_as(None).await;
    assert!(
        !checks.contains_key("edge") && checks.contains_key("engine.socket"),
        "{checks:#?}"
    );
}

#[tokio::test]
async fn an_edge_that_is_away_or_does_not_know_this_host_is_named() {
    let host = Host::new().await;
    host.must_say("edge", "weak", "has not joined").await;
    let (edge, url) = Edge::start().await;
    Edge::enrol(&url, &host.state()).await;
    host.must_say("edge", "ok", &url).await;
    edge.state().hosts.clear();
    host.must_say("edge", "broken", "revoked").await;
    edge.state().broken = Some(StatusCode::BAD_GATEWAY);
    host.must_say("edge", "broken", "502").await;

    let file = Credentials::path(&host.state());
    let stored = fs::read_to_string(&file).unwrap();
    fs::write(&file, stored.replace(&url, "http://127.0.0.1:1/")).unwrap();
    host.must_say("edge", "broken", "does not answer").await;
    fs::write(&file, "{}").unwrap();
    host.must_say("edge", "broken", "not a credentials file")
        .await;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let checks = host.examine_as(None).await;
    assert_eq!(checks["state.credentials"].0, "weak");
}

#[tokio::test]
async fn a_language_table_that_cannot_be_used_is_named() {
    let host = Host::new().await;
    let table = host.path("languages.toml");
    fs::write(&table, "[[language]]\nid = \"cobol\"\n").unwrap();
    let host = host.set("CODECRAFTER_LANGUAGES", text(&table));
    host.must_say("languages.table", "broken", "language table")
        .await;
}

#[tokio::test]
async fn people_read_what_is_wrong_and_what_to_do_about_it() {
    let host = Host::new()
        .await
        .says(|says| says.info["PidsLimit"] = false.into());
    let mut command = Command::new(env!("CARGO_BIN_EXE_executor-host"));
    command
        .env_clear()
        .args(["doctor", "--no-probes"])
        .envs(&host.environment);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    let mut lines = shown.lines().skip_while(|line| !line.starts_with("broken"));
    assert!(
        lines.next().unwrap().contains("cannot limit processes"),
        "{shown}"
    );
    assert!(
        lines
            .next()
            .unwrap()
            .contains("→ enable the pids controller"),
        "{shown}"
    );
    assert!(
        shown.lines().last().unwrap().starts_with("1 broken, "),
        "{shown}"
    );
}
