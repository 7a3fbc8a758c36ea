"""Every command block of the README and `docs/` is run as it is written, by a real Compose and a real engine.

One mailcow directory goes through all of them, as an administrator would: installation, what else the pages say,
an update, removal. Only two things are not as on a server: mailcow's directory is elsewhere, and its API is that of
the simulated mailcow. MTA_STS_TRANSCRIPT names a file for commands and output.
"""

import asyncio
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from demo.simulated import SimulatedMailcow
from tests.system.acmebeside import working
from tests.system.components import program
from tests.system.images import PYTHON
from tests.system.mailcowlike import ADDRESS, REPOSITORY, SIDECAR, MailcowLike
from tests.system.test_end_to_end import ALLOWED, GATEWAY, HOST, KEY, certify

REMOVAL = "docs/removal.md"
ORDER = (
    "README.md",
    "docs/override.md",
    "docs/page.md",
    "docs/reverse-proxy.md",
    "docs/updating.md",
    REMOVAL,
)
"""The pages with command blocks; `tests/test_docs.py` sees to it that none is missing here."""
DOCUMENTED = "/opt/mailcow-dockerized"
ELSEWHERE = "make "
"""Blocks that begin so are run by `make bare`."""
READING_S = 25
"""Seconds for which a person reads `logs -f`."""
MAILCOWS_OWN = {
    "data/web/mta-sts.php": "",
    "data/web/inc/app_info.inc.php": '<?php\n  $MAILCOW_GIT_VERSION="2026-07a";\n',
    "data/conf/nginx/site.custom": "",
    "data/conf/postfix/main.cf": "smtp_tls_policy_maps = socketmap:inet:postfix-tlspol:8642:QUERYwithTLSRPT\n",
}
"""Files of mailcow's own that the sidecar, or a command of the pages, looks for."""
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\r\0]")
_BLOCK = re.compile(r"^( *)```(sh|ini)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """The blocks of commands (`sh`) and of lines for mailcow.conf (`ini`) of a page, without their indent."""
    for indent, language, text in _BLOCK.findall((REPOSITORY / page).read_text()):
        if not text.startswith(ELSEWHERE):
            yield language, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)


@dataclass
class Terminal:
    """A person's shell in the mailcow directory, and everything on its screen."""

    mailcow: MailcowLike
    screen: list[str] = field(default_factory=list)

    def types(self, text: str) -> str:
        """Runs a block of commands, one after the other, each of which has to succeed; gives the output.

        On a terminal, since `docker compose exec` asks for one.
        """
        output = ""
        for line in text.splitlines():
            output += self._line(line)
        return output

    def edits(self, text: str) -> str:
        """Sets these lines in mailcow.conf, as a person does in an editor."""
        conf = self.mailcow.folder / "mailcow.conf"
        keys = {line.partition("=")[0] for line in text.splitlines()}
        kept = [line for line in conf.read_text().splitlines() if line.partition("=")[0] not in keys]
        conf.write_text("\n".join([*kept, text]))
        self.screen += ["(mailcow.conf)", text]
        return ""

    def keep(self) -> None:
        """Writes all that stood on the screen into the file that MTA_STS_TRANSCRIPT names."""
        if where := os.environ.get("MTA_STS_TRANSCRIPT"):
            Path(where).write_text("\n".join(self.screen))

    def _line(self, line: str) -> str:
        command = line.replace(DOCUMENTED, str(self.mailcow.folder))
        if " logs -f " in command:  # it goes on until the person has read enough
            command = f"timeout --signal INT {READING_S} {command} || [ $? -le 130 ]"
        done = subprocess.run(
            [
                program("script"),
                "--quiet",
                "--return",
                "--command",
                f"bash -euc {shlex.quote(command)}",
                "/dev/null",
            ],
            cwd=self.mailcow.folder,
            env={**self.mailcow.project.engine.environment, "TERM": "dumb", "COMPOSE_ANSI": "never"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=300,
            check=False,
        )
        said = _CONTROL.sub("", done.stdout.decode(errors="replace"))
        self.screen += [f"$ {line}", said]
        assert done.returncode == 0, f"{line} ended with {done.returncode}:\n{said}"
        return said


def git(folder: Path, *arguments: str) -> None:
    """`git` with these arguments; nothing of the machine's configuration matters."""
    who = ("-c", "user.name=test", "-c", "user.email=test@example.test", "-c", "init.defaultBranch=main")
    subprocess.run([program("git"), *who, *arguments], cwd=folder, check=True, capture_output=True)


def published(folder: Path) -> Path:
    """A repository with the working tree as its one commit, whose image can be built without a registry."""
    folder.mkdir()
    listed = subprocess.run(
        [program("git"), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name)
    dockerfile = folder / "Dockerfile"
    text, base = dockerfile.read_text(), f"ARG PYTHON_IMAGE={PYTHON}"
    dockerfile.write_text(re.sub(r"^ARG PYTHON_IMAGE=.*$", base, text, count=1, flags=re.MULTILINE))
    git(folder, "init")
    git(folder, "add", "--all")
    git(folder, "commit", "--message", "as published")
    return folder


@pytest.mark.timeout(500)
async def test_commands_of_all_pages_run_as_they_are_written(
    mailcow_like: MailcowLike, tmp_path: Path
) -> None:
    """From the file beside mailcow's to the last trace of it."""
    origin = await asyncio.to_thread(published, tmp_path / "origin")
    git(mailcow_like.folder, "init")  # mailcow's directory is a clone of its repository
    git(mailcow_like.folder, "clone", str(origin), "mta-sts-sidecar")
    certify(mailcow_like.folder, HOST)
    terminal = Terminal(mailcow_like)
    typed: dict[str, str] = {}

    async def types(page: str) -> None:
        for language, text in blocks(page):
            do = terminal.types if language == "sh" else terminal.edits
            typed[text] = await asyncio.to_thread(do, text)

    for name, text in MAILCOWS_OWN.items():
        (mailcow_like.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (mailcow_like.folder / name).write_text(text)
    mailcow_like.resolve(f"{HOST}. A {ADDRESS}", f"example.test. MX 10 {HOST}.")
    await asyncio.to_thread(mailcow_like.project.run, "up", "-d")  # mailcow runs, as before on any server
    async with await SimulatedMailcow.start(
        version="2026-07a", hostname=HOST, key=KEY, host=GATEWAY, allow_from=ALLOWED, timezone="Etc/UTC"
    ) as mailcow:
        conf = mailcow_like.folder / "mailcow.conf"
        conf.write_text(conf.read_text() + f"MTA_STS_API_URL={mailcow.url}\n")
        mailcow.add_domain("example.test")
        acme_itself = asyncio.create_task(working(mailcow_like, mailcow))
        try:
            for page in ORDER:
                if page == REMOVAL:
                    assert mailcow.policy_text("example.test") is not None
                await types(page)
        finally:
            acme_itself.cancel()
            terminal.keep()
    log = next(output for text, output in typed.items() if "logs -f" in text)
    first = [line.split(" | ", 1)[-1] for line in log.splitlines()]
    assert any("works: mailcow's API" in line for line in first)
    assert any("publish: mta-sts.example.test. 120 IN CNAME mail.example.test." in line for line in first)
    assert "mta-sts.example.test. 120 IN CNAME" in log
    assert KEY not in "".join(terminal.screen)
    engine = mailcow_like.project.engine
    assert SIDECAR not in mailcow_like.project.running_services()
    assert "mta-sts" not in engine.run_cli("volume", "ls", "--quiet")
    assert "acme-mailcow" in mailcow_like.project.running_services()
    assert not (mailcow_like.folder / "mta-sts-sidecar").exists()
