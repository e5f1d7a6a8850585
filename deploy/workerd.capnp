# The edge in a workerd of your own: the same modules that Cloudflare runs, the state in a
# directory of this machine. From the root of the repository:
#
#   worker-build edge --release --out-dir ../build
#   npm run build
#   mkdir -p .codecrafter/state
#   CODECRAFTER_SECRET="$(cat .codecrafter/secret)" \
#   npx workerd serve deploy/workerd.capnp \
#     --socket-addr=http=127.0.0.1:8787 \
#     --directory-path=state=.codecrafter/state \
#     --directory-path=web=web/dist
#
# The secret is 32 bytes of text or more, such as `openssl rand -base64 48` prints: keep it, every
# token and key follows from it. workerd is one process and speaks plain HTTP: put a proxy that
# ends TLS before it. It is not a hardened sandbox, and need not be: no user's code runs in it.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "edge", worker = .edge),
    (name = "state", disk = (writable = true)),
    (name = "web", disk = (path = "web/dist")),
    # Without a service of its own, a collector of spans in the same network would be out of reach.
    (name = "collector", network = (
      allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [(name = "http", address = "127.0.0.1:8787", http = (), service = "edge")],
  # All databases of the process share what SQLite may take: 512 MB, which some 2,300 rooms that are
  # awake at once have used up, or with this gate 8 GiB (cloudflare/workerd#6570).
  autogates = ["workerd-autogate-increase-sqlite-hard-heap-limit"],
);

const edge :Workerd.Worker = (
  # As in wrangler.toml.
  compatibilityDate = "2026-04-26",
  compatibilityFlags = ["no_web_socket_compression"],
  modules = [
    (name = "index.js", esModule = embed "../build/index.js"),
    (name = "index_bg.wasm", wasm = embed "../build/index_bg.wasm"),
  ],
  # The keys are part of where objects keep their state: changing one loses it.
  durableObjectNamespaces = [
    (className = "Directory", uniqueKey = "directory", enableSql = true),
    (className = "Room", uniqueKey = "room", enableSql = true),
    (className = "Hasher", uniqueKey = "hasher", enableSql = true),
    (className = "Person", uniqueKey = "person", enableSql = true),
    (className = "Limits", uniqueKey = "limits", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "state"),
  bindings = [
    (name = "DIRECTORY", durableObjectNamespace = "Directory"),
    (name = "ROOM", durableObjectNamespace = "Room"),
    (name = "HASHER", durableObjectNamespace = "Hasher"),
    (name = "PERSON", durableObjectNamespace = "Person"),
    (name = "LIMITS", durableObjectNamespace = "Limits"),
    (name = "ASSETS", service = "web"),
    (name = "COLLECTOR", service = "collector"),
    (name = "CODECRAFTER_SECRET", fromEnvironment = "CODECRAFTER_SECRET"),
    (name = "CODECRAFTER_SECRET_PREVIOUS", fromEnvironment = "CODECRAFTER_SECRET_PREVIOUS"),
    (name = "CODECRAFTER_TENANT", fromEnvironment = "CODECRAFTER_TENANT"),
    (name = "CODECRAFTER_ORIGINS", fromEnvironment = "CODECRAFTER_ORIGINS"),
    (name = "CODECRAFTER_WAITING_MAX", fromEnvironment = "CODECRAFTER_WAITING_MAX"),
    (name = "CODECRAFTER_RESULTS_DAYS", fromEnvironment = "CODECRAFTER_RESULTS_DAYS"),
    (name = "CODECRAFTER_FRAMES_PER_SECOND", fromEnvironment = "CODECRAFTER_FRAMES_PER_SECOND"),
    (name = "CODECRAFTER_OTLP", fromEnvironment = "CODECRAFTER_OTLP"),
    (name = "CODECRAFTER_LIMITS", fromEnvironment = "CODECRAFTER_LIMITS"),
    (name = "CODECRAFTER_TRUSTED_PROXIES", fromEnvironment = "CODECRAFTER_TRUSTED_PROXIES"),
    (name = "CODECRAFTER_CONTRACT", fromEnvironment = "CODECRAFTER_CONTRACT"),
  ],
);
