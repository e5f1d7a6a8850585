//! The images that programs run in: Debian as the base, and one image per folder of
//! `executor-host/images`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::apt;
use crate::artifacts;
use crate::docker::{self, docker};
use crate::inputs::Inputs;
use crate::names;
use crate::repo::Repo;
use crate::report::{Missing, Report};
use crate::step::{Lane, Step};
use crate::work::{Work, on_path};

/// What the language images stand on.
pub const BASE: &str = "debian:bookworm-slim";

/// The languages that a stack begins with: most sessions are in one of them, and their images are
/// built first.
pub const FIRST: [&str; 3] = ["javascript", "python", "java"];

/// The release of Debian that the base is made of where it cannot be pulled.
const RELEASE: &str = "bookworm";

/// How long a registry may stay silent before it is taken as out of reach.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(20);

/// The label that says what an image was made from.
const LABEL: &str = "codecrafter.inputs";

/// Gets the base image: from its registry, else from Debian's archive.
pub fn base_step() -> Option<Step<'static>> {
    if docker::image_id(BASE).is_some() {
        return None;
    }
    let step = Step::new(names::BASE_IMAGE, Lane::Network, |work| {
        let mut pull = docker();
        pull.args(["pull", BASE]);
        let Err(why) = work.run_if_it_speaks(REGISTRY_PATIENCE, &mut pull) else {
            return Report::done();
        };
        make_base(work).with_context(|| format!("{BASE} cannot be pulled ({why:#})"))?;
        Report::noted(format!("{BASE} cannot be pulled; made by debootstrap"))
    });
    let missing = Missing::installable(format!("Image {BASE}"), "Docker", 200);
    Some(step.after(&[names::ENGINE]).installs([missing]))
}

/// The same image from Debian's archive. Needs root, because it holds files of many users.
fn make_base(work: &Work) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "try again where it can be, or run as root: `sudo env PATH=$PATH cargo xtask images`"
        );
    }
    if !on_path("debootstrap") {
        ensure!(apt::can_install(), "please install debootstrap");
        apt::install(work, &["debootstrap"])?;
    }
    let folder = std::env::temp_dir().join(format!("codecrafter-base-{}", std::process::id()));
    let made = bootstrap_and_import(work, &folder);
    let removed = fs::remove_dir_all(&folder);
    made?;
    removed.with_context(|| format!("cannot remove {}", folder.display()))
}

fn bootstrap_and_import(work: &Work, folder: &Path) -> Result<()> {
    work.run(
        Command::new("debootstrap")
            .args(["--variant=minbase", RELEASE])
            .arg(folder),
    )?;
    work.note(&format!("$ tar | docker import - {BASE}"))?;
    let mut tar = Command::new("tar")
        .args([
            "--numeric-owner",
            "--exclude=./var/cache/apt/archives/*.deb",
        ])
        .args(["--exclude=./var/lib/apt/lists/*_*", "-c", "."])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start tar")?;
    let archive = tar.stdout.take().context("tar has no output")?;
    let import = docker()
        .args(["import", "-", BASE])
        .stdin(archive)
        .output()
        .context("cannot start docker")?;
    work.note(&String::from_utf8_lossy(&import.stderr))?;
    ensure!(tar.wait()?.success(), "tar failed");
    ensure!(import.status.success(), "docker import failed");
    Ok(())
}

/// The languages of folders in `executor-host/images` whose image is missing or was made from other
/// inputs, the first ones first. An agent or base that is not there yet counts as another.
pub fn lacking(repo: &Repo) -> Result<Vec<String>> {
    let base = docker::image_id(BASE).unwrap_or_default();
    let mut lacking = Vec::new();
    for language in languages(repo)? {
        if !language.is_fresh(&language.inputs(repo, &base)?) {
            lacking.push(language.name);
        }
    }
    Ok(lacking)
}

/// Builds the image of every language of `wanted` whose folder, agent or base changed; of all if
/// none is wanted. `name` is the step's.
pub fn languages_step<'a>(repo: &'a Repo, name: &'static str, wanted: &[String]) -> Step<'a> {
    let mut languages = languages(repo).unwrap_or_default();
    let unknown: Vec<String> = wanted
        .iter()
        .filter(|wanted| !languages.iter().any(|language| language.name == **wanted))
        .cloned()
        .collect();
    languages.retain(|language| wanted.is_empty() || wanted.contains(&language.name));
    let missing: Vec<Missing> = languages
        .iter()
        .filter(|language| docker::image_id(&language.tag).is_none())
        .map(|language| {
            Missing::installable(format!("Image {}, built here", language.tag), "Docker", 150)
        })
        .collect();
    let step = Step::new(name, Lane::Network, move |work| {
        ensure!(
            unknown.is_empty(),
            "executor-host/images has no {}",
            unknown.join(", ")
        );
        let base = docker::image_id(BASE).with_context(|| format!("no image {BASE}"))?;
        let mut built = Vec::new();
        ensure!(
            !languages.is_empty(),
            "executor-host/images has no language"
        );
        for language in &languages {
            if language.build(repo, work, &base)? {
                built.push(language.tag.as_str());
            }
        }
        Report::noted(match built.as_slice() {
            [] => "all as they were".to_owned(),
            built => format!("built {}", built.join(", ")),
        })
    });
    step.after(&[names::ENGINE, names::BASE_IMAGE, names::AGENT])
        .installs(missing)
}

/// A language's folder and image.
struct Language {
    folder: PathBuf,
    name: String,
    tag: String,
}

/// Every folder with a Dockerfile: the first languages, then the others by name.
fn languages(repo: &Repo) -> Result<Vec<Language>> {
    let images = repo.path("executor-host/images");
    let entries = fs::read_dir(&images).with_context(|| images.display().to_string())?;
    let mut languages: Vec<Language> = entries
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            let name = folder.file_name()?.to_str()?.to_owned();
            let tag = format!("codecrafter/{name}:dev");
            folder
                .join("Dockerfile")
                .is_file()
                .then_some(Language { folder, name, tag })
        })
        .collect();
    let place = |name: &str| FIRST.iter().position(|first| *first == name);
    languages.sort_by_key(|language| {
        let place = place(&language.name).unwrap_or(FIRST.len());
        (place, language.name.clone())
    });
    Ok(languages)
}

impl Language {
    /// All that the image is made from, as one hash.
    fn inputs(&self, repo: &Repo, base: &str) -> Result<String> {
        let inputs = Inputs::default()
            .path(&self.folder)?
            .path(&artifacts::agent(repo))?
            .text(base);
        Ok(inputs.finish())
    }

    /// Whether there is an image made from these inputs.
    fn is_fresh(&self, inputs: &str) -> bool {
        docker::label(&self.tag, LABEL).as_deref() == Some(inputs)
    }

    /// Builds the image unless it was made from the same inputs; true if it was built.
    fn build(&self, repo: &Repo, work: &Work, base: &str) -> Result<bool> {
        let agent = artifacts::agent(repo);
        let inputs = self.inputs(repo, base)?;
        if self.is_fresh(&inputs) {
            return Ok(false);
        }
        let context = repo.target().join("xtask/images").join(&self.name);
        if context.exists() {
            fs::remove_dir_all(&context)?;
        }
        copy_folder(&self.folder, &context)?;
        fs::copy(&agent, context.join("agent"))
            .with_context(|| format!("no agent at {}", agent.display()))?;
        let mut build = docker();
        build
            .args(["build", "--network", "host", "--tag", &self.tag])
            .args(["--build-arg", &format!("BASE={BASE}")])
            .args(["--label", &format!("{LABEL}={inputs}")])
            .arg(&context);
        work.run(&mut build)?;
        Ok(true)
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
