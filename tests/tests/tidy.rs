//! House rules that no lint knows. They read the sources as text, so they are quick and run
//! everywhere.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Every file of ours with one of the extensions, with its path from the root.
fn sources(extensions: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let built = ["target", "node_modules", "build", "dist"].contains(&name.as_str());
            if path.is_dir() && !built && !name.starts_with('.') {
                folders.push(path);
            } else if extensions
                .iter()
                .any(|wanted| name.ends_with(&format!(".{wanted}")))
            {
                let relative = path
                    .strip_prefix(root())
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.push((relative, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

/// Lines of code, without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_code = |(_, line): &(usize, &str)| !line.trim_start().starts_with("//");
    (1..).zip(text.lines()).filter(is_code)
}

fn names(line: &str, krate: &str) -> bool {
    [
        format!("{krate}::"),
        format!("use {krate};"),
        format!("extern crate {krate}"),
    ]
    .iter()
    .any(|mention| {
        line.match_indices(mention.as_str()).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
        })
    })
}

#[test]
fn only_its_own_adapter_names_a_platform() {
    let owners = [
        ("worker", "edge/src/cloudflare/"),
        ("wasm_bindgen", "edge/src/cloudflare/"),
        ("js_sys", "edge/src/cloudflare/"),
        ("web_sys", "edge/src/cloudflare/"),
        ("spin_sdk", "edge/src/spin/"),
        ("rusqlite", "edge/src/native/"),
    ];
    for (path, text) in sources(&["rs"]) {
        if !path.starts_with("edge/src/") && !path.starts_with("shared/src/") {
            continue;
        }
        for (krate, owner) in owners {
            if path.starts_with(owner)
                || owner.trim_end_matches('/') == path.trim_end_matches(".rs")
            {
                continue;
            }
            for (number, line) in code(&text) {
                assert!(
                    !names(line, krate),
                    "{path}:{number} names `{krate}`; only {owner} may"
                );
            }
        }
    }
}

#[test]
fn the_room_is_a_pure_state_machine() {
    for (path, text) in sources(&["rs"]) {
        // Its storage, the answers of its shard, the place where it lives and the room without
        // sockets are the doors to the outside.
        let door = path.ends_with("/store.rs")
            || path.ends_with("/shard.rs")
            || path.ends_with("/host.rs")
            || path.contains("/store/")
            || path.contains("/stream/");
        if !path.starts_with("edge/src/room/") || door || path.contains("/tests/") {
            continue;
        }
        for (number, line) in code(&text) {
            let waits = line.contains("async ") || line.contains(".await");
            assert!(!waits, "{path}:{number}: the room waits for nothing");
        }
    }
}

#[test]
fn nothing_is_left_for_later_in_the_code() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
    ];
    for (path, text) in sources(&["rs", "js", "mjs", "css", "html"]) {
        for (number, line) in (1..).zip(text.lines()) {
            for mark in marks {
                assert!(!line.contains(mark), "{path}:{number} says `{mark}`");
            }
        }
    }
}

#[test]
fn files_stay_readable() {
    for (path, text) in sources(&["rs"]) {
        let lines = text.lines().count();
        assert!(
            lines <= 700,
            "{path} has {lines} lines: give its parts files of their own"
        );
    }
}

#[test]
fn every_error_code_is_explained() {
    let errors = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    for code in codecrafter_shared::error::ErrorCode::ALL {
        let name = code.as_str();
        assert!(
            errors.contains(&format!("`{name}`")),
            "docs/errors.md does not explain `{name}`"
        );
    }
}

#[test]
fn every_known_language_has_an_image_and_every_image_a_known_language() {
    let folders = fs::read_dir(root().join("executor-host/images")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path());
    let mut images: Vec<_> = folders
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    images.sort();
    let known = codecrafter_shared::language::KNOWN.iter();
    let known: Vec<_> = known.map(|language| language.id).collect();
    assert_eq!(images, known);
}
