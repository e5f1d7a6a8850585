//! Where the blocks of documents are typed.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::blocks::{Block, Document, FIRST};
use crate::repo::Repo;
use crate::report::Report;
use crate::stack::suites_folder;
use crate::work::Work;

/// The addresses that documents have for an edge; here they are the stack's.
const EDGES: [&str; 2] = ["http://127.0.0.1:8787", "https://code.example"];

/// Seconds for all blocks of a document together.
const LIMIT_SECONDS: &str = "240";

/// Lines that are shown of a block that failed.
const SHOWN_LINES: usize = 8;

/// Where blocks are typed: a copy of the clone, with programs that documents take for granted.
pub(super) struct Desk {
    repo: Repo,
    pub(super) folder: PathBuf,
    /// Where a document's first block begins.
    pub(super) start: PathBuf,
    url: String,
}

impl Desk {
    pub(super) fn new(repo: &Repo, name: &str, url: String) -> Result<Self> {
        let folder = suites_folder(repo).join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let desk = Self {
            repo: repo.clone(),
            start: folder.join("clone"),
            folder,
            url,
        };
        fs::create_dir_all(desk.programs())?;
        copy_sources(repo.root(), &desk.clone_folder())?;
        // People see what an edge answers; here a refusal has to end the block.
        let curl = find("curl").context("there is no curl")?;
        let strict = format!(
            "exec '{}' --fail-with-body --max-time 60 \"$@\"",
            curl.display()
        );
        desk.stand_in("curl", &strict)?;
        Ok(desk)
    }

    pub(super) fn clone_folder(&self) -> PathBuf {
        self.folder.join("clone")
    }

    pub(super) fn programs(&self) -> PathBuf {
        self.folder.join("bin")
    }

    /// Puts a script in place of a program.
    pub(super) fn stand_in(&self, program: &str, script: &str) -> Result<()> {
        let path = self.programs().join(program);
        fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// Runs blocks of a document; one that fails ends it. README.md leaves its `variables`.
    pub(super) fn run(
        &self,
        work: &Work,
        document: &Document,
        blocks: &[&Block],
        variables: &mut BTreeMap<String, String>,
        report: &mut Report,
    ) -> Result<()> {
        let name = document.path.replace(['/', '.'], "-");
        let at = self.folder.join(format!("{name}.at"));
        let left = self.folder.join(format!("{name}.env"));
        let file = self.folder.join(format!("{name}.sh"));
        let state = self.folder.join(format!("{name}.state"));
        fs::write(&file, script(blocks, &self.url))?;
        let mut shell = self.repo.command("timeout");
        shell
            .args(["--kill-after=5", LIMIT_SECONDS, "bash"])
            .arg(&file)
            .current_dir(&self.start);
        // Only the documents say what is set.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            let ours = ["CODECRAFTER_", "RABBITMQ_", "COMPOSE_"];
            if text == "AMQP_URL" || ours.iter().any(|start| text.starts_with(start)) {
                shell.env_remove(name);
            }
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let path = [self.programs()].into_iter().chain(env::split_paths(&path));
        shell
            .env("PATH", env::join_paths(path)?)
            .env("CODECRAFTER_STATE_DIR", state)
            .env("AT", &at)
            .env("LEFT", &left)
            .envs(&*variables);
        work.note(&format!("== {}", document.path))?;
        let (output, success) = work.output_and_success(&mut shell)?;
        let reached: usize = fs::read_to_string(&at).unwrap_or_default().trim().parse()?;
        for block in blocks {
            let place = document.place(block);
            if success || block.line < reached {
                report.case(&place, Ok(()));
            } else if block.line == reached {
                let lines: Vec<&str> = output.lines().collect();
                let end = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n    ");
                report.case(&place, Err(anyhow::anyhow!("failed, after\n    {end}")));
            } else {
                report.skip(&place, "a block before it failed");
            }
        }
        if success && document.path == FIRST {
            let text = fs::read_to_string(&left)?;
            variables.extend(set_by(&text, |name| env::var_os(name).is_some()));
        }
        Ok(())
    }
}

/// One script of all blocks: it writes down where it is, and at its end what is set.
fn script(blocks: &[&Block], url: &str) -> String {
    let mut script = "exec 2>&1\nset -aeuo pipefail\n".to_owned();
    for block in blocks {
        let text = EDGES
            .iter()
            .fold(block.text.clone(), |text, edge| text.replace(edge, url));
        script.push_str(&format!("echo {} > \"$AT\"\n{text}", block.line));
    }
    script.push_str("env -0 > \"$LEFT\"\n");
    script
}

/// The variables of `env -0` that a document has set: not what was there before, by `known`, and
/// not what the shell or the desk has set.
fn set_by(text: &str, known: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    let own = [
        "AT",
        "LEFT",
        "_",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "CODECRAFTER_STATE_DIR",
    ];
    text.split('\0')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| !own.contains(name) && !known(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Copies what a clone has, and nothing that was built or is hidden.
fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name();
        let shown = name.to_string_lossy();
        let built = ["target", "node_modules", "build", "dist"].contains(&&*shown);
        if built || shown.starts_with('.') {
            continue;
        }
        let (source, target) = (entry.path(), to.join(&name));
        if entry.file_type()?.is_dir() {
            copy_sources(&source, &target)?;
        } else {
            fs::copy(&source, &target).with_context(|| source.display().to_string())?;
        }
    }
    Ok(())
}

pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::super::blocks::shell_blocks;
    use super::*;

    #[test]
    fn the_script_says_where_it_is_and_calls_the_stack() {
        let text = "curl http://127.0.0.1:8787/health\n".to_owned();
        let block = Block {
            line: 9,
            note: String::new(),
            text,
        };
        let script = script(&[&block], "http://127.0.0.1:1");
        assert!(script.contains("echo 9 > \"$AT\"\ncurl http://127.0.0.1:1/health\n"));
    }

    #[test]
    fn a_block_that_fails_is_named_with_its_line_and_ends_its_document() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("xtask-documents-{}", std::process::id()));
        let desk = Desk {
            repo: Repo::find()?,
            start: folder.join("clone"),
            folder: folder.clone(),
            url: "http://127.0.0.1:1".to_owned(),
        };
        fs::create_dir_all(desk.clone_folder())?;
        let text =
            "```sh\nTOLD=first\n```\n```sh\necho $TOLD && false | cat\n```\n```sh\ntouch no\n```\n";
        let document = Document {
            path: "docs/some.md".to_owned(),
            blocks: shell_blocks(text)?,
        };
        let blocks: Vec<&Block> = document.blocks.iter().collect();
        let mut report = Report::default();
        let work = Work::begin(&folder, "documents")?;
        desk.run(&work, &document, &blocks, &mut BTreeMap::new(), &mut report)?;
        assert_eq!((report.passed, report.failed, report.skipped), (1, 1, 1));
        assert!(
            report.note.contains("docs/some.md:5: failed"),
            "{}",
            report.note
        );
        assert!(report.note.contains("first"), "{}", report.note);
        assert!(!desk.clone_folder().join("no").exists());
        fs::remove_dir_all(folder)?;
        Ok(())
    }

    #[test]
    fn variables_of_a_document_are_told_from_those_before_it() {
        let set = set_by("A=1\0TOKEN=x=y\0PWD=/\0", |name| name == "A");
        assert_eq!(set, BTreeMap::from([("TOKEN".into(), "x=y".into())]));
    }
}
