use super::Manifest;

const WHOLE: &str = r#"
spin_manifest_version = 2

[application]
name = "whole"
version = "1.0.0"
description = "Every key that is served."
authors = ["nobody"]

[variables]
secret = { required = true, secret = true, description = "a secret" }
greeting = { default = "hello" }

[[trigger.http]]
route = "/..."
component = "one"

[component.one]
source = "one.wasm"
description = "the one"
environment = { LEVEL = "info" }
files = [{ source = "web/dist", destination = "/web" }]
allowed_outbound_hosts = []
key_value_stores = ["default"]
sqlite_databases = ["directory", "rooms"]

[component.one.variables]
secret = "{{ secret }}"
text = "{{ greeting }}, {{greeting}}!"

[component.one.build]
command = "cargo build"
watch = ["src/**/*.rs"]
"#;

fn parse(text: &str) -> Result<Manifest, String> {
    Manifest::parse(text).map_err(|error| format!("{error:#}"))
}

/// The error of the whole manifest after one replacement.
#[track_caller]
fn refused(from: &str, to: &str) -> String {
    assert!(WHOLE.contains(from), "{from:?} is not in the manifest");
    match parse(&WHOLE.replacen(from, to, 1)) {
        Ok(_) => panic!("the manifest with {to:?} was taken"),
        Err(error) => error,
    }
}

#[test]
fn every_key_that_is_served_is_read() {
    let manifest = parse(WHOLE).unwrap();
    assert_eq!(manifest.application.name, "whole");
    assert!(manifest.variables["secret"].required);
    assert_eq!(
        manifest.variables["greeting"].default.as_deref(),
        Some("hello")
    );
    assert_eq!(manifest.trigger.http[0].component, "one");
    let one = &manifest.component["one"];
    assert_eq!(one.source, "one.wasm");
    assert_eq!(one.environment["LEVEL"], "info");
    assert_eq!(one.files[0].destination, "/web");
    assert!(one.key_value_stores.contains("default"));
    assert!(one.sqlite_databases.contains("rooms"));
}

#[test]
fn the_manifest_of_the_repository_is_served() {
    parse(include_str!("../../../spin.toml")).unwrap();
}

#[test]
fn a_key_that_is_not_served_is_refused_at_every_level() {
    let cases = [
        ("[application]", "surprise = 1\n[application]"),
        ("name = \"whole\"", "name = \"whole\"\nsurprise = 1"),
        (
            "{ default = \"hello\" }",
            "{ default = \"\", surprise = 1 }",
        ),
        ("route = \"/...\"", "route = \"/...\"\nsurprise = 1"),
        ("[[trigger.http]]", "[[trigger.redis]]"),
        (
            "source = \"one.wasm\"",
            "source = \"one.wasm\"\nsurprise = 1",
        ),
        (
            "destination = \"/web\"",
            "destination = \"/web\", surprise = 1",
        ),
        ("watch =", "surprise ="),
    ];
    for (from, to) in cases {
        let error = refused(from, to);
        assert!(
            error.contains("unknown field") || error.contains("unknown variant"),
            "{to}: {error}"
        );
    }
}

#[test]
fn another_version_is_refused() {
    let error = refused("spin_manifest_version = 2", "spin_manifest_version = 1");
    assert!(error.contains("only 2"), "{error}");
}

#[test]
fn a_variable_is_required_or_has_a_default() {
    for to in ["{ secret = true }", "{ required = true, default = \"x\" }"] {
        let error = refused("{ default = \"hello\" }", to);
        assert!(error.contains("required or have a default"), "{error}");
    }
}

#[test]
fn a_variable_with_a_name_that_spin_refuses_is_refused() {
    for name in ["Greeting", "9lives", "a__b", "a_", "a-b"] {
        let error = refused("greeting = {", &format!("{name} = {{"));
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn a_template_with_a_variable_that_nobody_has_is_refused() {
    let error = refused("{{ secret }}", "{{ sceret }}");
    assert!(error.contains("sceret"), "{error}");
    let error = refused("{{ secret }}", "{{ secret");
    assert!(error.contains("}}"), "{error}");
}

#[test]
fn a_route_to_no_component_is_refused() {
    let error = refused("component = \"one\"", "component = \"two\"");
    assert!(error.contains("no component"), "{error}");
}

#[test]
fn the_same_route_twice_is_refused() {
    let error = refused(
        "[component.one]\n",
        "[[trigger.http]]\nroute = \"/...\"\ncomponent = \"one\"\n[component.one]\n",
    );
    assert!(error.contains("twice"), "{error}");
}

#[test]
fn a_label_that_leaves_the_folder_of_the_state_is_refused() {
    for label in ["../rooms", "a/b", "", "a--b"] {
        let error = refused("\"rooms\"", &format!("{label:?}"));
        assert!(error.contains("label"), "{error}");
    }
}

#[test]
fn a_mount_at_a_relative_path_is_refused() {
    let error = refused("destination = \"/web\"", "destination = \"web\"");
    assert!(error.contains("absolute"), "{error}");
}
