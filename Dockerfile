# The image of peat-mesh-node: docker build -t peat-mesh-node:latest .
#
# target `debug` is the same with curl in it; without a target it is the plain one, which has no other program.
# Every image that it starts from is an argument: mirrors and digests are given by --build-arg, and a build without
# a registry starts from images that were imported. docs/kubernetes.md tells more, and how sizes are measured.
ARG BUN_IMAGE=docker.io/oven/bun:1.4.5-slim
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot
ARG DEBIAN_IMAGE=docker.io/library/debian:bookworm-slim

# Compiled on the machine that builds, for the one that is wanted.
FROM --platform=$BUILDPLATFORM ${BUN_IMAGE} AS compiler
WORKDIR /src
COPY package.json bun.lock bunfig.toml ./
# Where a proxy puts its own certificates before the registry's: --secret id=ca-certificates,src=FILE
RUN --mount=type=secret,id=ca-certificates \
    if [ -e /run/secrets/ca-certificates ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca-certificates; fi; \
    bun install --frozen-lockfile --production --ignore-scripts
COPY LICENSE ./
COPY scripts scripts
COPY src src
ARG TARGETARCH
ARG COMMIT=unknown
RUN --mount=type=secret,id=ca-certificates \
    if [ -e /run/secrets/ca-certificates ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca-certificates; fi; \
    SOURCE_COMMIT=${COMMIT} bun scripts/layout.ts ${TARGETARCH:+--arch ${TARGETARCH}} /layout

# Files only. One made outside takes the place of this stage: --build-context files=DIR, with DIR made by
# bun scripts/layout.ts DIR. Then nothing above is run, and no registry of packages is needed.
FROM scratch AS files
COPY --from=compiler /layout /

FROM ${RUNTIME_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="peat-mesh-node" \
      org.opencontainers.image.description="Documents that are kept equal on every node of a formation, over Iroh QUIC." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
# Owned by root, like what loads it: the node can't change what it runs, and unpacks nothing.
COPY --from=files --chown=0:0 /usr /usr
COPY --from=files --chown=65532:65532 /data /data
ENV NAPI_RS_NATIVE_LIBRARY_PATH=/usr/lib/peat-sidecar/iroh.node
# By number: Kubernetes can't prove of a name that it is not root.
USER 65532:65532
EXPOSE 8081/tcp 11204/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/bin/peat-mesh-node", "health"]
ENTRYPOINT ["/usr/bin/peat-mesh-node"]
VOLUME /data

# curl and the libraries that it needs and the runtime lacks. Of the same release as the runtime, for their sake.
FROM ${DEBIAN_IMAGE} AS curl
RUN set -eu; \
    command -v curl >/dev/null || { apt-get update; apt-get install -y --no-install-recommends curl; }; \
    mkdir -p /layout/usr/bin; \
    cp "$(command -v curl)" /layout/usr/bin/; \
    ldd "$(command -v curl)" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | while read -r library; do \
        case ${library##*/} in ld-linux*|libc.so*|libm.so*|libdl.so*|libpthread.so*|librt.so*|libresolv.so*) continue;; esac; \
        folder=${library%/*}; \
        mkdir -p "/layout/usr/lib/${folder##*/}"; \
        cp "$library" "/layout/usr/lib/${folder##*/}/"; \
    done

FROM runtime AS debug
COPY --from=curl --chown=0:0 /layout/usr /usr

FROM runtime AS image
