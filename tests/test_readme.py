"""What the README promises is what the program has."""

import re
from pathlib import Path

import yaml

from sidecar.cli import parser
from sidecar.host.exits import Exit
from sidecar.settings import load
from tests.readme_tables import rendered

README = (Path(__file__).parents[1] / "README.md").read_text()


def block(language: str) -> str:
    """The first block of code in this language."""
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
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
    text = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)[1]
    settings = load({}, text.encode(), {})
    assert settings.notify.webhook is not None
    assert len(settings.notify.apprise) == 1
    assert settings.web.listen == ("0.0.0.0", 8_480)


def test_every_command_is_listed_and_no_other() -> None:
    """The table of commands, against the parser."""
    listed = set(re.findall(r"^\| `sidecar ([a-z-]+)", README, re.MULTILINE))
    (subparsers,) = [action for action in parser()._actions if action.dest == "command"]
    assert listed == set(subparsers.choices or ())


def test_every_exit_code_is_listed() -> None:
    """Beside what it means."""
    sentence = re.search(r"^Exit codes: (.*?)\n\n", README, re.MULTILINE | re.DOTALL)
    assert sentence is not None
    assert {int(number) for number in re.findall(r"\b(\d+) [a-z]", sentence[1])} >= set(Exit)


def test_tables_made_from_the_code_are_as_the_code_has_them() -> None:
    """`python -m tests.readme_tables` writes them anew."""
    assert rendered(README) == README
