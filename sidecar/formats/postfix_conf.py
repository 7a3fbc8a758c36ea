"""The text form of Postfix's main.cf (postconf(5)), as far as the value of a parameter is read from it."""

from collections.abc import Iterator


def value_of(text: str, name: str) -> str | None:
    """The value of parameter `name`, its last one where it stands twice; None where it does not stand there."""
    found: str | None = None
    for line in _logical_lines(text):
        key, equals, value = line.partition("=")
        if equals and key.strip() == name:
            found = " ".join(value.split())
    return found


def _logical_lines(text: str) -> Iterator[str]:
    """A line that begins with white space continues the one before; comments and blank lines stand anywhere."""
    line = ""
    for physical in text.splitlines():
        if not physical.strip() or physical.lstrip().startswith("#"):
            continue
        if physical[0] in " \t":
            line += f" {physical}" if line else ""
            continue
        if line:
            yield line
        line = physical
    if line:
        yield line
