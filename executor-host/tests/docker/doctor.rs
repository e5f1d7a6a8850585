//! What doctor says of the host that these tests run on.

use std::process::Command;

use serde_json::Value;

/// Each of these must be there, and well: a program is ended for its memory and its CPU time, is
/// dead soon after it was cancelled, and reaches neither a network nor the image's files.
const WALLS: [&str; 5] = [
    "probe.memory",
    "probe.cpu",
    "probe.kill",
    "probe.network",
    "probe.root",
];

#[test]
#[ignore = "needs Docker and the images: run `cargo xtask test`"]
fn doctor_finds_this_host_healthy_and_every_wall_in_its_place() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_executor-host"));
    doctor.args(["doctor", "--json", "--slots", "2"]);
    doctor
        .env_remove("AMQP_URL")
        .arg("--state-dir")
        .arg(folder.path());
    let output = doctor.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for check in report["checks"].as_array().unwrap() {
        let (id, word) = (&check["id"], &check["result"]);
        if word != "ok" {
            println!("{word} {id}: {}", check["why"]);
        }
        assert_ne!(word, "broken", "{check:#}");
    }
    assert!(output.status.success(), "{output:?}");
    for wall in WALLS {
        let mut checks = report["checks"].as_array().unwrap().iter();
        let check = checks.find(|check| check["id"] == wall);
        assert_eq!(check.unwrap()["result"], "ok", "{wall}");
    }
}
