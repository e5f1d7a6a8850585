//! Shell blocks of documents: finding them, and what becomes of each.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::repo::Repo;

/// What else runs such a block.
const RUN_BY: [(&str, &str); 6] = [
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
    (
        COMPOSE,
        "the suite `compose` runs it, on its own deployment",
    ),
];

/// What the suite `compose` runs.
pub(super) const COMPOSE: &str = "compose";

/// What such a block needs.
const NEEDS: [(&str, &str); 5] = [
    (
        "cloudflare-account",
        "needs an account with Cloudflare, and deploys",
    ),
    ("spin", "needs the program `spin`, and serves until stopped"),
    ("terminal", "serves until stopped"),
    ("host", "changes the machine it is run on"),
    (
        "broker",
        "needs a RabbitMQ of your own and rights on its node",
    ),
];

/// The document whose variables all others have.
pub(super) const FIRST: &str = "README.md";

/// A document and its shell blocks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// Its path in the clone.
    pub(super) path: String,
    pub(super) blocks: Vec<Block>,
}

/// A shell block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The line of its first command, from 1.
    pub(super) line: usize,
    /// What follows `sh` on the fence.
    pub(super) note: String,
    pub(super) text: String,
}

/// What becomes of a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Run,
    RunElsewhere(&'static str),
    Needs(&'static str),
}

impl Document {
    pub(super) fn place(&self, block: &Block) -> String {
        format!("{}:{}", self.path, block.line)
    }
}

impl Block {
    pub(super) fn fate(&self) -> Result<Fate> {
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
pub(super) fn read_all(repo: &Repo) -> Result<Vec<Document>> {
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
pub(super) fn shell_blocks(text: &str) -> Result<Vec<Block>> {
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
            if closes(line, fence) {
                break;
            }
            text.push_str(line);
            text.push('\n');
        }
        let (language, note) = info.split_once(char::is_whitespace).unwrap_or((info, ""));
        let is_other_shell = ["bash", "shell", "console", "zsh"].contains(&language);
        ensure!(
            !is_other_shell,
            "line {opened}: tag it `sh`, so that it is run"
        );
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

/// Whether a line closes what `fence` has opened.
fn closes(line: &str, fence: &str) -> bool {
    let line = line.trim();
    line.starts_with(fence) && line.chars().all(|c| fence.starts_with(c))
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
    fn a_shell_block_of_another_tag_would_not_be_run_and_is_an_error() {
        assert!(shell_blocks("```bash\nfirst\n```\n").is_err());
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
}
