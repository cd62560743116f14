# The image of the exporter: `make image`. The one with a shell, for charts that start through one:
# `make image TARGET=bash`. docs/containers.md says more.
#
# The base is needed for the build only. Its Python goes into the image, with the libraries that it loads and nothing
# else. Any base with Python 3.11 or newer and apt-get will do.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN if ! command -v gcc >/dev/null; then \
      apt-get update -qq; \
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev; \
    fi
WORKDIR /source
COPY . .
# Packages in a folder `wheelhouse` are taken; with PIP_NO_INDEX=1 only those.
ARG PIP_NO_INDEX=0
ARG REDPOLL_COMMIT=
ARG REDPOLL_BRANCH=
ARG SOURCE_DATE_EPOCH=
RUN export PIP_FIND_LINKS=/source/wheelhouse PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1; \
    export PIP_CONSTRAINT=/source/requirements-test.lock; \
    if [ -z "$SOURCE_DATE_EPOCH" ]; then unset SOURCE_DATE_EPOCH; fi; \
    python3 -m venv /build; \
    /build/bin/pip install --quiet setuptools Cython mypy; \
    /build/bin/pip wheel --quiet --no-build-isolation --no-deps --wheel-dir /wheels .; \
    /build/bin/pip install --quiet --no-compile --target /site /wheels/*.whl; \
    python3 deploy/image/root_folder.py /site /root-folder /bash-folder

FROM scratch AS exporter
COPY --from=build /root-folder/ /
ARG VERSION=
ARG REVISION=
ARG CREATED=
ARG SOURCE=
LABEL org.opencontainers.image.title="redpoll" \
      org.opencontainers.image.description="A Redis exporter for Prometheus that polls in the background" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}"
ENV PATH=/usr/local/bin:/usr/bin:/bin
USER 65534:65534
EXPOSE 9121
STOPSIGNAL SIGTERM
# A container may have a tenth of a CPU: the check itself then takes two seconds.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["/redis_exporter", "health"]
ENTRYPOINT ["/redis_exporter"]

FROM exporter AS bash
COPY --from=build /bash-folder/ /

# the last one is what is built where no target is named
FROM exporter
