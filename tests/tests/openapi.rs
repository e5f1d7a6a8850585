//! The table of operations, the router, and the two files that are made of the table agree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use codecrafter_shared::error::ErrorCode;
use codecrafter_tests::native::deployment;
use codecrafter_tests::openapi::check::Document;
use codecrafter_tests::openapi::{document, examples, markdown, table};
use reqwest::Method;
use reqwest::header::ALLOW;
use serde_json::Value;

const REFRESH: &str = "CODECRAFTER_REFRESH=1 cargo test -p codecrafter-tests --test openapi";

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join(path)
}

/// Compares a file with what it has to be, or writes it when asked to.
fn is_fresh(path: &str, wanted: &str) {
    let file = file(path);
    if env::var_os("CODECRAFTER_REFRESH").is_some() {
        fs::write(file, wanted).unwrap();
        return;
    }
    let found = fs::read_to_string(file).unwrap_or_default();
    assert!(
        found == wanted,
        "{path} is out of date; refresh it: {REFRESH}"
    );
}

#[test]
fn the_openapi_document_is_what_the_types_and_the_table_say() {
    is_fresh("docs/openapi.json", &document::text());
}

#[test]
fn the_reference_for_people_is_what_the_types_and_the_table_say() {
    let text = fs::read_to_string(file("docs/api.md")).unwrap();
    is_fresh("docs/api.md", &markdown::renewed(&text).unwrap());
}

#[test]
fn every_example_fits_its_type_and_every_body_has_one() {
    let document = document::document();
    let checked = Document::new(document.clone()).unwrap();
    let mut names = BTreeSet::new();
    for (name, example) in examples::examples() {
        checked.component(name, &example).unwrap();
        names.insert(format!("schemas/{name}"));
    }
    let mut bodies = BTreeSet::new();
    references(&document["paths"], &mut bodies);
    // The document has examples of headers beside them.
    bodies.retain(|name| !name.starts_with("headers/"));
    let missing: Vec<_> = bodies.difference(&names).collect();
    assert!(missing.is_empty(), "no example of {missing:?}");
}

/// The components that a part of the document refers to, such as `schemas/User`.
fn references(part: &Value, names: &mut BTreeSet<String>) {
    match part {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                names.extend(reference.strip_prefix("#/components/").map(str::to_owned));
            }
            map.values().for_each(|inner| references(inner, names));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, names)),
        _ => {}
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere_and_every_name_is_there_once() {
    let document = document::document();
    let mut names = BTreeSet::new();
    references(&document, &mut names);
    for name in names {
        let component = document["components"].pointer(&format!("/{name}"));
        assert!(
            component.is_some_and(Value::is_object),
            "{name} is referred to and not there"
        );
    }
    let mut ids = BTreeSet::new();
    for operation in table::operations() {
        assert!(
            ids.insert(operation.id),
            "two operations are called {}",
            operation.id
        );
    }
}

#[test]
fn every_error_code_is_the_answer_of_an_operation() {
    let mut codes: BTreeSet<&str> = BTreeSet::new();
    for operation in table::operations() {
        codes.extend(operation.refusals().iter().map(|code| code.as_str()));
    }
    // Of no operation: of a method that a route does not have.
    codes.insert(ErrorCode::MethodNotAllowed.as_str());
    let missing: Vec<_> = ErrorCode::ALL
        .iter()
        .map(|code| code.as_str())
        .filter(|code| !codes.contains(code))
        .collect();
    assert!(missing.is_empty(), "no operation refuses with {missing:?}");
}

/// The paths of the `.route(` calls, from the root, parameters without their names.
fn routes() -> BTreeSet<String> {
    let source = fs::read_to_string(file("edge/src/router.rs")).unwrap();
    let (outer, api) = source.split_once("\nfn api(").unwrap();
    let paths = |text: &str, prefix: &str| -> Vec<String> {
        let calls = text.split(".route(").skip(1);
        let path = |call: &str| call.split('"').nth(1).unwrap().to_owned();
        calls
            .map(|call| format!("{prefix}{}", path(call)))
            .collect()
    };
    let mut routes = paths(outer, "");
    routes.extend(paths(api, "/api/v1"));
    assert!(routes.len() > 10, "the routes were not found");
    routes.iter().map(|route| nameless(route)).collect()
}

fn nameless(path: &str) -> String {
    let part = |part: &str| {
        if part.starts_with('{') {
            "{}".to_owned()
        } else {
            part.to_owned()
        }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// The methods that a running edge allows on a path.
async fn allowed(url: &str, path: &str) -> BTreeSet<String> {
    let path = path.replace("{}", "00000000-0000-7000-8000-000000000000");
    let request = reqwest::Client::new().request(
        Method::from_bytes(b"PURGE").unwrap(),
        format!("{url}{path}"),
    );
    let response = request.send().await.unwrap();
    let allow = response
        .headers()
        .get(ALLOW)
        .map(|value| value.to_str().unwrap().to_owned());
    let allow = allow.unwrap_or_default().to_lowercase();
    let methods = allow.split(',').map(|method| method.trim().to_owned());
    methods
        .filter(|method| !method.is_empty() && method != "head")
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_and_the_router_have_the_same_routes_and_methods() {
    let (_edge, world) = deployment(&[]).await;

    let mut differences = Vec::new();
    let listed: BTreeSet<String> = table::operations()
        .iter()
        .map(|operation| nameless(operation.path))
        .collect();
    for path in routes().union(&listed) {
        let wanted: BTreeSet<String> = table::operations()
            .iter()
            .filter(|operation| nameless(operation.path) == *path)
            .map(|operation| operation.method.to_owned())
            .collect();
        let found = allowed(&world.url, path).await;
        if wanted != found {
            differences.push(format!(
                "{path}: the router has {found:?}, the table {wanted:?}"
            ));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
