"""How this mailcow's Postfix checks other servers' policies: its setting on the disk, and postfix-tlspol itself.

Rules for every editor: read and asked, never changed. postfix-tlspol is asked exactly what Postfix asks it. Its answer is
bounded in time and size, and parsed strictly.
"""

import asyncio
from pathlib import Path

from sidecar.formats.socketmap import LONGEST_LENGTH, Reply, length_of, reply_of, request, value_of
from sidecar.host.plain_file import read_plain
from sidecar.observed import Seen, Sight, Unseen

FOLDER = Path("data/conf/postfix")
MAIN, EXTRA = "main.cf", "extra.cf"
"""Postfix's container appends the second to the first whenever it starts: of a parameter in both, the second counts."""
SETTING = "smtp_tls_policy_maps"
LARGEST = 1 << 20
DEADLINE_S = 15.0
"""postfix-tlspol itself takes up to 7 s for a domain whose DNS is slow."""


def policy_maps(mailcow_dir: Path, now: float) -> Sight[str | None]:
    """The value of smtp_tls_policy_maps, None if it is not set. Blocks, never raises for what it finds."""
    found: str | None = None
    for name in (MAIN, EXTRA):
        try:
            data = read_plain(mailcow_dir / FOLDER / name, LARGEST)
        except FileNotFoundError:
            if name == MAIN:
                return Unseen(f"{FOLDER / MAIN} is missing in the mailcow directory", now)
            continue
        except OSError as error:
            return Unseen(f"{FOLDER / name} cannot be read: {error.strerror or error}", now)
        value = value_of(data.decode("utf-8", "replace"), SETTING)
        found = found if value is None else value
    return Seen(found, now)


async def ask(domain: str, place: tuple[str, int], table: str, now: float) -> Sight[Reply]:
    """What postfix-tlspol at `place` (host, port) answers Postfix about a domain (A-label). Never raises."""
    host, port = place
    tried = f"{host}:{port} could not be asked"
    try:
        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await asyncio.open_connection(host, port, limit=LONGEST_LENGTH + 2)
            try:
                writer.write(request(table, domain))
                await writer.drain()
                # Exactly one netstring.
                digits = await reader.readuntil(b":")
                payload = await reader.readexactly(length_of(digits[:-1]))
                if await reader.readexactly(1) != b",":
                    return Unseen(f"{tried}: its answer does not end with a comma", now)
                return Seen(reply_of(payload), now)
            finally:
                writer.transport.abort()
    except TimeoutError:
        return Unseen(f"{host}:{port} gave no answer within {DEADLINE_S:g} s", now)
    except asyncio.IncompleteReadError:
        return Unseen(f"{host}:{port} closed the connection before its answer was whole", now)
    except asyncio.LimitOverrunError:
        return Unseen(f"{tried}: more than {LONGEST_LENGTH} digits stand before its answer", now)
    except (OSError, ValueError) as error:
        return Unseen(f"{tried}: {error}", now)
