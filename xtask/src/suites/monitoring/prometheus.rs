//! Prometheus: getting it, running it beside a stack, asking it.
//!
//! Debian's package is unpacked into the folder of tools and not installed: nothing of the system
//! changes, and no service of its own starts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::apt;
use crate::http::{Client, expect, wait_for};
use crate::names;
use crate::ports::free_port;
use crate::process::Service;
use crate::repo::Repo;
use crate::report::{Missing, Report};
use crate::stack::Stack;
use crate::step::{Lane, Step};
use crate::work::{Work, on_path};

const PROMETHEUS: &str = "prometheus";
const PROMTOOL: &str = "promtool";
const MEGABYTES: u32 = 200;
const START_MAX: Duration = Duration::from_secs(60);

/// A program of Prometheus, if it is here.
fn program(repo: &Repo, name: &str) -> Option<PathBuf> {
    let unpacked = folder(repo).join("usr/bin").join(name);
    if on_path(name) {
        Some(name.into())
    } else {
        unpacked.is_file().then_some(unpacked)
    }
}

fn folder(repo: &Repo) -> PathBuf {
    repo.tools_dir().join("prometheus-debian")
}

/// Unpacks Prometheus, unless it is here or cannot be had.
pub fn step(repo: &Repo) -> Option<Step<'_>> {
    let is_here = [PROMETHEUS, PROMTOOL]
        .iter()
        .all(|name| program(repo, name).is_some());
    if is_here || !on_path("apt-get") || !on_path("dpkg-deb") {
        return None;
    }
    let step = Step::new(names::PROMETHEUS, Lane::Packages, |work| {
        if apt::can_install() {
            apt::refresh(work)?;
        }
        unpack(repo, work)?;
        Report::done()
    });
    let place = repo.tools_dir().display().to_string();
    Some(step.installs([Missing::installable("Prometheus", place, MEGABYTES)]))
}

fn unpack(repo: &Repo, work: &Work) -> Result<()> {
    let (folder, fetched) = (folder(repo), folder(repo).with_extension("new"));
    for folder in [&folder, &fetched] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    fs::create_dir_all(&fetched)?;
    let mut fetch = Command::new("apt-get");
    fetch.args(["-q", "download", PROMETHEUS]);
    work.run(fetch.current_dir(&fetched))?;
    let package = fetched.read_dir()?.next().context("no package came")??;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--extract").arg(package.path()).arg(&folder);
    work.run(&mut unpack)?;
    Ok(fs::remove_dir_all(&fetched)?)
}

/// Runs promtool in the folder of what it is to look at; false if it is not here.
pub fn promtool(repo: &Repo, work: &Work, arguments: &[&str]) -> Result<bool> {
    let Some(program) = program(repo, PROMTOOL) else {
        return Ok(false);
    };
    let mut promtool = Command::new(program);
    promtool
        .args(arguments)
        .current_dir(repo.path("deploy/monitoring"));
    work.run(&mut promtool).map(|()| true)
}

/// A Prometheus that watches the edge and the hosts of a stack, as deploy/monitoring says but more often.
pub struct Prometheus {
    client: Client,
}

impl Prometheus {
    /// Starts it in the stack's folder; none if it is not here. It ends with the stack.
    pub fn start(stack: &mut Stack<'_>, hosts: &[u16]) -> Result<Option<Self>> {
        let repo = stack.repo();
        let Some(program) = program(repo, PROMETHEUS) else {
            return Ok(None);
        };
        let folder = stack.folder().join(PROMETHEUS);
        fs::create_dir_all(&folder)?;
        let config = folder.join("prometheus.yaml");
        let token = folder.join("operator-token");
        fs::write(&token, stack.operator_token()?)?;
        let edge = stack.url();
        let edge = edge.trim_start_matches("http://");
        fs::write(&config, configuration(repo, hosts, edge, &token)?)?;
        let port = free_port()?;
        let service = Service::new(PROMETHEUS, program, &folder)
            .argument(named("--config.file", &config))
            .argument(named("--storage.tsdb.path", &folder.join("data")))
            .argument(format!("--web.listen-address=127.0.0.1:{port}"))
            .argument("--log.level=warn");
        stack.start_service(&service)?;
        let prometheus = Self {
            client: Client::new(format!("http://127.0.0.1:{port}/api/v1")),
        };
        wait_for("Prometheus", START_MAX, || prometheus.query("1").map(Some))?;
        Ok(Some(prometheus))
    }

    /// What an expression gives now: labels and value of each series.
    pub fn query(&self, expression: &str) -> Result<Vec<(Value, f64)>> {
        let path = format!("/query?query={}", encoded(expression));
        let answer = expect(200, self.client.get(&path)?)?;
        let data = &answer["data"];
        if data["resultType"] == "scalar" {
            return Ok(vec![(Value::Null, number(&data["result"][1])?)]);
        }
        let series = data["result"].as_array().context("no result")?;
        let one = |series: &Value| Ok((series["metric"].clone(), number(&series["value"][1])?));
        series.iter().map(one).collect()
    }

    /// Every rule, with its `state`, `health` and `lastError`.
    pub fn rules(&self) -> Result<Vec<Value>> {
        let answer = expect(200, self.client.get("/rules")?)?;
        let groups = answer["data"]["groups"].as_array().context("no groups")?;
        let rules = groups.iter().filter_map(|group| group["rules"].as_array());
        Ok(rules.flatten().cloned().collect())
    }
}

fn named(option: &str, path: &Path) -> String {
    format!("{option}={}", path.display())
}

/// That of deploy/monitoring, with the addresses of edge and hosts, and every second.
fn configuration(repo: &Repo, hosts: &[u16], edge: &str, token: &Path) -> Result<String> {
    let folder = repo.path("deploy/monitoring");
    let mut text = fs::read_to_string(folder.join("prometheus.yaml"))?;
    let targets: Vec<String> = hosts
        .iter()
        .map(|port| format!("\"127.0.0.1:{port}\""))
        .collect();
    let rules = folder.join("rules.yaml").display().to_string();
    for (theirs, ours) in [
        ("scrape_interval: 15s", "scrape_interval: 1s".to_owned()),
        ("[\"127.0.0.1:9464\"]", format!("[{}]", targets.join(", "))),
        ("scrape_interval: 60s", "scrape_interval: 1s".to_owned()),
        ("[\"127.0.0.1:8787\"]", format!("[\"{edge}\"]")),
        (
            "credentials_file: operator-token",
            format!("credentials_file: \"{}\"", token.display()),
        ),
        ("[rules.yaml]", format!("[\"{rules}\"]")),
    ] {
        ensure!(text.contains(theirs), "prometheus.yaml has no {theirs}");
        text = text.replace(theirs, &ours);
    }
    Ok(format!("global: {{evaluation_interval: 1s}}\n{text}"))
}

fn number(value: &Value) -> Result<f64> {
    let text = value.as_str().context("no number")?;
    // As Prometheus writes it: also `NaN` and `+Inf`.
    text.parse().with_context(|| text.to_owned())
}

/// For a query of a URL (RFC 3986, section 2.1).
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_comes_through_a_url_as_it_is() {
        assert_eq!(
            encoded("a{b=~\".*\"}+1"),
            "a%7Bb%3D~%22%2E%2A%22%7D%2B1".replace('~', "%7E")
        );
    }

    #[test]
    fn what_prometheus_is_told_is_what_operators_are_given() -> Result<()> {
        let text = configuration(&Repo::find()?, &[1, 2], "127.0.0.1:3", Path::new("/t"))?;
        assert!(text.contains("targets: [\"127.0.0.1:1\", \"127.0.0.1:2\"]"));
        assert!(text.contains("targets: [\"127.0.0.1:3\"]"));
        assert!(text.contains("{credentials_file: \"/t\"}"));
        assert!(text.contains("job_name: codecrafter-executor\n"));
        assert!(text.contains("job_name: codecrafter-edge\n"));
        Ok(())
    }
}
