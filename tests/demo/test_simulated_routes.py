"""Aliases and transports of the simulated mailcow answer as mailcow's own application did."""

import json
from pathlib import Path
from typing import Any

import aiohttp

from demo.simulated import SimulatedMailcow

SEEN = json.loads(Path(__file__).with_name("report_route_answers.json").read_text())["exchanges"]
TIMES = ("created", "modified")


def without_times(found: Any) -> Any:
    """The answer, with times only as far as there is one or none."""
    match found:
        case list():
            return [without_times(one) for one in found]
        case dict():
            return {
                key: value is not None if key in TIMES else without_times(value)
                for key, value in found.items()
            }
        case _:
            return found


async def test_each_answer_is_the_one_that_mailcow_gave() -> None:
    """One after the other, as they were asked."""
    assert len(SEEN) == 24
    async with await SimulatedMailcow.start() as mailcow, aiohttp.ClientSession() as http:
        mailcow.add_domain("example.com")
        for exchange in SEEN:
            async with http.request(
                exchange["method"],
                f"{mailcow.url}/api/v1/{exchange['route']}",
                json=exchange["body"],
                headers={"X-API-Key": mailcow.key or ""},
            ) as answer:
                found = json.loads(await answer.text())
            assert without_times(found) == without_times(exchange["answer"]), exchange["route"]
