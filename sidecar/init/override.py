"""The sidecar's service merged into a Compose override file by inserting text; pure, bytes in and bytes out.

Rules for every editor. Nothing that is there is changed: text is only inserted. The new text is read again before
it is handed out; it has the service as the template has it, and all else is what it was, to the anchor and the kind
of quote. What cannot be proven so is `Refused`. No sentence here holds a value of the file.
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
    """The new text, and which sections got something."""

    data: bytes
    sections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Present:
    """Nothing is to be inserted: the service is there, as we would write it or as somebody made it."""


@dataclass(frozen=True, slots=True)
class RefusedOverride:
    """Why a person must do it, and how."""

    reason: str
    todo: str


Merge: TypeAlias = Merged | Present | RefusedOverride


def merge(override: bytes | None, template: bytes) -> Merge:
    """What becomes of an override file (None: there is none) when the service of `template` is merged into it.

    A service of that name that is there already stays, whatever it is; only a volume that is missing is added.
    """
    if override is None or not override.strip():
        return Merged(template, tuple(_SECTIONS))
    try:
        text = _decoded(override)
        layout = laid_out(text)
        Services.read(override)  # what cannot be read as a whole is not edited either
        return _merged(text, layout, laid_out(template.decode()))
    except ValueError as error:
        return RefusedOverride(
            str(error),
            "mend that and run init again, or add the service by hand as docker-compose.override.yml of the "
            "sidecar's repository has it",
        )


def _decoded(override: bytes) -> str:
    try:
        return override.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("it is not encoded in UTF-8") from error


def _merged(text: str, before: Layout, template: Layout) -> Merged | Present:
    wanted = [section for section, name in _SECTIONS.items() if not _has(before, section, name)]
    if "volumes" in wanted and "services" not in wanted and not _mounts_volume(before):
        wanted.remove("volumes")  # somebody's own version of the service, with a state folder of its own
    if not wanted:
        return Present()
    line_end = "\r\n" if "\r\n" in text else "\n"
    pieces = [_piece(before, section, template) for section in wanted]
    edited = _put(text, pieces, line_end)
    _prove(before, edited, template, wanted)
    return Merged(edited.encode(), tuple(wanted))


def _has(layout: Layout, section: str, name: str) -> bool:
    return any(entry.key == name for entry in layout.entries(layout.entry(section)))


def _mounts_volume(layout: Layout) -> bool:
    entry = _own(layout, "services", SERVICE)
    values = (str(getattr(event, "value", "")) for event in layout.events[entry.value : entry.end])
    return any(value == VOLUME or value.startswith(f"{VOLUME}:") for value in values)


def _own(layout: Layout, section: str, name: str) -> YamlEntry:
    return next(entry for entry in layout.entries(layout.entry(section)) if entry.key == name)


# --- inserting ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class _Piece:
    """Lines to be inserted, and where: in the same place first what continues a section, then new sections."""

    place: int
    new_section: bool
    text: str
    """With LF as line ends; a blank line at its start is wanted where there is none."""


def _piece(before: Layout, section: str, template: Layout) -> _Piece:
    found = before.entry(section)
    block = _block(template, section)
    if found is None:
        return _Piece(before.end_of_document(), True, f"\n{section}:\n{_indented(block, _COLUMN)}")
    column = before.column(found)
    # A blank line between services, as mailcow's own file has it; a list of volumes is written closely.
    gap = "\n" if column is not None and section == "services" else ""
    return _Piece(before.end(found), False, gap + _indented(block, _COLUMN if column is None else column))


def _block(template: Layout, section: str) -> Sequence[str]:
    """The lines of our entry, not indented."""
    entry = template.entry(section)
    own = _own(template, section, _SECTIONS[section])
    assert entry is not None  # noqa: S101  the template is ours
    place = start(template.events[own.start]) - _COLUMN
    return [line[_COLUMN:] for line in template.text[place : template.end(entry)].splitlines()]


def _indented(block: Iterable[str], column: int) -> str:
    return "".join(f"{' ' * column}{line}".rstrip() + "\n" for line in block)


def _put(text: str, pieces: Iterable[_Piece], line_end: str) -> str:
    edited, done = "", 0
    # Services before volumes where both are new, as the template has them: sorting by text does that.
    for piece in sorted(pieces):
        edited += text[done : piece.place]
        done = piece.place
        new = piece.text.replace("\n", line_end)
        if edited and not edited.endswith("\n"):
            edited += line_end
        if new.startswith(line_end) and edited.endswith(("\n\n", "\n\r\n")):
            # The blank line in front of it is taken; what follows shall have one, too.
            new = new.removeprefix(line_end)
            if text[done:].split("\n", 1)[0].strip():
                new += line_end
        edited += new
    return edited + text[done:]


# --- proving ------------------------------------------------------------------------------------------------


def _prove(before: Layout, edited: str, template: Layout, wanted: Sequence[str]) -> None:
    """Reads the new text; raises ValueError where it is not what was meant."""
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
    """What the file says apart from the entries that were added; a section without others counts as not there."""
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
