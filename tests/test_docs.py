"""What the README and `docs/` promise is what the program has."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import yaml

from sidecar import cli
from sidecar.host.exits import Exit
from sidecar.settings.load import load
from tests.docs_tables import ROOT, rendered
from tests.system.test_documented_commands import ORDER, blocks

parser = cache(cli.parser)
DOCS = ROOT / "docs"
PAGES = sorted({*ROOT.glob("*.md"), *DOCS.glob("*.md")} - {ROOT / "CHANGELOG.md"})
SETTINGS = (DOCS / "settings.md").read_text()
COMMANDS = (DOCS / "commands.md").read_text()


def block(language: str) -> str:
    """The first block of code in this language in the page of the settings."""
    found = re.search(rf"```{language}\n(.*?)```", SETTINGS, re.DOTALL)
    assert found is not None
    return found[1]


def test_example_of_the_settings_is_taken_as_it_is() -> None:
    """Every key and every value of it."""
    settings = load({}, block("yaml").encode(), {})
    assert settings.for_domain("example.org").mx == ("mail.example.org", "mx2.example.org")
    assert settings.exclude == {"example.net"}


def test_example_of_the_settings_shows_the_defaults() -> None:
    """But for the names of domains, hosts and the report address."""
    shown = load({}, block("yaml").encode(), {})
    default = load({}, None, {})
    for key in ("mode", "max_age", "adopt", "manage", "restart", "intervals", "backend", "dry_run"):
        assert getattr(shown, key) == getattr(default, key), key
    assert set(yaml.safe_load(block("yaml"))) >= {
        "mode",
        "max_age",
        "mx",
        "tls_report",
        "adopt",
        "exclude",
        "domains",
        "manage",
    }


def test_example_of_the_notifications_is_taken_as_it_is() -> None:
    """The second block of YAML."""
    text = re.findall(r"```yaml\n(.*?)```", SETTINGS, re.DOTALL)[1]
    settings = load({}, text.encode(), {})
    assert settings.notify.webhook is not None
    assert len(settings.notify.apprise) == 1
    assert settings.web.listen == ("0.0.0.0", 8_480)


def test_every_command_is_listed_and_no_other() -> None:
    """The table of commands, against the parser."""
    listed = set(re.findall(r"^\| `sidecar ([a-z-]+)", COMMANDS, re.MULTILINE))
    (subparsers,) = [action for action in parser()._actions if action.dest == "command"]
    assert listed == set(subparsers.choices or ())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_a_page_names_exist(page: Path) -> None:
    """In code spans and blocks."""
    (subparsers,) = [action for action in parser()._actions if action.dest == "command"]
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", page.read_text(), re.DOTALL))
    named = set(re.findall(r"(?<![\w/.-])sidecar ([a-z][a-z-]+)", code))
    assert named <= set(subparsers.choices or ())


def command_lines(page: Path) -> list[str]:
    """What follows `sidecar` in the code blocks and code spans of a page, without comments, pipes and redirections."""
    code = re.findall(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", page.read_text(), re.DOTALL)
    lines = [line for pair in code for text in pair for line in text.splitlines()]
    found = [re.search(r"(?:^|exec mta-sts-mailcow |\$ )sidecar ([a-z][^#|>]*)", line) for line in lines]
    return [match[1].rstrip("\\ ") for match in found if match is not None]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_a_page_are_accepted_with_their_arguments(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is run: the command line is parsed as the program does it."""
    refused: list[str] = []
    for line in command_lines(page):
        try:
            parser().parse_args(shlex.split(line))
        except SystemExit as end:
            said = capsys.readouterr().err
            # A command that is only named, without what it needs, is no mistake.
            if end.code != 0 and "arguments are required" not in said:
                refused.append(f"sidecar {line}: {said}")
    assert refused == []


def test_override_passes_on_the_secrets_that_pages_tell_to_set() -> None:
    """They are not in config.yml: without a line there, a value in mailcow.conf would not reach the sidecar."""
    service = yaml.safe_load((ROOT / "docker-compose.override.yml").read_text())["services"][
        "mta-sts-mailcow"
    ]
    pages = "\n".join(page.read_text() for page in PAGES)
    secrets = set(re.findall(r"MTA_STS_[A-Z_]*(?:KEY|TOKEN|PASSWORD)", pages))
    assert secrets
    assert secrets <= set(service["environment"])


def test_every_exit_code_is_listed() -> None:
    """Beside what it means."""
    sentence = re.search(r"^Exit codes: (.*?)\n\n?", COMMANDS, re.MULTILINE | re.DOTALL)
    assert sentence is not None
    assert {int(number) for number in re.findall(r"\b(\d+) [a-z]", COMMANDS[sentence.start() :])} >= set(Exit)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_made_from_the_code_are_as_the_code_has_them(page: Path) -> None:
    """`python -m tests.docs_tables` writes them."""
    assert rendered(page.name, page.read_text()) == page.read_text()


def anchors(page: Path) -> set[str]:
    """The fragments that GitHub gives the headings of a page."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    """Files and headings; nothing is fetched."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if fragment:
            assert fragment in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_what_it_is(page: Path) -> None:
    """Commands are `sh`: those are run by a test. A block without a language would be run by nobody."""
    fences = re.findall(r"^ *```(\w*)$", page.read_text(), re.MULTILINE)
    assert set(fences[::2]) <= {"ini", "nginx", "sh", "text", "yaml"}
    assert set(fences[1::2]) <= {""}


def test_every_page_with_commands_is_run() -> None:
    """By the system test, in which one mailcow directory goes through all of them."""
    pages = {str(page.relative_to(ROOT)) for page in PAGES}
    assert {page for page in pages if list(blocks(page))} == set(ORDER)


def test_log_lines_of_the_troubleshooting_page_are_said_by_the_program() -> None:
    """Each phrase of the first column stands somewhere in the source."""
    page = (DOCS / "troubleshooting.md").read_text()
    source = "\n".join(path.read_text() for path in (ROOT / "sidecar").rglob("*.py"))
    phrases = re.findall(r"^\| `([^`]+)`", page, re.MULTILINE)
    assert phrases
    assert [phrase for phrase in phrases if phrase not in source] == []


def test_readme_is_short() -> None:
    """What is longer stands in `docs/`."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200
