"""Every test of this room closes its stores."""

from collections.abc import Iterator
from typing import Any

import pytest

from sidecar.reports.store import ReportStore


@pytest.fixture(autouse=True)
def closed_stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Closes every store of reports that the test has made: from Python 3.13 on, an open database is a warning."""
    made: list[ReportStore] = []
    init = ReportStore.__init__

    def remembered(store: ReportStore, *given: Any, **named: Any) -> None:
        init(store, *given, **named)
        made.append(store)

    monkeypatch.setattr(ReportStore, "__init__", remembered)
    yield
    for store in made:
        store.close()
