# The sidecar's image: the project installed into a virtual environment on a slim Python, and nothing besides.
ARG PYTHON_IMAGE=python:3.14-slim

FROM ${PYTHON_IMAGE} AS build
RUN python -m venv --without-pip /opt/sidecar
WORKDIR /source
COPY pyproject.toml LICENSE ./
COPY sidecar sidecar
RUN pip --python /opt/sidecar/bin/python install --no-cache-dir --disable-pip-version-check .

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/sidecar /opt/sidecar
# Bytecode was compiled by pip; the root file system is read-only where this runs.
ENV PATH=/opt/sidecar/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MTA_STS_MAILCOW_DIR=/mailcow \
    MTA_STS_STATE_DIR=/state
WORKDIR /
# Runs as root, for mailcow.conf and the Docker socket are root's; docker-compose.override.yml takes the rest away.
# Reads the heartbeat of the running loop, so that a hung one shows. It starts a Python, so not every few seconds.
HEALTHCHECK --interval=60s --timeout=10s --start-period=30s --retries=2 CMD ["sidecar", "healthy"]
ENTRYPOINT ["sidecar"]
CMD ["run"]
