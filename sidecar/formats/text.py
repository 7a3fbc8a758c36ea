"""What others wrote, made fit to be shown: without control characters, in one line, not too long.

Rule for every editor: nothing here understands a text. How octets are shown is said in `octets`.
"""


def printable(text: str, instead: str = " ") -> str:
    """`text` with `instead` for each character that could move a cursor, end a line or turn the direction of writing."""
    return text if text.isprintable() else "".join(c if c.isprintable() else instead for c in text)


def cut(text: str, most: int) -> str:
    """`text`, or its beginning and an ellipsis: `most` characters in all."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def one_line(text: str, most: int) -> str:
    """`text` in one line of at most `most` characters, each run of white space as one space."""
    return cut(" ".join(printable(text).split()), most)
