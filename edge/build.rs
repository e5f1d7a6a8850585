//! Takes the white space out of `docs/openapi.json`, a third of it, before it becomes part of the
//! edge.

use std::path::Path;
use std::{env, fs, io};

#[expect(
    clippy::disallowed_methods,
    reason = "cargo says by the environment where to write"
)]
fn main() -> io::Result<()> {
    let file = Path::new("../docs/openapi.json");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", file.display());
    let out = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    let compact = compact(&fs::read_to_string(file)?);
    fs::write(Path::new(&out).join("openapi.json"), compact)
}

/// `json` without white space between its tokens.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |c: &char| {
        let was_in_string = in_string;
        match c {
            '"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = *c == '\\' && !escaped;
        was_in_string || in_string || !c.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}
