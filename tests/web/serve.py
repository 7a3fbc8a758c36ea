"""Serves the page with a made-up state, to look at: `python -m tests.web.serve [NUMBER OF DOMAINS]`."""

import asyncio
import sys

from pydantic import SecretStr

from sidecar.web import WebSettings, start_web
from tests.web.fakes import REALISTIC, FakeClock, many, source_of

TOKEN = "correct horse battery"


async def main(number: int | None) -> None:
    """Until it is interrupted."""
    source = source_of(REALISTIC if number is None else many(number))
    web = await start_web(source, WebSettings(token=SecretStr(TOKEN)), FakeClock())
    print(web.url, "token:", TOKEN)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else None))
