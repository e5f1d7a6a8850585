//! The names of the steps that others need, so that a misspelt need does not compile.

/// Docker Engine answers.
pub const ENGINE: &str = "docker engine";
/// The image that the language images stand on.
pub const BASE_IMAGE: &str = "base image";
/// The images that programs run in.
pub const IMAGES: &str = "language images";
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
/// What `bench edge` measures with.
pub const BENCH: &str = "bench programs";
/// The message broker that jobs may go through.
pub const BROKER: &str = "rabbitmq server";
/// Chromium, for the page's suite.
pub const CHROMIUM: &str = "chromium";
