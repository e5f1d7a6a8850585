//! A broker that speaks TLS, with a certificate of an authority that only the deployment knows.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use executor_host::queue::contract::{job, result};
use executor_host::queue::rabbitmq::Address;
use executor_host::queue::{Queue as _, RabbitMq};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tempfile::TempDir;

use crate::bench::{soon, within};
use crate::broker::{Broker, Certificate, START_MAX};

/// An authority, and what it says of 127.0.0.1.
fn vouched_for() -> (String, Certificate) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::new([]).unwrap();
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    params.subject_alt_names = vec![SanType::IpAddress(address)];
    let key = KeyPair::generate().unwrap();
    let chain = params.signed_by(&key, &issuer).unwrap().pem();
    let key = key.serialize_pem();
    (authority, Certificate { chain, key })
}

fn queue(url: &str, authority: Option<&str>) -> RabbitMq {
    let address = url.parse::<Address>().unwrap();
    let address = match authority {
        Some(pem) => address.trusting(pem.to_owned()).unwrap(),
        None => address,
    };
    RabbitMq::new(address, "codecrafter".parse().unwrap())
}

/// Why there is no connection.
async fn refusal(url: &str, authority: Option<&str>) -> String {
    let depth = soon(queue(url, authority).depth()).await;
    format!("{:?}", depth.expect_err(url))
}

#[tokio::test]
#[ignore = "needs RabbitMQ"]
async fn a_broker_is_talked_to_by_tls_if_somebody_vouches_for_its_name_and_not_otherwise() {
    let (authority, certificate) = vouched_for();
    let broker = Broker::start_with(&certificate).await;
    let port = broker.port();
    let url = format!("amqps://127.0.0.1:{port}");
    let queue = queue(&url, Some(&authority));
    within(START_MAX, async || queue.depth().await.ok()).await;

    queue.publish(&job(1)).await.unwrap();
    let taken = soon(queue.take()).await.unwrap();
    assert_eq!(taken.job, job(1));
    queue.store_result(&result(1)).await.unwrap();
    taken.ack().await.unwrap();
    let stored = soon(queue.take_results(1)).await.unwrap();
    assert_eq!(stored[0].report, result(1));

    let stranger = refusal(&url, None).await;
    assert!(stranger.contains("UnknownIssuer"), "{stranger}");
    let (other, _) = vouched_for();
    let stranger = refusal(&url, Some(&other)).await;
    assert!(stranger.contains("certificate"), "{stranger}");
    let misnamed = format!("amqps://localhost:{port}");
    let misnamed = refusal(&misnamed, Some(&authority)).await;
    assert!(misnamed.contains("not valid for name"), "{misnamed}");
    // Nobody is told a password in the clear.
    refusal(&format!("amqp://127.0.0.1:{port}"), None).await;

    // The same by the command line.
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, &authority).unwrap();
    let shown = |file: Option<&std::path::Path>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_executor-host"));
        command.args(["queue", "--json"]).env_clear();
        command.env("AMQP_URL", &url);
        if let Some(file) = file {
            command.env("CODECRAFTER_AMQP_CA_FILE", file);
        }
        command.output().unwrap()
    };
    let output = shown(Some(&file));
    assert!(output.status.success(), "{output:?}");
    assert!(!shown(None).status.success());
}
