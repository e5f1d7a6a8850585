//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::workers::Reuse;

/// What `--help` prints.
pub const HELP: &str = "\
Serves the components of a spin.toml as Spin 4.1 would, with SQLite and key-value stores in files.

Usage: codecrafter-spin-host --state-dir DIR [options]

  --state-dir DIR      where databases are kept
  --manifest FILE      the manifest (spin.toml)
  --listen ADDR:PORT   where to listen (127.0.0.1:3000); port 0 takes a free one,
                       standard output says which
  --reuse              use instances again as Spin does by default (128 requests,
                       16 at a time, 1 s idle) instead of a fresh one per request

Values of variables come from the environment, as SPIN_VARIABLE_<NAME>.
";

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    /// The manifest.
    pub manifest: PathBuf,
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
        let mut settings = Self {
            manifest: "spin.toml".into(),
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
                "--manifest" => settings.manifest = value()?.into(),
                "--state-dir" => settings.state = value()?.into(),
                "--listen" => settings.listen = value()?.parse().context("--listen")?,
                "--reuse" => settings.reuse = Reuse::SPIN,
                "--help" | "-h" => return Ok(None),
                other => bail!("{other} is no option; see --help"),
            }
        }
        if settings.state.as_os_str().is_empty() {
            bail!("--state-dir is missing; see --help");
        }
        Ok(Some(settings))
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
            state: "s".into(),
            listen: "127.0.0.1:0".parse().unwrap(),
            reuse: Reuse::SPIN,
        };
        assert_eq!(settings, expected);
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
