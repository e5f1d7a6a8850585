# The executor-host: one static program. `cargo xtask dist` builds it: the program is beside this
# file. It runs programs by the Docker Engine whose socket it is given, in images that the engine
# must have; its state is in /var/lib/codecrafter. See deploy/compose.yaml.
ARG BASE=debian:trixie-slim
FROM ${BASE}

# To check the certificate of an edge.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin

COPY executor-host /usr/local/bin/executor-host

# Fails while its queue cannot be reached.
HEALTHCHECK --interval=30s --timeout=10s --retries=3 CMD ["executor-host", "queue", "--json"]

# As root, because only root and the group of the host's engine may use its socket, and that
# group's number is known on the host only.
VOLUME /var/lib/codecrafter
ENTRYPOINT ["executor-host"]
CMD ["serve"]
