"""Answers of mailcow for tests: recorded ones, and ones that are made up."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.mailcow.response import Answer

RECORDINGS = Path(__file__).parents[1] / "recordings"


def answer(
    body: object = b"", status: int = 200, content_type: str = "application/json", asked: str = "GET it"
) -> Answer:
    """An answer; a body that is neither bytes nor text is made JSON."""
    raw = (
        body
        if isinstance(body, bytes)
        else body.encode()
        if isinstance(body, str)
        else json.dumps(body).encode()
    )
    return Answer(asked, status, content_type, raw)


@dataclass(frozen=True)
class Exchange:
    """A recorded request and its answer."""

    file: str
    method: str
    path: str
    sent: Any
    key: str | None
    answer: Answer
    note: str
    rows: list[dict[str, str]] | None
    """Of table mta_sts after the exchange, where they were recorded."""

    def __str__(self) -> str:
        return f"{self.file}: {self.method} {self.path} ({self.note})"


def recorded(files: str = "*/*", path: str = "", method: str = "") -> Iterator[Exchange]:
    """Recorded exchanges that got an answer; `path` without /api/v1/ is compared whole."""
    for file in sorted(RECORDINGS.glob(f"{files}.json")):
        for found in json.loads(file.read_text())["exchanges"]:
            sent, got = found["request"], found["response"]
            if (
                got is None
                or got.get("status") is None
                or path not in {"", sent["path"].removeprefix("/api/v1/")}
            ):
                continue
            if method not in {"", sent["method"]}:
                continue
            made = answer(
                got.get("body_text_exact", got["body"]),
                got["status"],
                got["headers"].get("content-type") or "",
            )
            headers = sent["headers"] or {}
            rows = (found.get("database") or {}).get("mta_sts")
            note = found.get("note") or ""
            name = f"{file.parent.name}/{file.stem}"
            yield Exchange(
                name, sent["method"], sent["path"], sent["body"], headers.get("X-API-Key"), made, note, rows
            )


def body_of(exchange: Exchange) -> Any:
    """The JSON that was recorded, None where it was none."""
    try:
        return json.loads(exchange.answer.body)
    except ValueError:
        return None
