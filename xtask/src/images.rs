//! The images that programs run in, one per folder of `executor-host/images`, on the base of
//! [`base_image`](crate::base_image).

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::artifacts;
use crate::base_image::BASE;
use crate::docker::{self, docker};
use crate::fetch;
use crate::inputs::Inputs;
use crate::names;
use crate::repo::Repo;
use crate::report::{Missing, Report};
use crate::step::{Lane, Step};
use crate::work::Work;

/// The languages that a stack begins with: most sessions are in one of them, and their images are
/// built first.
pub const FIRST: [&str; 3] = ["javascript", "python", "java"];

/// Images that are built at a time: while one waits for Debian's archive, another compiles.
const AT_A_TIME: usize = 2;

/// The label that says what an image was made from.
const LABEL: &str = "codecrafter.inputs";

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
        ensure!(
            !languages.is_empty(),
            "executor-host/images has no language"
        );
        build_all(&languages, repo, work)
    });
    step.after(&[names::ENGINE, names::BASE_IMAGE, names::AGENT])
        .installs(missing)
}

/// Builds what is not fresh, in this order, and says how large each image is and how long it took.
fn build_all(languages: &[Language], repo: &Repo, work: &Work) -> Result<Report> {
    let base = docker::image_id(BASE).with_context(|| format!("no image {BASE}"))?;
    let next = AtomicUsize::new(0);
    let built = Mutex::new(Vec::new());
    let build = || -> Result<()> {
        while let Some(language) = languages.get(next.fetch_add(1, Ordering::Relaxed)) {
            let started = Instant::now();
            let result = language.build(repo, work, &base);
            if result.with_context(|| format!("image {}", language.tag))? {
                built
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((&language.name, started.elapsed()));
            }
        }
        Ok(())
    };
    thread::scope(|scope| -> Result<()> {
        let builders: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(build)).collect();
        let mut ended = builders.into_iter().map(|builder| builder.join());
        ended.try_for_each(|ended| ended.unwrap_or_else(|_| bail!("a builder panicked")))
    })?;
    let built = built.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut report = Report::default();
    for language in languages {
        let megabytes = docker::image_bytes(&language.tag).unwrap_or_default() / 1_000_000;
        let of_this = built.iter().find(|(name, _)| *name == &language.name);
        let done = match of_this {
            Some((_, took)) => format!("built in {:.0} s", took.as_secs_f32()),
            None => "as it was".to_owned(),
        };
        report.say(format!("{:<11} {megabytes:>4} MB, {done}", language.name));
    }
    Ok(report)
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
        fetch::copy(&self.folder, &context)?;
        fetch::into(repo, work, &self.folder, &context.join("fetched"))?;
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
