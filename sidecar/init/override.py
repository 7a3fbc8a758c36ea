"""The sidecar's service merged into a Compose override file by inserting text; pure, bytes in and bytes out.

Rules for every editor. Nothing that exists is changed: text is only inserted. The new text is read again before it is
returned: it has the service as the template has it, and everything else is as before, including anchors and the kind of
quotes. If that cannot be proven, the merge is refused. No sentence here contains a value of the file.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sidecar.init.layout import Events, Layout, YamlEntry, laid_out, signature, start
from sidecar.init.services import Services

SERVICE = "mta-sts-mailcow"
VOLUME = "mta-sts-vol-1"
_SECTIONS = {"services": SERVICE, "volumes": VOLUME}
_COLUMN = 2


@dataclass(frozen=True, slots=True)
class Merged:
    """The new text, and the sections to which something was added."""

    data: bytes
    sections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Present:
    """Nothing has to be inserted: the service is there, as we would write it or as somebody wrote it."""


@dataclass(frozen=True, slots=True)
class RefusedOverride:
    """Why a person must do it, and how."""

    reason: str
    todo: str


Merge: TypeAlias = Merged | Present | RefusedOverride


def merge(override: bytes | None, template: bytes) -> Merge:
    """What becomes of an override file (None: there is none) when the service of `template` is merged into it.

    A service of that name that exists already stays as it is; only a missing volume is added.
    """
    if override is None or not override.strip():
        return Merged(template, tuple(_SECTIONS))
    try:
        text = override.decode()
        before, ours = laid_out(text), laid_out(template.decode())
        Services.read(override)  # what cannot be read as a whole is not edited either
        wanted = [section for section, name in _SECTIONS.items() if not _has(before, section, name)]
        if "volumes" in wanted and "services" not in wanted:
            own = _own(before, "services", SERVICE)
            values = [str(getattr(event, "value", "")) for event in before.events[own.value : own.end]]
            if not any(value == VOLUME or value.startswith(f"{VOLUME}:") for value in values):
                wanted.remove("volumes")  # somebody's own version of the service, with its own state folder
        if not wanted:
            return Present()
        pieces = [_piece(before, section, ours) for section in wanted]
        edited = _put(text, pieces, "\r\n" if "\r\n" in text else "\n")
        _prove(before, edited, ours, wanted)
        return Merged(edited.encode(), tuple(wanted))
    except UnicodeDecodeError:
        reason = "it is not encoded in UTF-8"
    except ValueError as error:
        reason = str(error)
    return RefusedOverride(
        reason,
        "correct that and run init again, or add the service yourself as in docker-compose.override.yml of the "
        "sidecar's repository",
    )


def _has(layout: Layout, section: str, name: str) -> bool:
    return any(entry.key == name for entry in layout.entries(layout.entry(section)))


def _own(layout: Layout, section: str, name: str) -> YamlEntry:
    return next(entry for entry in layout.entries(layout.entry(section)) if entry.key == name)


# --- inserting ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class _Piece:
    """Lines to insert, and where: at the same place, first what continues a section, then new sections."""

    place: int
    new_section: bool
    text: str
    """With LF as line ends; it starts with a blank line where one should stand before it."""


def _piece(before: Layout, section: str, template: Layout) -> _Piece:
    ours = template.entry(section)
    own = _own(template, section, _SECTIONS[section])
    assert ours is not None  # noqa: S101  the template is ours
    place = start(template.events[own.start]) - _COLUMN
    block = [line[_COLUMN:] for line in template.text[place : template.end(ours)].splitlines()]
    found = before.entry(section)
    if found is None:
        return _Piece(before.end_of_document(), True, f"\n{section}:\n{_indented(block, _COLUMN)}")
    column = before.column(found)
    # A blank line between services, as in mailcow's own file; none between volumes.
    gap = "\n" if column is not None and section == "services" else ""
    return _Piece(before.end(found), False, gap + _indented(block, _COLUMN if column is None else column))


def _indented(block: Iterable[str], column: int) -> str:
    return "".join(f"{' ' * column}{line}".rstrip() + "\n" for line in block)


def _put(text: str, pieces: Iterable[_Piece], line_end: str) -> str:
    edited, done = "", 0
    # If both are new, services come before volumes, as in the template: sorting by text does that.
    for piece in sorted(pieces):
        edited += text[done : piece.place]
        done = piece.place
        new = piece.text.replace("\n", line_end)
        if edited and not edited.endswith("\n"):
            edited += line_end
        if new.startswith(line_end) and edited.endswith(("\n\n", "\n\r\n")):
            # There is a blank line before it already; what follows gets one, too.
            new = new.removeprefix(line_end)
            if text[done:].split("\n", 1)[0].strip():
                new += line_end
        edited += new
    return edited + text[done:]


# --- proving ------------------------------------------------------------------------------------------------


def _prove(before: Layout, edited: str, template: Layout, wanted: Sequence[str]) -> None:
    """Reads the new text; raises ValueError if it is not as intended."""
    unsafe = "it is not written so that text can be inserted safely"
    try:
        after = laid_out(edited)
    except ValueError as error:
        raise ValueError(unsafe) from error
    for section in wanted:
        if not _has(after, section, _SECTIONS[section]):
            raise ValueError(unsafe)
        if _meaning(after, section) != _meaning(template, section):
            raise ValueError(unsafe)
    if _rest(before, []) != _rest(after, wanted):
        raise ValueError(unsafe)


def _meaning(layout: Layout, section: str) -> list[tuple[object, ...]]:
    own = _own(layout, section, _SECTIONS[section])
    return _signatures(layout.events[own.start : own.end])


def _rest(layout: Layout, added: Sequence[str]) -> list[tuple[object, ...]]:
    """What the file says apart from the added entries; a section without other entries counts as missing."""
    left: list[tuple[object, ...]] = []
    for entry in layout.top:
        if entry.key not in _SECTIONS:
            left += _signatures(layout.events[entry.start : entry.end])
            continue
        inner = [
            inside
            for inside in layout.entries(entry)
            if entry.key not in added or inside.key != _SECTIONS[entry.key]
        ]
        if inner:
            left += _signatures(layout.events[entry.start : entry.value + 1])
            left += [
                sign for inside in inner for sign in _signatures(layout.events[inside.start : inside.end])
            ]
    return left


def _signatures(events: Events) -> list[tuple[object, ...]]:
    return [signature(event) for event in events]
