"""A mailcow directory for each test that asks for one."""

from pathlib import Path

import pytest

from tests.init.directories import MailcowDirectory, mailcow_directory


@pytest.fixture
def mailcow(tmp_path: Path) -> MailcowDirectory:
    """A fresh mailcow of the native generation, with the sidecar's clone in it."""
    return mailcow_directory(tmp_path / "mailcow")
