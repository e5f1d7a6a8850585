//! What the documents tell people to type, typed: the shell blocks of README.md and docs/, against
//! a stack of its own.
//!
//! A document's blocks run in their order and in one shell, in a copy of the clone, so that one
//! block has what the block before it set. The variables of README.md are there in every other
//! document. A block that is not run says why behind its ```` ```sh ````: `by=…` if something else
//! runs it, `needs=…` if it needs what is not here. Anything else there is a mistake.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::apt;
use crate::artifacts;
use crate::names;
use crate::repo::Repo;
use crate::report::Report;
use crate::stack::{Platform, Stack, suites_folder};
use crate::step::{Lane, Step};
use crate::work::{Work, on_path, tail};

/// What else runs such a block.
const RUN_BY: [(&str, &str); 5] = [
    ("test", "this very run is that command"),
    (
        "up",
        "every suite sets up and starts its stack by its steps",
    ),
    (
        "images",
        "every suite that runs programs builds its images first",
    ),
    (
        "dist",
        "the suite `compose` makes and starts what it makes, with secrets of its own",
    ),
    ("deploy", "the suite `deploy` runs its build"),
];

/// What such a block needs.
const NEEDS: [(&str, &str); 6] = [
    (
        "cloudflare-account",
        "needs an account with Cloudflare, and deploys",
    ),
    ("spin", "needs the program `spin`, and serves until stopped"),
    ("terminal", "serves until stopped"),
    ("host", "changes the machine it is run on"),
    (
        "compose-deployment",
        "needs the deployment that deploy/compose.yaml is",
    ),
    (
        "broker",
        "needs a RabbitMQ of your own and rights on its node",
    ),
];

/// The addresses that documents have for an edge; here they are the stack's.
const EDGES: [&str; 2] = ["http://127.0.0.1:8787", "https://code.example"];

/// The document whose variables all others have.
const FIRST: &str = "README.md";

/// Seconds for all blocks of a document together.
const LIMIT_SECONDS: &str = "120";

/// Lines that are shown of a block that failed.
const SHOWN_LINES: usize = 8;

/// The unit that docs/executor.md tells people to install.
const UNIT: &str = "deploy/executor-host.service";

/// Installs curl, in which examples of HTTP are written, unless it is there.
pub fn install_step() -> Option<Step<'static>> {
    if on_path("curl") || !apt::can_install() {
        return None;
    }
    let step = Step::new(names::CURL, Lane::Packages, |work| {
        apt::install(work, &["curl"])?;
        Report::done()
    });
    Some(step.installs([apt::missing("curl", &["curl"], 2)]))
}

/// Runs every block that can be run, and says why the others were not.
pub fn documents(repo: &Repo, work: &Work) -> Result<Report> {
    let documents = read_all(repo)?;
    let mut stack = Stack::of_suite(repo, "documents", Platform::Workerd)?;
    stack.start_edge()?;
    stack.start_executor(work)?;
    let desk = Desk::new(repo, &stack)?;

    let mut report = Report::default();
    let mut left = Vec::new();
    let mut variables = BTreeMap::new();
    for document in &documents {
        let mut run = Vec::new();
        for block in &document.blocks {
            let place = document.place(block);
            match block.fate() {
                Ok(Fate::Run) => run.push(block),
                Ok(Fate::RunElsewhere(why)) => left.push(format!("{place}: {why}")),
                Ok(Fate::Needs(why)) => report.skip(&place, why),
                Err(why) => report.case(&place, Err(why)),
            }
        }
        if !run.is_empty() {
            desk.run(work, document, &run, &mut variables, &mut report)?;
        }
    }
    match check_unit(repo, work, &desk) {
        Ok(Some(())) => report.case(UNIT, Ok(())),
        Ok(None) => report.skip(UNIT, "there is no systemd-analyze to check it"),
        Err(why) => report.case(UNIT, Err(why)),
    }
    if !left.is_empty() {
        report.say(format!("{} blocks are run elsewhere:", left.len()));
        left.iter().for_each(|line| report.say(format!("  {line}")));
    }
    Ok(report)
}

/// A document and its shell blocks.
#[derive(Debug, PartialEq, Eq)]
struct Document {
    /// Its path in the clone.
    path: String,
    blocks: Vec<Block>,
}

/// A shell block.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// The line of its first command, from 1.
    line: usize,
    /// What follows `sh` on the fence.
    note: String,
    text: String,
}

/// What becomes of a block.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Run,
    RunElsewhere(&'static str),
    Needs(&'static str),
}

impl Document {
    fn place(&self, block: &Block) -> String {
        format!("{}:{}", self.path, block.line)
    }
}

impl Block {
    fn fate(&self) -> Result<Fate> {
        let known = |reasons: &[(&str, &'static str)], name: &str| {
            let mut reasons = reasons.iter();
            let found = reasons.find(|(known, _)| *known == name);
            found.map(|(_, why)| *why)
        };
        let fate = match self.note.split_once('=') {
            None if self.note.is_empty() => Some(Fate::Run),
            Some(("by", name)) => known(&RUN_BY, name).map(Fate::RunElsewhere),
            Some(("needs", name)) => known(&NEEDS, name).map(Fate::Needs),
            _ => None,
        };
        fate.with_context(|| format!("`sh {}` is not a reason known here", self.note))
    }
}

/// README.md, then every document, by name.
fn read_all(repo: &Repo) -> Result<Vec<Document>> {
    let mut paths = vec![FIRST.to_owned()];
    if repo.path("CONTRIBUTING.md").is_file() {
        paths.push("CONTRIBUTING.md".to_owned());
    }
    let mut inside = Vec::new();
    for entry in fs::read_dir(repo.path("docs"))? {
        let name = entry?.file_name();
        let name = name.to_str().context("a document's name is not text")?;
        if name.ends_with(".md") {
            inside.push(format!("docs/{name}"));
        }
    }
    inside.sort();
    paths.append(&mut inside);
    let read = |path: String| {
        let text = fs::read_to_string(repo.path(&path)).with_context(|| path.clone())?;
        let blocks = shell_blocks(&text).with_context(|| path.clone())?;
        Ok(Document { path, blocks })
    };
    paths.into_iter().map(read).collect()
}

/// The blocks of a text that are fenced and tagged `sh`. A fence ends at one of the same character
/// that is at least as long (CommonMark 4.5); those of other languages are passed over whole.
fn shell_blocks(text: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((opened, line)) = lines.next() {
        let Some((fence, info)) = fence(line) else {
            continue;
        };
        let mut text = String::new();
        loop {
            let (_, line) = lines
                .next()
                .with_context(|| format!("the fence of line {opened} is never closed"))?;
            if line.trim_start().starts_with(fence)
                && line.trim().trim_matches(char_of(fence)) == ""
            {
                break;
            }
            text.push_str(line);
            text.push('\n');
        }
        let (language, note) = info.split_once(char::is_whitespace).unwrap_or((info, ""));
        if language == "sh" {
            blocks.push(Block {
                line: opened + 1,
                note: note.trim().to_owned(),
                text,
            });
        }
    }
    Ok(blocks)
}

/// The fence that a line opens, and what is behind it.
fn fence(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let mark = line.chars().next().filter(|c| ['`', '~'].contains(c))?;
    let length = line.len() - line.trim_start_matches(mark).len();
    let (fence, info) = line.split_at(length);
    (length >= 3).then(|| (fence, info.trim()))
}

fn char_of(fence: &str) -> char {
    fence.chars().next().unwrap_or('`')
}

/// Where blocks are typed: a copy of the clone, with programs that documents take for granted.
struct Desk {
    repo: Repo,
    folder: PathBuf,
    url: String,
}

impl Desk {
    fn new(repo: &Repo, stack: &Stack<'_>) -> Result<Self> {
        let folder = suites_folder(repo).join("documents");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let desk = Self {
            repo: repo.clone(),
            folder,
            url: stack.url(),
        };
        fs::create_dir_all(desk.programs())?;
        copy_sources(repo.root(), &desk.clone_folder())?;
        // As after `up`, with the secret and the state of this stack.
        symlink(stack.folder(), desk.clone_folder().join(".codecrafter"))?;
        symlink(
            artifacts::executor(repo),
            desk.programs().join("executor-host"),
        )?;
        // People see what an edge answers; here a refusal has to end the block.
        let curl = find("curl").context("there is no curl")?;
        let strict = format!(
            "#!/bin/sh\nexec '{}' --fail-with-body --max-time 60 \"$@\"\n",
            curl.display()
        );
        let path = desk.programs().join("curl");
        fs::write(&path, strict)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        Ok(desk)
    }

    fn clone_folder(&self) -> PathBuf {
        self.folder.join("clone")
    }

    fn programs(&self) -> PathBuf {
        self.folder.join("bin")
    }

    /// Runs blocks of a document; one that fails ends it. README.md leaves its `variables`.
    fn run(
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
            .current_dir(self.clone_folder());
        // Only the documents say what is set.
        for (name, _) in env::vars_os() {
            let of_ours = name.to_string_lossy().starts_with("CODECRAFTER_") || name == "AMQP_URL";
            if of_ours {
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

fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Whether systemd takes the unit; none if it cannot be asked.
fn check_unit(repo: &Repo, work: &Work, desk: &Desk) -> Result<Option<()>> {
    if !on_path("systemd-analyze") {
        return Ok(None);
    }
    let unit = fs::read_to_string(repo.path(UNIT))?;
    let installed = "/usr/local/bin/executor-host";
    ensure!(
        unit.contains(installed),
        "{UNIT} does not start {installed}"
    );
    // It looks whether the program is there.
    let built = desk.programs().join("executor-host");
    let copy = desk.folder.join("executor-host.service");
    fs::write(&copy, unit.replace(installed, &built.display().to_string()))?;
    let mut verify = repo.command("systemd-analyze");
    verify
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(&copy);
    if work.run(&mut verify).is_err() {
        bail!(
            "systemd does not take it:\n{}",
            tail(work.log(), SHOWN_LINES)
        );
    }
    Ok(Some(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Text with ```sh in it.

```sh
first
```

```js
notShell();
```

````sh needs=spin
```
second
````

- in a list
  ```sh
  third
  ```
";

    #[test]
    fn shell_blocks_are_found_with_their_lines_and_notes() {
        let blocks = shell_blocks(TEXT).expect("blocks");
        let found: Vec<_> = blocks
            .iter()
            .map(|block| (block.line, block.note.as_str(), block.text.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                (4, "", "first\n"),
                (12, "needs=spin", "```\nsecond\n"),
                (18, "", "  third\n"),
            ]
        );
    }

    #[test]
    fn a_fence_that_is_never_closed_is_an_error() {
        assert!(shell_blocks("```sh\nfirst\n").is_err());
    }

    #[test]
    fn a_block_is_run_unless_it_gives_a_known_reason() {
        let fate = |note: &str| {
            let (note, text) = (note.to_owned(), String::new());
            Block {
                line: 1,
                note,
                text,
            }
            .fate()
        };
        assert_eq!(fate("").ok(), Some(Fate::Run));
        assert!(matches!(fate("by=test"), Ok(Fate::RunElsewhere(_))));
        assert!(matches!(fate("needs=spin"), Ok(Fate::Needs(_))));
        for unknown in ["needs=luck", "by=nobody", "spin", "skip"] {
            assert!(fate(unknown).is_err(), "{unknown}");
        }
    }

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
