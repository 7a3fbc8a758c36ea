"""`make demo`: the real sidecar at work on a simulated mailcow, with every promise checked against the world.

Rule for every editor: nothing leaves this machine but calls to its Docker engine, and nothing is left behind.
What the simulated mailcow answers is in `simulated`, the world around it in `stage`, what happens in the stories.
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
    """Plays the story of "native", "file" or "both", and says what was kept; OK only if every promise was.

    `spoil` gets each stage before its story begins, and may break something: then a promise must not be kept.
    `stay`: the page of the last story stays open until a person ends it.

    Raises KeyboardInterrupt where a person ends it, after everything was cleared away.
    """
    # Whoever wants the simulated mailcow alone need not load the whole sidecar.
    from demo.play import play  # noqa: PLC0415
    from sidecar.host.exits import Exit  # noqa: PLC0415

    return Exit.OK if await play(backend, spoil, stay=stay) else Exit.FAILED
