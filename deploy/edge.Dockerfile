# The edge on workerd. `cargo xtask dist` builds it: what is copied here, it has put beside this
# file. The state is in /state; the secret comes by CODECRAFTER_SECRET. See deploy/compose.yaml.
ARG BASE=debian:trixie-slim
FROM ${BASE}

RUN useradd --system --uid 10001 --home-dir /state --create-home codecrafter

COPY workerd /usr/local/bin/workerd
COPY deploy /srv/codecrafter/deploy
COPY build /srv/codecrafter/build
COPY web /srv/codecrafter/web

USER codecrafter
VOLUME /state
EXPOSE 8787

HEALTHCHECK --interval=10s --timeout=5s --retries=6 CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/8787 && printf 'GET /ready HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && test $status = 200"]

ENTRYPOINT ["workerd", "serve", "/srv/codecrafter/deploy/workerd.capnp", \
    "--socket-addr=http=*:8787", \
    "--directory-path=state=/state", \
    "--directory-path=web=/srv/codecrafter/web/dist"]
