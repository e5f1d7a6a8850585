//! One hash over all that a step reads, so that a step whose inputs are unchanged can be left out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::repo::Repo;

/// Folders that are made, not written.
const MADE: [&str; 4] = ["target", "build", "dist", "node_modules"];

/// A hash in the making. What goes in, and in which order, both count.
#[derive(Default)]
pub struct Inputs(Sha256);

impl Inputs {
    /// Adds text, such as a version or an argument.
    pub fn text(mut self, text: impl AsRef<str>) -> Self {
        self.add(text.as_ref().as_bytes());
        self
    }

    /// Adds a file, or every file below a folder, each with its path. A path that does not exist
    /// counts as empty.
    pub fn path(mut self, path: &Path) -> Result<Self> {
        self.walk(path, Path::new(""))
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(self)
    }

    /// The hash, in hexadecimal.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }

    fn walk(&mut self, path: &Path, shown: &Path) -> Result<()> {
        if path.is_dir() {
            let mut names: Vec<_> = fs::read_dir(path)?
                .map(|entry| Ok(entry?.file_name()))
                .collect::<Result<_>>()?;
            names.sort();
            for name in names {
                if !MADE.iter().any(|made| name == *made) {
                    self.walk(&path.join(&name), &shown.join(&name))?;
                }
            }
        } else if path.exists() {
            self.add(shown.as_os_str().as_encoded_bytes());
            self.add(&fs::read(path)?);
        }
        Ok(())
    }

    /// Length first, so that no two lists of parts look alike.
    fn add(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The inputs that something was last made from in this clone.
pub struct Stamp {
    file: PathBuf,
    inputs: String,
}

impl Stamp {
    /// The stamp of the thing called `name`, to be compared with `inputs`.
    pub fn new(repo: &Repo, name: &str, inputs: Inputs) -> Self {
        Self {
            file: repo.state_dir().join("stamps").join(name.replace(' ', "-")),
            inputs: inputs.finish(),
        }
    }

    /// Whether the thing was made from the same inputs. Whether it is still there is for the
    /// caller to see.
    pub fn is_fresh(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|written| written == self.inputs)
    }

    /// Says that the thing is now made from these inputs.
    pub fn write(&self) -> Result<()> {
        let write = || {
            fs::create_dir_all(self.file.parent().unwrap_or(Path::new(".")))?;
            fs::write(&self.file, &self.inputs)
        };
        write().with_context(|| format!("cannot write {}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let one = Inputs::default().text("ab").text("c").finish();
        let other = Inputs::default().text("a").text("bc").finish();
        assert_ne!(one, other);
    }

    #[test]
    fn a_missing_path_counts_as_empty() {
        let with = Inputs::default()
            .path(Path::new("/nowhere/at/all"))
            .map(Inputs::finish)
            .ok();
        assert_eq!(with, Some(Inputs::default().finish()));
    }
}
