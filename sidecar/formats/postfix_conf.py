"""The text form of Postfix's main.cf (postconf(5)), as far as the value of a parameter is read from it."""


def value_of(text: str, name: str) -> str | None:
    """The value of parameter `name`, the last one if it is repeated; None if it is absent."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue  # also between a line and its continuation
        if line[0] not in " \t":
            lines.append(line)
        elif lines:  # a line that begins with white space continues the one before
            lines[-1] += f" {line}"
    found: str | None = None
    for line in lines:
        key, equals, value = line.partition("=")
        if equals and key.strip() == name:
            found = " ".join(value.split())
    return found
