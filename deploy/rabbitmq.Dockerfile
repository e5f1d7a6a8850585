# RabbitMQ from Debian's archive, for where no registry answers. It takes the settings that the
# official image takes and that deploy/compose.yaml uses; where you can, use that one.
ARG BASE=debian:trixie-slim
FROM ${BASE}

# The package would start its service if it could.
RUN printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d \
    && apt-get update \
    && apt-get install --yes --no-install-recommends rabbitmq-server \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/lib/rabbitmq/.erlang.cookie \
    && mkdir -p /etc/rabbitmq/conf.d && chown -R rabbitmq:rabbitmq /var/lib/rabbitmq

ENV HOME=/var/lib/rabbitmq RABBITMQ_LOGS=- PATH=/usr/lib/rabbitmq/bin:$PATH
USER rabbitmq
VOLUME /var/lib/rabbitmq
EXPOSE 5672
CMD ["rabbitmq-server"]
