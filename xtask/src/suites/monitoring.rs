//! What operators watch by, with data in it: Prometheus watches an edge and two hosts at work, and every
//! expression of the dashboard and of the alerts is evaluated on what it has collected.
//!
//! One host runs programs in containers, the other follows orders: it fails on some jobs, and gives
//! some up. A panel without data would look the same as one whose expression is wrong.

mod prometheus;

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use self::prometheus::{Prometheus, promtool};
use super::faults::ECHO_HOST;
use super::programs::{sign_up, until};
use crate::artifacts;
use crate::http::{Client, expect, wait_for};
use crate::ports::free_port;
use crate::process::Service;
use crate::repo::Repo;
use crate::report::Report;
use crate::stack::queue::AMQP_URL;
use crate::stack::{Platform, Stack};
use crate::step::Step;
use crate::work::Work;

/// The hosts' processes.
const IN_CONTAINERS: &str = "in-containers";
const BY_ORDERS: &str = "by-orders";

/// What the host with containers runs, so that the other language is the other host's.
const COMPILED: &str = "[[language]]\nid = \"c\"\nimage = \"codecrafter/c:dev\"\n\
    main_file = \"main.c\"\nsources = [\".c\"]\nversion = [\"gcc\", \"--version\"]\n\
    compile = [\"gcc\", \"-o\", \"program\", \"{sources}\"]\nrun = [\"./program\"]\n";

/// What stands for the dashboard's variables.
const VARIABLES: [(&str, &str); 2] = [("$instance", ".*"), ("$__rate_interval", "1m")];

/// What the alert about it looks at.
const GIVEN_UP: &str = "codecrafter_executor_jobs_total{verdict=\"internal_error\"}";

/// What the limit that is met in this suite has refused.
const REFUSED: &str = "codecrafter_edge_refused_total{limit=\"join\"}";

const READY: Duration = Duration::from_secs(120);
const COLLECTED: Duration = Duration::from_secs(120);

/// Unpacks what the suite needs.
pub fn step(repo: &Repo) -> Option<Step<'_>> {
    prometheus::step(repo)
}

/// All cases.
pub fn monitoring(repo: &Repo, work: &Work) -> Result<Report> {
    let mut report = Report::default();
    for (name, arguments) in [
        (
            "each alert fires as it should",
            &["test", "rules", "rules-test.yaml"][..],
        ),
        (
            "Prometheus takes the configuration",
            // The operator token's file is not there.
            &["check", "config", "--syntax-only", "prometheus.yaml"],
        ),
    ] {
        match promtool(repo, work, arguments) {
            Ok(true) => report.case(name, Ok(())),
            Ok(false) => report.skip(name, "there is no promtool"),
            Err(why) => report.case(name, Err(why)),
        }
    }
    let name = "every panel and every alert has data, and what is wrong is seen";
    match watched(repo, work) {
        Ok(Some(shown)) => {
            shown.iter().for_each(|line| report.say(line));
            report.case(name, Ok(()));
        }
        Ok(None) => report.skip(name, "there is no Prometheus"),
        Err(why) => report.case(name, Err(why)),
    }
    Ok(report)
}

/// What each panel shows; none without Prometheus.
fn watched(repo: &Repo, work: &Work) -> Result<Option<Vec<String>>> {
    let stack = Stack::of_suite(repo, "monitoring", Platform::Workerd)?;
    let mut stack = stack.with_limits("off,join=60/5m")?;
    let ports = [free_port()?, free_port()?];
    let Some(prometheus) = Prometheus::start(&mut stack, &ports)? else {
        return Ok(None);
    };
    stack.start_edge()?;
    start_host(&mut stack, work, BY_ORDERS, ports[0])?;
    start_host(&mut stack, work, IN_CONTAINERS, ports[1])?;
    let client = stack.client();
    wait_for("both languages", READY, || {
        let languages = expect(200, client.get("/api/v1/languages")?)?;
        let items = languages["items"].as_array().context("no items")?.iter();
        let offered = items.filter(|language| language["available"] == true);
        Ok((offered.count() == 2).then_some(()))
    })?;
    // Who counts nothing yet says so: what begins with 1 is no change, and no alert fires.
    wait_for("counters at 0", COLLECTED, || {
        let counters = prometheus.query(GIVEN_UP)?;
        let at_zero = counters.iter().filter(|(_, value)| *value == 0.0);
        Ok((at_zero.count() == 2).then_some(()))
    })?;
    let user = sign_up(&client)?;
    be_refused(&user)?;
    let panels = panels(repo)?;
    let (begun, mut round) = (Instant::now(), 0);
    let shown = loop {
        round += 1;
        have_work_done(&user, round)?;
        match show(&prometheus, &panels) {
            Ok(shown) => break shown,
            Err(why) if begun.elapsed() > COLLECTED => return Err(why),
            Err(_) => {}
        }
    };
    wait_for("alerts about what was given up", COLLECTED, || {
        let rules = prometheus.rules()?;
        ensure!(!rules.is_empty(), "no rules");
        for rule in &rules {
            ensure!(rule["health"] == "ok", "{rule}");
        }
        // The second fires when it has been so for some minutes, which may have passed by now.
        for (alert, wanted) in [
            ("JobsGivenUp", &["firing"][..]),
            ("DeadLetters", &["pending", "firing"]),
        ] {
            let state = state(&rules, alert)?;
            ensure!(wanted.contains(&state), "{alert} is {state}");
        }
        Ok(Some(()))
    })?;
    metrics_exist(repo, &prometheus)?;
    wait_for("the refusals", COLLECTED, || {
        let refused = prometheus.query(REFUSED)?;
        Ok(refused.iter().any(|(_, value)| *value > 0.0).then_some(()))
    })?;
    stack.kill_service(BY_ORDERS)?;
    wait_for("an alert about a host that is gone", COLLECTED, || {
        let rules = prometheus.rules()?;
        Ok((state(&rules, "ExecutorHostGone")? == "pending").then_some(()))
    })?;
    stack.stop_service(IN_CONTAINERS)?;
    Ok(Some(shown))
}

fn start_host(stack: &mut Stack<'_>, work: &Work, name: &'static str, port: u16) -> Result<()> {
    let (repo, folder) = (stack.repo(), stack.folder().join(name));
    stack.join(work, &folder, &stack.url())?;
    let mut service = match name {
        BY_ORDERS => Service::new(
            name,
            artifacts::example_program(repo, ECHO_HOST),
            repo.root(),
        )
        .argument("serve"),
        _ => {
            let languages = folder.join("languages.toml");
            fs::write(&languages, COMPILED)?;
            Service::new(name, artifacts::executor(repo), repo.root())
                .argument("serve")
                .option("--languages", languages)
        }
    };
    service = service
        .option("--state-dir", &folder)
        .option("--slots", "2")
        .option("--metrics", format!("127.0.0.1:{port}"))
        .setting(AMQP_URL, "");
    stack.start_service(&service)
}

/// Meets a limit: nobody joins so many sessions, whether they are there or not.
fn be_refused(user: &Client) -> Result<()> {
    let path = "/api/v1/sessions/00000000-0000-7000-8000-000000000000/join";
    wait_for("a refusal", READY, || {
        let (status, _) = user.post(path, &json!({}))?;
        Ok((status == 429).then_some(()))
    })
}

/// A bit of everything: programs that end well and badly, that must be compiled, on which a host
/// fails for a while or for good.
fn have_work_done(user: &Client, round: u32) -> Result<()> {
    let unique = format!("int main(void) {{ return {round} > 250; }}\n");
    let mut programs = vec![
        ("python", format!("round {round}")),
        ("python", "exit 3".to_owned()),
        ("python", "fault 1\nmended".to_owned()),
        ("c", unique),
        ("c", "int main(void) { return 0; }\n".to_owned()),
    ];
    if round <= 2 {
        programs.push(("python", "broken".to_owned()));
    }
    let mut asked = Vec::new();
    for (language, code) in programs {
        let request = json!({ "language": language, "code": code });
        let execution = expect(202, user.post("/api/v1/executions", &request)?)?;
        asked.push(execution["id"].as_str().context("no id")?.to_owned());
    }
    for id in asked {
        until(user, &id, "finished", |_| true)?;
    }
    Ok(())
}

/// A panel of the dashboard.
struct Panel {
    title: String,
    /// Each expression, with what its series are called.
    targets: Vec<(String, String)>,
}

fn panels(repo: &Repo) -> Result<Vec<Panel>> {
    let text = fs::read_to_string(repo.path("deploy/monitoring/dashboard.json"))?;
    let dashboard: Value = serde_json::from_str(&text)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let target = |target: &Value| {
        let mut expression = text(&target["expr"]);
        for (variable, value) in VARIABLES {
            expression = expression.replace(variable, value);
        }
        (expression, text(&target["legendFormat"]))
    };
    let panels = dashboard["panels"].as_array().context("no panels")?.iter();
    let panels = panels.map(|panel| Panel {
        title: text(&panel["title"]),
        targets: panel["targets"]
            .as_array()
            .map_or_else(Vec::new, |targets| targets.iter().map(target).collect()),
    });
    let panels: Vec<Panel> = panels.collect();
    ensure!(
        panels.iter().all(|panel| !panel.targets.is_empty()),
        "a panel without an expression"
    );
    Ok(panels)
}

/// What the panels show now. An error names what shows nothing.
fn show(prometheus: &Prometheus, panels: &[Panel]) -> Result<Vec<String>> {
    let mut shown = Vec::new();
    for panel in panels {
        for (expression, legend) in &panel.targets {
            let what = || format!("{}: {expression}", panel.title);
            let series = prometheus.query(expression).with_context(what)?;
            let series = series.into_iter().filter(|(_, value)| !value.is_nan());
            let values: Vec<String> = series
                .map(|(labels, value)| Ok(format!("{}{value:.3}", called(legend, &labels)?)))
                .collect::<Result<_>>()
                .with_context(what)?;
            ensure!(!values.is_empty(), "no data: {}", what());
            shown.push(format!("{}: {}", panel.title, values.join(", ")));
        }
    }
    Ok(shown)
}

/// A series by its legend, whose labels it must have.
fn called(legend: &str, labels: &Value) -> Result<String> {
    let mut name = String::new();
    let mut rest = legend;
    while let Some((before, after)) = rest.split_once("{{") {
        let (label, after) = after.split_once("}}").context("a label without end")?;
        let value = labels[label.trim()].as_str();
        name += before;
        name += value.with_context(|| format!("no label {label} in {labels}"))?;
        rest = after;
    }
    name += rest;
    Ok(if name.is_empty() { name } else { name + " " })
}

fn state<'a>(rules: &'a [Value], alert: &str) -> Result<&'a str> {
    let rule = rules.iter().find(|rule| rule["name"] == alert);
    let rule = rule.with_context(|| format!("there is no alert {alert}"))?;
    rule["state"].as_str().context("an alert without a state")
}

/// Whether edge and hosts tell every metric that an alert looks at: one that nobody tells never fires.
fn metrics_exist(repo: &Repo, prometheus: &Prometheus) -> Result<()> {
    let rules = fs::read_to_string(repo.path("deploy/monitoring/rules.yaml"))?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for word in rules.split(|c| !is_name(c)) {
        if word.starts_with("codecrafter_") {
            let series = prometheus.query(&format!("count({word})"))?;
            ensure!(!series.is_empty(), "nobody tells {word}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_called_by_its_labels_and_must_have_them() -> Result<()> {
        let labels = json!({ "language": "c", "instance": "a:1" });
        assert_eq!(
            called("{{language}} on {{ instance }}", &labels)?,
            "c on a:1 "
        );
        assert_eq!(called("", &labels)?, "");
        assert!(called("{{verdict}}", &labels).is_err());
        Ok(())
    }
}
