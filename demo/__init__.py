"""`make demo`: runs the real sidecar against a simulated mailcow, and checks every promise against the world.

Rule for every editor: nothing leaves this machine except calls to its Docker engine, and nothing is left behind.
`simulated` has the answers of the simulated mailcow, `stage` the world around it, the stories have the events.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demo.stage import Stage
    from sidecar.host.exits import Exit

__all__ = ["run_demo"]


async def run_demo(
    backend: str, *, spoil: "Callable[[Stage], None] | None" = None, stay: bool = False
) -> "Exit":
    """Plays the story of "native", "file" or "both", and prints the results; OK only if every promise was kept.

    `spoil` gets each stage before its story begins, and may break something: then a promise must fail.
    `stay`: the page of the last story stays open until a person ends it.

    Raises KeyboardInterrupt if a person ends it, after everything was removed.
    """
    # Tests that only need the simulated mailcow do not load the whole sidecar.
    from demo.play import play  # noqa: PLC0415
    from sidecar.host.exits import Exit  # noqa: PLC0415

    return Exit.OK if await play(backend, spoil, stay=stay) else Exit.FAILED
