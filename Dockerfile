# The sidecar's image: the project installed into a virtual environment on a slim Python, and nothing besides.
# The digest is that of python:3.14-slim for all its platforms; `make pin` puts the newest one here.
ARG PYTHON_IMAGE=python:3.14-slim@sha256:a2b82f3c48559aa0a8446d9af49826b6e2b2016f4cd2afabfe6013ec53729170

FROM ${PYTHON_IMAGE} AS build
# `--build-arg DNS_PROVIDERS=no`: without the libraries of DNS hosts; DNS updates (RFC 2136) need none.
ARG DNS_PROVIDERS=yes
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/sidecar
WORKDIR /source
# The lock file is complete, so no dependencies are looked for. In it stands first what runs, then what DNS hosts need, what builds, and what only develops.
COPY requirements.lock ./
RUN sed '/^# dns$/,$d' requirements.lock > run.txt \
 && sed '1,/^# dns$/d; /^# build$/,$d' requirements.lock > dns.txt \
 && if [ "$DNS_PROVIDERS" != no ]; then cat dns.txt >> run.txt; fi \
 && sed '1,/^# build$/d; /^# dev$/,$d' requirements.lock > build.txt \
 && pip install --require-hashes --only-binary :all: -r build.txt \
 # dkimpy is published as source only: it is the one package that is built here.
 && pip wheel --require-hashes --no-deps --no-build-isolation --only-binary :all: --no-binary dkimpy --wheel-dir wheels -r run.txt \
 && pip --python /opt/sidecar/bin/python install --no-deps --no-index wheels/*.whl
COPY pyproject.toml LICENSE ./
COPY sidecar sidecar
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && pip --python /opt/sidecar/bin/python install --no-deps --no-index dist/*.whl \
 && python -m compileall -q -o 2 /opt/sidecar/lib

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/sidecar /opt/sidecar
# The root file system is read-only where this runs, and the base image has no bytecode of Python's own library: without
# this line every health check would compile what it imports. Level 2 leaves out documentation: 3 MB of memory less.
RUN python -m compileall -q -o 0 -o 2 -x '/(ensurepip|idlelib|pydoc_data|site-packages|dist-packages|test|tests|tkinter|turtledemo)/' \
    "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
# Memory: one heap for all threads, and large answers outside of it, so that their space is given back: 4 MB less with
# 1,000 domains. Traces without the marks below a line (line numbers stay): 0.6 MB less.
ENV PATH=/opt/sidecar/bin:$PATH \
    MALLOC_ARENA_MAX=1 \
    MALLOC_MMAP_THRESHOLD_=131072 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNODEBUGRANGES=1 \
    PYTHONOPTIMIZE=2 \
    PYTHONUNBUFFERED=1 \
    MTA_STS_MAILCOW_DIR=/mailcow \
    MTA_STS_STATE_DIR=/state
WORKDIR /
# Runs as root, for mailcow.conf and the Docker socket are root's; docker-compose.override.yml takes the rest away.
# Reads the heartbeat of the running loop, so that a hung one shows. It starts a Python, so not every few seconds.
HEALTHCHECK --interval=60s --timeout=10s --start-period=30s --retries=2 CMD ["sidecar", "healthy"]
ENTRYPOINT ["sidecar"]
CMD ["run"]
