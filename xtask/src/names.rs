//! The names of the steps that others need, so that a misspelt need does not compile.

/// Docker Engine answers.
pub const ENGINE: &str = "docker engine";
/// The image that the language images stand on.
pub const BASE_IMAGE: &str = "base image";
/// The images that programs run in.
pub const IMAGES: &str = "language images";
/// Those of the languages that a stack begins with.
pub const FIRST_IMAGES: &str = "first language images";
/// A build in the background, of the stack that `up` started, has ended.
pub const PREPARING: &str = "images of the stack";
/// Compilers for the targets of `rust-toolchain.toml`.
pub const TARGETS: &str = "rust targets";
/// `node_modules`.
pub const PACKAGES: &str = "node packages";
/// What worker-build is linked with.
pub const LIBRARIES: &str = "build libraries";
/// The program that makes the JavaScript side of a wasm module.
pub const WASM_BINDGEN: &str = "wasm-bindgen";
/// The program that makes a Worker of a crate.
pub const WORKER_BUILD: &str = "worker-build";
/// The static program that is PID 1 in a container.
pub const AGENT: &str = "agent";
/// The page's bundle.
pub const PAGE: &str = "page bundle";
/// The edge for Cloudflare Workers.
pub const WORKER: &str = "edge for workerd";
/// The edge for Spin.
pub const COMPONENT: &str = "edge for spin";
/// The same, compiled for this machine: a start would take seconds of its time limit otherwise.
pub const COMPILED: &str = "edge compiled ahead";
/// The service that runs programs.
pub const EXECUTOR: &str = "executor-host";
/// All of the workspace's own tests, the suites' programs and the component's host.
pub const TESTS: &str = "test programs";
/// What `bench edge` and `bench relay` measure with, and what rings the exam bell.
pub const BENCH: &str = "bench programs";
/// What `bench executor` measures with.
pub const EXECUTOR_BENCH: &str = "executor-host's benchmark";
/// Compilers for arm64.
pub const ARM: &str = "compilers for arm64";
/// The C compiler for programs that need no library of the system.
pub const MUSL: &str = "musl compiler";
/// The executor-host that is deployed.
pub const STATIC_EXECUTOR: &str = "executor-host, static";
/// What is deployed, in one folder.
pub const DIST: &str = "distribution";
/// The container images of edge and executor-host.
pub const DIST_IMAGES: &str = "deployed images";
/// The container image of the message broker.
pub const BROKER_IMAGE: &str = "rabbitmq image";
/// Docker Compose, for its suite.
pub const COMPOSE: &str = "docker compose";
/// The message broker that jobs may go through.
pub const BROKER: &str = "rabbitmq server";
/// What operators watch hosts with, for its suite.
pub const PROMETHEUS: &str = "prometheus";
/// Chromium, for the page's suite.
pub const CHROMIUM: &str = "chromium";
/// What examples of HTTP in the documents are written in.
pub const CURL: &str = "curl";
