//! `dist`: all that is deployed, in one folder, and the container images made of it.
//!
//! ```text
//! dist/edge/            what workerd needs, workerd included; the folder of its image
//! dist/executor-host/   the static program, the agent and the table of languages; likewise
//! dist/spin/            the component, its manifest and the page
//! dist/compose/         deploy/compose.yaml and what it reads
//! dist/SHA256SUMS       of every file
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::artifacts;
use crate::base_image;
use crate::docker::{self, docker};
use crate::inputs::Inputs;
use crate::names;
use crate::repo::Repo;
use crate::report::{Missing, Report};
use crate::stack::workerd;
use crate::step::{Lane, Plan, Step};
use crate::tools;
use crate::up;
use crate::work::{Work, answer};

/// The broker that deploy/compose.yaml uses unless told otherwise.
const BROKER: &str = "rabbitmq:4-management";

/// The one that is made where that cannot be pulled.
const BROKER_MADE: &str = "codecrafter/rabbitmq:dev";

/// How long a registry may stay silent before it is taken as out of reach.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(20);

/// The label that says what an image was made from.
const LABEL: &str = "codecrafter.inputs";

/// Everything that `dist` makes, and the images that people's programs run in.
pub fn plan(repo: &Repo) -> Result<Plan<'_>> {
    let mut plan = up::build_steps(repo)?;
    plan.append(steps(repo));
    plan.keep(&[
        names::DIST,
        names::DIST_IMAGES,
        names::BROKER_IMAGE,
        names::IMAGES,
    ]);
    Ok(plan)
}

/// The steps of `dist` itself, for a plan that has what they need.
pub fn steps(repo: &Repo) -> Plan<'_> {
    let collect = Step::new(names::DIST, Lane::Network, move |_| {
        collect(repo)?;
        Report::noted(format!("in {}", folder(repo).display()))
    });
    let images = Step::new(names::DIST_IMAGES, Lane::Network, move |work| {
        let mut built = Vec::new();
        for name in ["edge", "executor-host"] {
            let tag = tag(name);
            let context = folder(repo).join(name);
            let dockerfile = repo.path(format!("deploy/{name}.Dockerfile"));
            if build(work, &tag, &dockerfile, &context)? {
                built.push(tag);
            }
        }
        Report::noted(match built.as_slice() {
            [] => "all as they were".to_owned(),
            built => format!("built {}", built.join(", ")),
        })
    });
    let images = images
        .after(&[names::DIST, names::ENGINE, names::BASE_IMAGE])
        .installs(
            missing(&tag("edge"), 250)
                .into_iter()
                .chain(missing(&tag("executor-host"), 25)),
        );
    let collect = collect
        .after(&[names::WORKER, names::PAGE, names::PACKAGES])
        .after(&[names::COMPONENT, names::STATIC_EXECUTOR, names::AGENT]);
    let mut plan = Plan::default();
    plan.extend(tools::musl_step());
    plan.push(artifacts::static_executor_step(repo));
    plan.push(collect);
    plan.push(images);
    plan.push(broker_image_step(repo));
    plan
}

/// Where everything goes.
pub fn folder(repo: &Repo) -> PathBuf {
    repo.target().join("dist")
}

/// The image of the broker that there is: the official one, or else one that was made here.
pub fn broker_image() -> &'static str {
    if docker::image_id(BROKER).is_some() {
        BROKER
    } else {
        BROKER_MADE
    }
}

fn tag(name: &str) -> String {
    format!("codecrafter/{name}:dev")
}

fn missing(tag: &str, megabytes: u32) -> Option<Missing> {
    docker::image_id(tag)
        .is_none()
        .then(|| Missing::installable(format!("Image {tag}, built here"), "Docker", megabytes))
}

/// Gets the broker's image: from its registry, else from Debian's archive.
fn broker_image_step(repo: &Repo) -> Step<'_> {
    let step = Step::new(names::BROKER_IMAGE, Lane::Network, |work| {
        if docker::image_id(BROKER).is_some() {
            return Report::done();
        }
        let dockerfile = repo.path("deploy/rabbitmq.Dockerfile");
        let context = repo.target().join("xtask/rabbitmq");
        fs::create_dir_all(&context)?;
        // One that was made before is as good, and a registry that is out of reach stays so.
        if docker::image_id(BROKER_MADE).is_none() {
            let mut pull = docker();
            pull.args(["pull", BROKER]);
            if work.run_if_it_speaks(REGISTRY_PATIENCE, &mut pull).is_ok() {
                return Report::done();
            }
        }
        build(work, BROKER_MADE, &dockerfile, &context)?;
        Report::noted(format!(
            "{BROKER} cannot be pulled; {BROKER_MADE} is made of Debian's: put \
             RABBITMQ_IMAGE={BROKER_MADE} into deploy/.env"
        ))
    });
    let there = docker::image_id(BROKER).is_some();
    step.after(&[names::ENGINE, names::BASE_IMAGE])
        .installs(missing(BROKER_MADE, 150).filter(|_| !there))
}

/// Builds an image unless it was made from the same inputs; true if it was built.
fn build(work: &Work, tag: &str, dockerfile: &Path, context: &Path) -> Result<bool> {
    let base = docker::image_id(base_image::BASE)
        .with_context(|| format!("no image {}", base_image::BASE))?;
    let inputs = Inputs::default()
        .path(dockerfile)?
        .text(checksums(context)?)
        .text(base)
        .finish();
    if docker::label(tag, LABEL).as_deref() == Some(inputs.as_str()) {
        return Ok(false);
    }
    let mut build = docker();
    build
        .args(["build", "--network", "host", "--tag", tag, "--file"])
        .arg(dockerfile)
        .args(["--build-arg", &format!("BASE={}", base_image::BASE)])
        .args(["--label", &format!("{LABEL}={inputs}")])
        .arg(context);
    work.run(&mut build)?;
    Ok(true)
}

/// Puts every file in its place.
fn collect(repo: &Repo) -> Result<()> {
    let folder = folder(repo);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let page = repo.path("web/dist");

    // The paths in the configuration are from its own folder, as in the clone.
    let edge = folder.join("edge");
    let worker = artifacts::worker(repo);
    copy(&workerd::program(repo)?, &edge.join("workerd"))?;
    copy(
        &repo.path("deploy/workerd.capnp"),
        &edge.join("deploy/workerd.capnp"),
    )?;
    for module in ["index.js", "index_bg.wasm"] {
        copy(&worker.join(module), &edge.join("build").join(module))?;
    }
    copy_folder(&page, &edge.join("web/dist"))?;

    let executor = folder.join("executor-host");
    copy(
        &artifacts::static_executor(repo),
        &executor.join("executor-host"),
    )?;
    copy(&artifacts::agent(repo), &executor.join("agent"))?;
    let languages = repo.path("executor-host/languages.toml");
    copy(&languages, &executor.join("languages.toml"))?;

    let spin = folder.join("spin");
    copy(&artifacts::component(repo), &spin.join(COMPONENT))?;
    copy_folder(&page, &spin.join("web"))?;
    copy(
        &repo.path("deploy/spin-runtime.toml"),
        &spin.join("spin-runtime.toml"),
    )?;
    let manifest = fs::read_to_string(repo.path("spin.toml"))?;
    fs::write(spin.join("spin.toml"), deployed_manifest(&manifest)?)?;

    let compose = folder.join("compose");
    for file in ["compose.yaml", "rabbitmq.conf"] {
        copy(&repo.path("deploy").join(file), &compose.join(file))?;
    }
    fs::write(folder.join("SHA256SUMS"), checksums(&folder)?)?;
    Ok(())
}

/// The component's name in its folder.
const COMPONENT: &str = "codecrafter_edge.wasm";

/// spin.toml without what builds the component, and with the paths of the folder that it is in.
fn deployed_manifest(manifest: &str) -> Result<String> {
    let (manifest, _build) = manifest
        .split_once("\n[component.edge.build]")
        .context("spin.toml has no build section at its end")?;
    let mut lines: Vec<String> = manifest.lines().map(str::to_owned).collect();
    for (start, line) in [
        ("source = ", format!("source = \"{COMPONENT}\"")),
        (
            "files = ",
            "files = [{ source = \"web\", destination = \"/web\" }]".to_owned(),
        ),
    ] {
        let mut found = lines.iter_mut().filter(|line| line.starts_with(start));
        let place = found
            .next()
            .with_context(|| format!("spin.toml has no line `{start}…`"))?;
        *place = line;
        ensure!(
            found.next().is_none(),
            "spin.toml has several lines `{start}…`"
        );
    }
    // The header tells how to build and start it in the clone.
    let begin = lines.iter().position(|line| !line.starts_with('#'));
    let body = lines.split_off(begin.unwrap_or(0));
    Ok(format!(
        "# The edge on Spin 4.1 or later, as it was built. Keep the secret.\n#\n\
         #   SPIN_VARIABLE_CODECRAFTER_SECRET=\"$(openssl rand -base64 48)\" \\\n\
         #     spin up --runtime-config-file spin-runtime.toml\n{}\n",
        body.join("\n")
    ))
}

/// A line for each file below the folder, by the system's own program: a hundred megabytes are much
/// for an unoptimised one.
fn checksums(folder: &Path) -> Result<String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(folder)?.to_owned());
            }
        }
    }
    if files.is_empty() {
        return Ok(String::new());
    }
    files.sort();
    let mut sums = Command::new("sha256sum");
    sums.current_dir(folder).arg("--").args(files);
    answer(&mut sums)
        .map(|lines| lines + "\n")
        .context("sha256sum failed")
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(Path::new(".")))?;
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {}", from.display()))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            copy(&path, &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deployed_manifest_names_what_lies_beside_it_and_builds_nothing() -> Result<()> {
        let manifest =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../spin.toml"))?;
        let deployed = deployed_manifest(&manifest)?;
        assert!(deployed.contains("\nsource = \"codecrafter_edge.wasm\"\n"));
        assert!(deployed.contains("{ source = \"web\", destination = \"/web\" }"));
        for gone in ["target/", "web/dist", "cargo build", "npm"] {
            assert!(!deployed.contains(gone), "{gone} in\n{deployed}");
        }
        Ok(())
    }
}
