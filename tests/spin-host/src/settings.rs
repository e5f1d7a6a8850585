//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::workers::Reuse;

/// What `--help` prints.
pub const HELP: &str = "\
Serves the components of a spin.toml as Spin 4.1 would, with SQLite and key-value stores in files.

Usage: codecrafter-spin-host --state-dir DIR [options]
       codecrafter-spin-host --compile [--manifest FILE]

  --state-dir DIR      where databases are kept
  --manifest FILE      the manifest (spin.toml)
  --listen ADDR:PORT   where to listen (127.0.0.1:3000); port 0 takes a free one,
                       standard output says which
  --reuse              use instances again as Spin does by default (128 requests,
                       16 at a time, 1 s idle) instead of a fresh one per request
  --compile            only compiles the components, so that serving them starts at once

Values of variables come from the environment, as SPIN_VARIABLE_<NAME>.
";

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// The manifest.
    pub manifest: PathBuf,
    /// What to do with it.
    pub task: Task,
}

/// What to do with the manifest's components.
#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    /// Compile them.
    Compile,
    /// Compile them, if nobody has, and serve them.
    Serve(Serving),
}

/// How to serve.
#[derive(Debug, PartialEq, Eq)]
pub struct Serving {
    /// The folder of the databases.
    pub state: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// How often instances are used.
    pub reuse: Reuse,
}

impl Settings {
    /// Reads the arguments after the program's name; `None` if help is wanted.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut manifest = PathBuf::from("spin.toml");
        let mut compile = false;
        let mut serving = Serving {
            state: PathBuf::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            reuse: Reuse::FRESH,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let value = arguments.next();
                value.with_context(|| format!("{argument} wants a value"))
            };
            match argument.as_str() {
                "--manifest" => manifest = value()?.into(),
                "--compile" => compile = true,
                "--state-dir" => serving.state = value()?.into(),
                "--listen" => serving.listen = value()?.parse().context("--listen")?,
                "--reuse" => serving.reuse = Reuse::SPIN,
                "--help" | "-h" => return Ok(None),
                other => bail!("{other} is no option; see --help"),
            }
        }
        let task = if compile {
            Task::Compile
        } else if serving.state.as_os_str().is_empty() {
            bail!("--state-dir is missing; see --help");
        } else {
            Task::Serve(serving)
        };
        Ok(Some(Self { manifest, task }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Settings>> {
        Settings::parse(line.split_whitespace().map(ToOwned::to_owned))
    }

    #[test]
    fn every_option_is_read() {
        let line = "--manifest a/spin.toml --state-dir s --listen 127.0.0.1:0 --reuse";
        let settings = parse(line).unwrap().unwrap();
        let expected = Settings {
            manifest: "a/spin.toml".into(),
            task: Task::Serve(Serving {
                state: "s".into(),
                listen: "127.0.0.1:0".parse().unwrap(),
                reuse: Reuse::SPIN,
            }),
        };
        assert_eq!(settings, expected);
        let settings = parse("--compile").unwrap().unwrap();
        assert_eq!(settings.task, Task::Compile);
    }

    #[test]
    fn what_is_missing_or_unknown_is_said() {
        for (line, said) in [
            ("", "--state-dir"),
            ("--state-dir", "wants a value"),
            ("--state-dir s --port 1", "--port"),
            ("--state-dir s --listen here", "--listen"),
        ] {
            let error = format!("{:#}", parse(line).unwrap_err());
            assert!(error.contains(said), "{line}: {error}");
        }
        assert_eq!(parse("--help").unwrap(), None);
    }
}
