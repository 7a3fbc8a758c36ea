"""Images for the tests, made without a registry."""

import io
import subprocess
import tarfile
from pathlib import Path

from tests.system.components import PYTHON_BASE, WHEELS, need, program
from tests.system.engine import Engine

PYTHON = "python:3.14-slim"
"""Named as in the registry; its digest, by which the Dockerfile knows it, no local image can have."""

_PYTHON_WITH_WHEELS = """\
FROM bare:python
COPY *.whl *.tar.gz /wheels/
RUN printf '[global]\\nno-index = true\\nfind-links = /wheels\\n' > /etc/pip.conf
"""


def import_busybox(engine: Engine) -> str:
    """An image of 2 MB for stand-ins that sleep, trap signals and serve HTTP."""
    busybox = program("busybox")
    applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    archive = _Archive()
    archive.folders("bin", "etc", "www", "tmp")
    archive.file("bin/busybox", Path(busybox).read_bytes(), mode=0o755)
    for applet in applets:
        if applet != "busybox":
            archive.link(f"bin/{applet}", "busybox")
    users = "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
    archive.file("etc/passwd", users.encode())
    return archive.import_as(engine, "stand-in:busybox", "ENV PATH=/bin", 'CMD ["sh"]')


def import_host(engine: Engine) -> str:
    """An empty image in which this machine's programs run, given its /usr with `-v /usr:/usr:ro`."""
    archive = _Archive()
    archive.folders(
        "usr", "etc", "run", "root", "proc", "sys", "dev", "var/log", "var/lib", "var/cache", "tmp"
    )
    for name in ("bin", "sbin", "lib", "lib64"):
        archive.link(name, f"usr/{name}")
    archive.link("var/run", "/run")
    for name in ("passwd", "group", "nsswitch.conf", "ld.so.cache", "services"):
        archive.file(f"etc/{name}", Path("/etc", name).read_bytes())
    return archive.import_as(engine, "stand-in:host", "ENV PATH=/usr/sbin:/usr/bin")


def build_python(engine: Engine) -> str:
    """What the registry's slim Python is, with the wheels in it that an index would give."""
    path = "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    engine.run_cli("import", "-c", path, "-c", 'CMD ["python3"]', str(need(PYTHON_BASE)), "bare:python")
    dockerfile = _PYTHON_WITH_WHEELS.encode()
    engine.run_cli("build", "--quiet", "--tag", PYTHON, "--file", "-", str(need(WHEELS)), stdin=dockerfile)
    return PYTHON


class _Archive:
    """A tar file in the making, as `docker import` takes it."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._bytes, mode="w")  # noqa: SIM115  closed in import_as

    def folders(self, *names: str) -> None:
        for name in names:
            self._add(name, tarfile.DIRTYPE, mode=0o1777 if name == "tmp" else 0o755)

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        self._add(name, tarfile.REGTYPE, mode=mode, content=content)

    def link(self, name: str, target: str) -> None:
        self._add(name, tarfile.SYMTYPE, target=target)

    def import_as(self, engine: Engine, tag: str, *changes: str) -> str:
        self._tar.close()
        options = [word for change in changes for word in ("-c", change)]
        engine.run_cli("import", *options, "-", tag, stdin=self._bytes.getvalue())
        return tag

    def _add(
        self, name: str, kind: bytes, *, mode: int = 0o777, content: bytes = b"", target: str = ""
    ) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(content), target
        self._tar.addfile(entry, io.BytesIO(content))
