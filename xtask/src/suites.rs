//! The test suites, each a step of the plan with a stack of its own.

mod cargo;
mod compose;
mod conformance;
mod deploy;
mod documents;
mod faults;
mod flood;
mod monitoring;
mod node;
mod programs;
mod tap;
mod undo;

use anyhow::Result;

use crate::apt;
use crate::arm;
use crate::artifacts;
use crate::check;
use crate::dist;
use crate::names;
use crate::repo::Repo;
use crate::report::Report;
use crate::stack::broker;
use crate::step::{Lane, Plan, Step};
use crate::up;
use crate::work::{Work, on_path};

/// The suites, in the order in which they run: what fails fast comes first.
pub const NAMES: [&str; 17] = [
    "unit",
    "check",
    "web",
    "docker",
    "abuse",
    "rabbitmq",
    "contract",
    "conformance",
    "interop",
    "stream",
    "page",
    "demo",
    "documents",
    "faults",
    "monitoring",
    "deploy",
    "compose",
];

/// A suite that has a long form as well, which is run by `--full`, or where it is named.
pub struct Long {
    /// The suite.
    pub suite: &'static str,
    /// The step of its long form, whose report has evidence for a record.
    pub step: &'static str,
}

/// The long forms, in the order in which they run: after everything else.
pub const LONG: [Long; 4] = [
    Long {
        suite: "abuse",
        step: "abuse, long",
    },
    Long {
        suite: "faults",
        step: "faults, long",
    },
    Long {
        suite: "unit",
        step: "rooms, long",
    },
    Long {
        suite: "interop",
        step: "undo, long",
    },
];

/// Every suite and every long form, by the name of its step.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().chain(LONG.map(|long| long.step))
}

/// What every suite on workerd needs, beside an executor.
const EDGE: [&str; 3] = [names::WORKER, names::PAGE, names::PACKAGES];

/// What runs programs.
const RUNS: [&str; 3] = [names::EXECUTOR, names::IMAGES, names::ENGINE];

/// All suites and what they need.
pub fn steps(repo: &Repo) -> Result<Plan<'_>> {
    let mut plan = up::run_needs(repo)?;
    plan.push(artifacts::tests_step(repo));
    plan.push(step(
        "unit",
        |work| cargo::unit(repo, work),
        &[&[names::TESTS]],
    ));
    plan.extend(arm::install_step(repo));
    plan.push(check::step(repo));
    plan.push(artifacts::component_step(repo));
    plan.push(artifacts::compile_component_step(repo));
    plan.extend(chromium_step());
    plan.extend(broker::install_step());

    let web = step("web", |work| node::web(repo, work), &[&[names::PACKAGES]]);
    plan.push(web);
    let docker = |work: &_| cargo::docker(repo, work);
    let docker = step("docker", docker, &[&[names::TESTS, names::IMAGES]]);
    plan.push(docker);
    let abuse = |work: &_| cargo::abuse(repo, work);
    let abuse = step("abuse", abuse, &[&[names::TESTS, names::IMAGES]]);
    plan.push(abuse);
    let rabbitmq = |work: &_| cargo::rabbitmq(repo, work);
    plan.push(step(
        "rabbitmq",
        rabbitmq,
        &[&[names::TESTS, names::BROKER]],
    ));
    let both = [names::TESTS, names::COMPONENT, names::COMPILED];
    let contract = |_: &_| conformance::contract(repo);
    plan.push(step("contract", contract, &[&EDGE, &both]));
    let conformance = |work: &_| conformance::conformance(repo, work);
    plan.push(step("conformance", conformance, &[&EDGE, &both]));
    plan.push(step("interop", |work| node::interop(repo, work), &[&EDGE]));
    let stream = |work: &_| node::stream(repo, work);
    plan.push(step("stream", stream, &[&EDGE, &both]));
    let page = |work: &_| node::page(repo, work);
    plan.push(step("page", page, &[&EDGE, &RUNS, &[names::CHROMIUM]]));
    let demo = |work: &_| node::demo(repo, work);
    plan.push(step("demo", demo, &[&EDGE, &RUNS, &[names::BROKER]]));
    plan.extend(documents::install_step());
    let documents = |work: &_| documents::documents(repo, work);
    plan.push(step(
        "documents",
        documents,
        &[&EDGE, &RUNS, &[names::CURL]],
    ));
    let faults = |work: &_| faults::faults(repo, work);
    let needs = [&EDGE[..], &RUNS, &[names::BROKER, names::TESTS]];
    plan.push(step("faults", faults, &needs));
    plan.extend(monitoring::step(repo));
    let monitoring = |work: &_| monitoring::monitoring(repo, work);
    let needs = [&EDGE[..], &RUNS, &[names::TESTS, names::PROMETHEUS]];
    plan.push(step("monitoring", monitoring, &needs));
    let deploy = |work: &_| deploy::deploy(repo, work);
    plan.push(step("deploy", deploy, &[&EDGE, &[names::COMPONENT]]));
    plan.append(dist::steps(repo));
    plan.extend(compose::install_step());
    let compose = |work: &_| compose::compose(repo, work);
    let deployed = [names::DIST_IMAGES, names::BROKER_IMAGE, names::COMPOSE];
    plan.push(step(
        "compose",
        compose,
        &[&deployed, &[names::IMAGES, names::CURL]],
    ));
    let soak = |work: &_| cargo::soak(repo, work);
    let built = [names::TESTS, names::IMAGES];
    plan.push(step("abuse, long", soak, &[&built]));
    let faults = |work: &_| faults::long(repo, work);
    let needs = [&EDGE[..], &RUNS, &[names::BROKER, names::TESTS]];
    plan.push(step("faults, long", faults, &needs));
    let flood = |work: &_| flood::long(repo, work);
    plan.push(step(
        "rooms, long",
        flood,
        &[&[names::TESTS, names::TARGETS]],
    ));
    let undo = |work: &_| undo::long(repo, work);
    let built = [names::TESTS, names::PACKAGES];
    plan.push(step("undo, long", undo, &[&built]));
    Ok(plan)
}

/// Runs one storm, and says what it has met.
pub fn storm(repo: &Repo, which: Option<&str>) -> Result<()> {
    let work = Work::begin(&repo.state_dir().join("logs"), "storm")?;
    for line in faults::one(repo, &work, which)?.lines() {
        println!("{line}");
    }
    Ok(())
}

fn step<'a>(
    name: &'static str,
    job: impl FnOnce(&Work) -> Result<Report> + Send + 'a,
    needs: &[&[&'static str]],
) -> Step<'a> {
    Step::new(name, Lane::Processor, job).after(&needs.concat())
}

/// A browser for the page's suite. Where it cannot be installed the suite says so and is skipped.
fn chromium_step() -> Option<Step<'static>> {
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .any(on_path);
    if found || std::env::var_os("CHROMIUM").is_some() || !apt::can_install() {
        return None;
    }
    let step = Step::new(names::CHROMIUM, Lane::Packages, |work| {
        apt::install(work, &["chromium"])?;
        Report::done()
    });
    Some(step.installs([apt::missing("A browser", &["chromium"], 400)]))
}
