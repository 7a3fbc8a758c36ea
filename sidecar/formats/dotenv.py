"""mailcow.conf as Compose reads it, and edits of its comma-separated lists that keep every other byte; pure.

Rules for every editor. `read` follows the dotenv dialect of Compose v2 (not the shell's). An edit is verified
before it is returned: the new text is read again, has the wanted entries, and no other key has changed; otherwise
a ValueError for a person is raised. Errors never contain the value of another key: the file is full of
passwords.
Files, links and backups do not belong here (`mailcow.conf`).
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

_BLANKS = "\t\v\f\r \x85\xa0"
"""White space within a line, as Compose's reader has it."""
_WHITE = _BLANKS + "\n\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"

_HEAD = re.compile(
    rf"(?P<skipped>(?:[{_WHITE}]+|#[^\n]*)*+)(?:export(?=[\t\n\f\r ])[{_BLANKS}]*)?"
    rf"(?P<key>[^=:\n]*)(?P<sign>[=:\n]|\Z)[{_BLANKS}]*"
)
"""A key, with the blank lines and comments before it, up to its value; `sign` is empty at the end of the text."""
_QUOTED = {quote: re.compile(rf"{quote}((?:[^{quote}\\]|\\[\s\S])*){quote}") for quote in "'\""}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-+?]")
_ESCAPE = re.compile(r"\\(?:[abcfnrtv$\"\\]|0\d{0,3})", re.ASCII)
_ESCAPED = dict(zip('abfnrtv"\\', '\a\b\f\n\r\t\v"\\', strict=True)) | {"$": "$$"}
_SEPARATORS = re.compile(r"[,\s]")
_ENTRY = re.compile(r"[A-Za-z0-9_.*-]+")


@dataclass(frozen=True, slots=True)
class ListEdit:
    """The change of one comma-separated key; entries are compared without case, and `add` wins over `remove`."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    strict: bool = False
    """Whether an entry of `add` with white space in front of it is rewritten without."""


@dataclass(frozen=True, slots=True)
class _Statement:
    """One `KEY=value`; `raw` is the text between `start` and `end`, without quotes and comment."""

    key: str
    value: str
    quote: str
    raw: str
    start: int
    behind_equals: int
    line: int

    @property
    def end(self) -> int:
        return self.start + len(self.raw)


def read(data: bytes) -> dict[str, str]:
    """The values by key; for a repeated key the last one. Invalid UTF-8 becomes U+FFFD, as in Docker's JSON.

    Variables refer to earlier keys of the file only: the environment of Compose is not known.
    Raises ValueError, with the line, for a file that Compose refuses as a whole.
    """
    return {key: _printable(value) for key, value in _values(_parse(_decoded(data))).items()}


def items(value: str) -> tuple[str, ...]:
    """The entries of a list: split on commas and white space, trimmed, each once (without case), in order."""
    return _once(_entries(value))


def has_spaces(value: str) -> bool:
    """Whether white space separates entries: mailcow splits on commas only, so it needs a repair."""
    return not _is_comment(value) and any(len(chunk.split()) > 1 for chunk in value.split(","))


def has_trailing_spaces(value: str) -> bool:
    """Whether white space follows an entry: for acme-mailcow, `prefix.* ` does not end in `.*` and is not a prefix."""
    return not _is_comment(value) and any(chunk.strip() and chunk[-1].isspace() for chunk in value.split(","))


def has_comment(value: str) -> bool:
    """Whether Compose takes a comment as a part of the list, such as one after a tab."""
    return any(entry.startswith("#") for entry in _entries(value))


def edit_list(
    data: bytes, key: str, *, add: Sequence[str], remove: Collection[str], strict: bool = False
) -> bytes:
    """`data` with only the list of `key` changed; the very same object if there is nothing to change.

    Entries are compared without case; an entry in `add` is not removed. Spaces between entries become commas, and
    spaces after an entry are removed; empty entries and repetitions are removed if the value changes anyway. An absent
    key is added. `strict` is for a list whose reader ignores entries with white space in front, such as
    API_ALLOW_FROM: an entry in `add` is then rewritten without.

    Raises ValueError, with a sentence for a person, if the edit is not safe.
    """
    for entry in add:
        if not _ENTRY.fullmatch(entry):
            raise ValueError(f"{entry!r} cannot be an entry of {key}")
    text = _decoded(data)
    before = _parse(text)
    places = [n for n, statement in enumerate(before) if statement.key == key]
    value = before[places[-1]].value if places else ""
    known = items(value)
    removed = {entry.lower() for entry in remove} - {entry.lower() for entry in add}
    wanted = _once([*(entry for entry in known if entry.lower() not in removed), *add])
    chunks = {chunk.lower() for chunk in value.split(",")}
    spaced = strict and any(entry.lower() not in chunks for entry in add)
    if wanted == known and not _untidy(value) and not spaced:
        return data
    if places:
        edited = _rewritten(text, before[places[-1]], _values(before[: places[-1]]), wanted, known)
    else:
        last = text.rfind("\n")
        line_end = "\r\n" if last > 0 and text[last - 1] == "\r" else "\n"
        gap = "" if not text.strip("\ufeff") or text.endswith("\n") else line_end
        edited = f"{text}{gap}{key}={','.join(wanted)}{line_end}"
    # Read again as Compose will read it: it must have the wanted entries, and every other key its old value.
    unsafe = f"{key} is not written so that it can be edited safely: make it a plain list with commas"
    old = _values(before)
    try:
        new = _values(_parse(edited))
    except ValueError as error:
        raise ValueError(unsafe) from error
    value = new.get(key, "")
    if [entry.lower() for entry in items(value)] != [entry.lower() for entry in wanted] or _untidy(value):
        raise ValueError(unsafe)
    changed = sorted(_printable(k) for k in old.keys() | new.keys() if k != key and old.get(k) != new.get(k))
    if changed:
        raise ValueError(f"{key} cannot be changed alone: {', '.join(changed)} would change with it")
    return edited.encode("utf-8", "surrogateescape")


# --- bytes and lists ----------------------------------------------------------------------------------------


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _printable(value: str) -> str:
    return re.sub("[\ud800-\udfff]", "\ufffd", value)


def _is_comment(value: str) -> bool:
    # `KEY= # words`: for Compose, which first skips the white space after the `=`, this is the value; for the
    # shell and for its author, it is a comment.
    return value.lstrip().startswith("#")


def _untidy(value: str) -> bool:
    return has_spaces(value) or has_trailing_spaces(value)


def _entries(value: str) -> list[str]:
    return [] if _is_comment(value) else [entry for entry in _SEPARATORS.split(value) if entry]


def _once(entries: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for entry in entries:
        found.setdefault(entry.lower(), entry)
    return tuple(found.values())


def _values(statements: Iterable[_Statement]) -> dict[str, str]:
    return {statement.key: statement.value for statement in statements}


# --- reading ------------------------------------------------------------------------------------------------


def _parse(text: str) -> list[_Statement]:
    """All statements in their order, except a key alone on its line, which means Compose's environment."""
    found: list[_Statement] = []
    values: dict[str, str] = {}
    at = 1 if text.startswith("\ufeff") else 0
    while (head := _HEAD.match(text, at)) is not None and head.end("skipped") < len(text):
        line = text.count("\n", 0, head.end("skipped")) + 1
        for sign in head["key"]:
            if sign not in "_.-[]" and sign not in _BLANKS and unicodedata.category(sign)[0] not in "LN":
                raise ValueError(f"line {line} is not KEY=value: a key cannot have the character {sign!r}")
        key = head["key"].rstrip(_WHITE)
        if head["sign"] and " " in key:
            raise ValueError(f"line {line} is not KEY=value: a key cannot have a space")
        if not head["sign"] or (not key and head["sign"] != "\n"):
            raise ValueError(f"line {line} is not KEY=value: there is no {'key' if head['sign'] else '='}")
        start = at = head.end()
        if head["sign"] == "\n":
            continue
        quote = text[start : start + 1]
        if quote in _QUOTED:
            quoted = _QUOTED[quote].match(text, start)
            if quoted is None:
                raise ValueError(f"line {line}: the quote that begins the value of {key} is never closed")
            raw, start, at = quoted[1], start + 1, quoted.end()
        else:
            end = text.find("\n", start)
            at = len(text) if end < 0 else end
            raw, quote = text[start:at].partition(" #")[0].rstrip(_WHITE), ""
        values[key] = _evaluated(raw, quote, values, line)
        found.append(_Statement(key, values[key], quote, raw, start, head.end("sign"), line))
    return found


def _evaluated(raw: str, quote: str, values: Mapping[str, str], line: int) -> str:
    """The value: `raw` with escapes and variables replaced, as the kind of quote allows."""
    if quote:
        raw = re.sub(r"\\([\s\S])", lambda found: quote if found[1] == quote else found[0], raw)
    if quote == "'":
        return raw
    return _expanded(_ESCAPE.sub(_escape, raw) if quote else raw, values, line)


def _escape(found: re.Match[str]) -> str:
    sign = found[0][1:]
    if not sign.startswith("0"):
        return _ESCAPED.get(sign, found[0])
    if re.fullmatch(r"0[0-3][0-7]{2}", sign):
        return chr(int(sign, 8))
    return "\\" + sign[1:]


@dataclass(frozen=True, slots=True)
class _Reference:
    """A variable, up to `end`; `name` is None for `$$` and for a single `$`."""

    end: int
    name: str | None = None
    operator: str = ""
    word: str = ""


def _reference(text: str, at: int, line: int) -> _Reference:
    """The variable that begins at `at`: $$, $NAME, ${NAME} or ${NAME:-word}."""
    if text.startswith("$", at + 1):
        return _Reference(at + 2)
    if not text.startswith("{", at + 1):
        plain = _NAME.match(text, at + 1)
        return _Reference(plain.end(), plain[0]) if plain else _Reference(at + 1)
    name = _NAME.match(text, at + 2)
    if name is not None and text.startswith("}", name.end()):
        return _Reference(name.end() + 1, name[0])
    operator = _OPERATOR.match(text, name.end()) if name is not None else None
    close = _closing_brace(text, at + 1)
    if name is None or operator is None or close < operator.end():
        raise ValueError(f"line {line}: the variable is not of the form ${{NAME}} (a plain $ is written $$)")
    return _Reference(close + 1, name[0], operator[0], text[operator.end() : close])


def _closing_brace(text: str, at: int) -> int:
    """The brace that closes the one at `at` in its line, else the last one of the line; -1 if there is none."""
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    depth, place = 0, at
    while place < end:
        if text[place] == "{":
            depth += 1
            place += 1  # Compose ignores the character after a brace
        elif text[place] == "}":
            depth -= 1
            if depth == 0:
                return place
        place += 1
    return text.rfind("}", at, end)


def _expanded(text: str, values: Mapping[str, str], line: int) -> str:
    parts: list[str] = []
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        parts.append(text[at:dollar])
        reference = _reference(text, dollar, line)
        at = reference.end
        if reference.name is None:
            parts.append("$")
            continue
        value = values.get(reference.name)
        there = value is not None and (value != "" or not reference.operator.startswith(":"))
        match reference.operator[-1:], there:
            case ("-", False) | ("+", True):
                parts.append(_expanded(reference.word, values, line))
            case "?", False:
                raise ValueError(f"line {line}: the variable {reference.name} must have a value there")
            case _:
                parts.append(value or "")
    return "".join([*parts, text[at:]])


# --- editing ------------------------------------------------------------------------------------------------

_COMMENT = "a comment begins with a space and a #, after the closing quote if there is one"

_Token: TypeAlias = tuple[str, bool]
"""An entry as written, and whether it has a variable."""


def _tokens(target: _Statement) -> list[_Token]:
    """The entries as written: split like `_entries`, but never within a variable or an escape."""
    raw, at, word, variable = target.raw, 0, "", False
    found: list[_Token] = []
    while at < len(raw):
        end = at + 1
        if target.quote and raw[at] == "\\":
            end = at + 2
        elif raw[at] == "$" and target.quote != "'":
            end = _reference(raw, at, target.line).end
            variable = True
        elif _SEPARATORS.match(raw[at]):
            found.append((word, variable))
            at, word, variable = end, "", False
            continue
        word += raw[at:end]
        at = end
    return [token for token in [*found, (word, variable)] if token[0]]


def _rewritten(
    text: str, target: _Statement, values: Mapping[str, str], wanted: Sequence[str], known: Sequence[str]
) -> str:
    place = f"{target.key} in line {target.line}"
    if "\n" in target.raw:
        raise ValueError(f"{place} spans several lines: put it on one line, separated by commas")
    if _is_comment(target.value) and target.quote:
        raise ValueError(f"{place} begins with a #: remove it from the quotes")
    if has_comment(target.value):
        raise ValueError(f"{place} has a # that Compose takes as a part of the list: {_COMMENT}")
    if _is_comment(target.value) and text[target.start - 1] == "\t":
        raise ValueError(f"{place} has a tab in front of its comment: {_COMMENT}")
    if _is_comment(target.value):
        gap = "" if text[target.behind_equals] in " \t" else " "
        return text[: target.behind_equals] + ",".join(wanted) + gap + text[target.behind_equals :]
    missing = {entry.lower() for entry in wanted}
    gone = {entry.lower() for entry in known} - missing
    kept: list[str] = []
    for written, variable in _tokens(target):
        entries = {
            entry.lower() for entry in _entries(_evaluated(written, target.quote, values, target.line))
        }
        if variable and entries & gone:
            raise ValueError(f"{place} has {', '.join(entries & gone)} from a variable: remove it there")
        if variable or entries & missing:
            kept.append(written)
        missing -= entries
    new = ",".join([*kept, *(entry for entry in wanted if entry.lower() in missing)])
    if not target.raw and not target.quote:
        # Directly after the `=`, whatever white space follows: mailcow's scripts read the file with the shell,
        # which allows no white space in front of a value.
        return text[: target.behind_equals] + new + text[target.behind_equals :]
    behind = text[target.end :]
    if not new and not target.quote and re.match(r"[ \t]+#", behind):
        new = '""'  # with nothing in front of it, Compose would take the comment as the value
    return text[: target.start] + new + behind
