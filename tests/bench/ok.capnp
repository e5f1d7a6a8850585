# The reference of `cargo xtask bench edge`: workerd with a Worker that answers `ok`.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "ok", worker = .ok)],
  sockets = [(name = "http", address = "127.0.0.1:8787", http = (), service = "ok")],
);

const ok :Workerd.Worker = (
  compatibilityDate = "2026-04-26",
  modules = [(name = "ok.js", esModule = embed "ok.js")],
);
