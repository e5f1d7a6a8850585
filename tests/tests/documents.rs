//! What the documents say about the sources, and about each other, is so. As text, so that it is
//! quick and runs everywhere; the suite `documents` of `cargo xtask test` runs their shell blocks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use codecrafter_tests::conformance::CASES;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of a folder's entries that end in `ending`, sorted.
fn names(folder: &str, ending: &str) -> BTreeSet<String> {
    fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(ending))
        .collect()
}

/// Every file of a folder and those below it that ends in `ending`, with its path from the root.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for name in names(&folder, "") {
            let path = format!("{folder}/{name}");
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if name.ends_with(ending) {
                let text = read(&path);
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "no {ending} in {folder}");
    found.sort();
    found
}

#[test]
fn every_compiled_difference_between_the_platforms_is_listed() {
    let listed = read("docs/platforms.md");
    for folder in ["edge/src", "shared/src"] {
        for (path, text) in files(folder, ".rs") {
            let differs = text.lines().any(|line| {
                let line = line.trim_start();
                !line.starts_with("//") && line.contains("cfg") && line.contains("target_")
            });
            assert!(
                !differs || listed.contains(&format!("`{path}`")),
                "{path} is compiled by target; docs/platforms.md does not say what and why"
            );
        }
    }
    // What both adapters have is one port, written twice.
    let (cloudflare, spin) = (
        names("edge/src/cloudflare", ".rs"),
        names("edge/src/spin", ".rs"),
    );
    for file in cloudflare.symmetric_difference(&spin) {
        assert!(
            [
                format!("`{file}`"),
                format!("cloudflare/{file}`"),
                format!("spin/{file}`")
            ]
            .iter()
            .any(|name| listed.contains(name)),
            "only one platform has {file}; docs/platforms.md does not say why"
        );
    }
    for file in cloudflare.intersection(&spin) {
        assert!(
            listed.contains(&format!("`{file}`")),
            "docs/platforms.md does not list the port in {file}"
        );
    }
}

/// A promise could be skipped on a platform only by asking which one it is on.
#[test]
fn what_is_promised_on_one_platform_only_is_listed() {
    let listed = read("docs/platforms.md");
    for case in CASES {
        let asks = files("tests/src/conformance", ".rs")
            .into_iter()
            .any(|(_, text)| {
                let body = text.split_once(&format!("fn {}(", case.name));
                let body = body.map_or("", |(_, rest)| rest.split("\n}\n").next().unwrap_or(""));
                let body = body.to_lowercase();
                ["workerd", "cloudflare", "spin"]
                    .iter()
                    .any(|platform| body.contains(platform))
            });
        assert!(
            !asks || listed.contains(case.name),
            "{} asks for the platform; docs/platforms.md does not say why",
            case.name
        );
    }
    // Stock clients need sockets, so they are run on workerd only; and the event stream is where
    // there are none.
    for suite in names("tests/interop", ".test.mjs") {
        assert!(
            listed.contains(&format!("[`{suite}`]")),
            "{suite} is run on one platform only; docs/platforms.md does not say so"
        );
    }
}

#[test]
fn every_setting_is_documented() {
    let settings = read("docs/settings.md");
    let between = |text: &str, begin: &str| -> BTreeSet<String> {
        let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
        text.split(begin)
            .skip(1)
            .map(|rest| rest.chars().take_while(|c| is_name(*c)).collect())
            .collect()
    };
    for (path, begin) in [
        ("executor-host/src/config.rs", "env = \""),
        ("edge/src/config.rs", "get(\""),
        ("deploy/compose.yaml", "${"),
    ] {
        let names = between(&read(path), begin);
        assert!(names.len() > 3, "{path} names no settings any more");
        for name in names {
            assert!(
                settings.contains(&format!("`{name}`")),
                "docs/settings.md does not tell of {name}, which {path} reads"
            );
        }
    }
}

/// Every document, with its path from the root.
fn documents() -> Vec<(String, String)> {
    let mut all = files("docs", ".md");
    for name in names(".", ".md") {
        let text = read(&name);
        all.push((name, text));
    }
    all.extend(
        ["executor-host/images/README.md", "tests/interop/README.md"]
            .map(|path| (path.to_owned(), read(path))),
    );
    all
}

/// The text without what stands in code, where brackets are no links.
fn prose(text: &str) -> String {
    let mut prose = String::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

/// Where the links of a document lead: `](…)`.
fn links(text: &str) -> Vec<String> {
    prose(text)
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    prose(text)
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

/// `path` with its `..` taken out.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut broken = Vec::new();
    for (path, text) in documents() {
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = Path::new(&path).parent().unwrap();
            let target = if file.is_empty() {
                PathBuf::from(&path)
            } else {
                plain(&folder.join(file))
            };
            let there = root().join(&target);
            if !there.exists() {
                broken.push(format!("{path}: there is no {}", target.display()));
            } else if !anchor.is_empty() {
                let text = fs::read_to_string(there).unwrap();
                if !anchors(&text).iter().any(|known| known == anchor) {
                    broken.push(format!("{path}: {} has no #{anchor}", target.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_document_is_in_the_index() {
    let index = read("docs/README.md");
    for name in names("docs", ".md") {
        assert!(
            name == "README.md" || index.contains(&format!("]({name})")),
            "docs/README.md does not name {name}"
        );
    }
}

/// `conformance::name` in docs/coverage.md, or several in braces, are promises; what has a `/` is a
/// file, and what follows its `::` a test in it.
#[test]
fn every_test_that_coverage_names_is_there() {
    for (number, line) in (1..).zip(read("docs/coverage.md").lines()) {
        let place = format!("docs/coverage.md:{number}");
        for code in line.split('`').skip(1).step_by(2) {
            let (file, name) = code.split_once("::").unwrap_or((code, ""));
            if file == "conformance" {
                let names = name.trim_start_matches('{').trim_end_matches('}');
                for name in names
                    .split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty())
                {
                    let known = CASES.iter().any(|case| case.name == name);
                    assert!(known, "{place}: there is no promise {name}");
                }
            } else if file.contains('/') && file.contains('.') {
                let text = read(file);
                let test = format!("fn {name}(");
                assert!(
                    name.is_empty() || text.contains(&test),
                    "{place}: {file} has no {name}"
                );
            }
        }
    }
}

/// The words of a text that begin with `prefix`, without it, up to what no name has.
fn named(text: &str, prefix: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    text.split(prefix)
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| is_name(*c)).collect())
        .collect()
}

#[test]
fn every_alert_has_a_section_of_the_operators_book() {
    let (rules, book) = (
        read("deploy/monitoring/rules.yaml"),
        read("docs/operations.md"),
    );
    let tests = read("deploy/monitoring/rules-test.yaml");
    let alerts: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() > 5);
    for alert in alerts {
        assert!(book.contains(&format!("\n### {alert}\n")), "{alert}");
        let anchor = format!("docs/operations.md#{}\n", alert.to_lowercase());
        assert!(rules.contains(&anchor), "{alert} names no section");
        assert!(
            tests.contains(&format!("alertname: {alert}\n")),
            "{alert} never fires"
        );
    }
}

#[test]
fn what_is_watched_is_what_hosts_tell() {
    let book = read("docs/operations.md");
    for file in ["rules.yaml", "dashboard.json"] {
        let text = read(&format!("deploy/monitoring/{file}"));
        let metrics = named(&text, "codecrafter_executor_");
        assert!(metrics.len() > 5, "{metrics:?}");
        for metric in metrics {
            let metric = metric.trim_end_matches("_bucket");
            assert!(
                book.contains(&format!("`{metric}`")),
                "{file}: {metric} is not in the table"
            );
        }
    }
}
