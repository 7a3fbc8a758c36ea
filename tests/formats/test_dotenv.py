"""mailcow.conf is read as Compose reads it, and an edit changes one list and not a byte more."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.formats.dotenv import edit_list, has_comment, has_spaces, has_trailing_spaces, items, read

SAN = "ADDITIONAL_SAN"
NAMES = "ADDITIONAL_SERVER_NAMES"
WILDCARD = "mta-sts.*"

# What Compose 2.26 made of these files, asked with `--env-file` and `config --format json`.
READ = [
    ("plain", b"A=b", {"A": "b"}),
    ("nothing", b"", {}),
    ("only a comment, without a line end", b"# A=b", {}),
    ("a commented key is absent", b"#A=b\nB=c\n", {"B": "c"}),
    ("of a key given twice the last counts", b"A=1\nA=2\n", {"A": "2"}),
    ("no line end at the end", b"A=1\nB=2", {"A": "1", "B": "2"}),
    ("CRLF", b"A=1\r\nB=\r\nC=3\r\n", {"A": "1", "B": "", "C": "3"}),
    ("a BOM", b"\xef\xbb\xbfA=1\n", {"A": "1"}),
    ("spaces around the equals sign", b"A = 1 \n", {"A": "1"}),
    ("indented", b"  A=1\n", {"A": "1"}),
    ("export", b"export A=1\nexport\tB=2\n", {"A": "1", "B": "2"}),
    ("a key that begins like export", b"exported=1\n", {"exported": "1"}),
    ("a key alone is the environment's", b"A\nB=2\n", {"B": "2"}),
    ("an empty value does not reach into the next line", b"A=\nB=2\n", {"A": "", "B": "2"}),
    ("a comment behind a space", b"A=1 # one\n", {"A": "1"}),
    ("a tab is no space there", b"A=1\t#one\n", {"A": "1\t#one"}),
    ("a comment where a value should be is the value", b"A= # one\n", {"A": "# one"}),
    ("double quotes", b'A="1 # 2" # 3\n', {"A": "1 # 2"}),
    ("single quotes", b"A='1 # 2' # 3\n", {"A": "1 # 2"}),
    ("a quote in the middle is a character", b"A=1\"2\"'3'\n", {"A": "1\"2\"'3'"}),
    ("an escaped quote", b"A=\"1\\\"2\"\nB='1\\'2'\n", {"A": '1"2', "B": "1'2"}),
    ("escapes in double quotes", b'A="a\\tb\\nc\\0101\\\\"\n', {"A": "a\tb\ncA\\"}),
    ("unknown and broken escapes stay", b'A="\\c\\d\\08"\n', {"A": "\\c\\d\\8"}),
    ("no escapes in single quotes", b"A='a\\tb'\n", {"A": "a\\tb"}),
    ("no escapes without quotes", b"A=a\\tb\n", {"A": "a\\tb"}),
    ("several lines in quotes", b"A=\"1\n2\"\nB='3\n4'\n", {"A": "1\n2", "B": "3\n4"}),
    ("a key in a quoted text is none", b'A="\nB=1\n"\nC=2\n', {"A": "\nB=1\n", "C": "2"}),
    ("a statement behind a closing quote", b"A='1'B=2\n", {"A": "1", "B": "2"}),
    ("a variable", b"A=1\nB=${A}2$A.3\n", {"A": "1", "B": "121.3"}),
    ("a variable in double quotes", b'A=1\nB="${A}"\n', {"A": "1", "B": "1"}),
    ("no variable in single quotes", b"A=1\nB='${A}'\n", {"A": "1", "B": "${A}"}),
    ("a later key is not known yet", b"B=${A}\nA=1\n", {"A": "1", "B": ""}),
    ("its own earlier value", b"A=1\nA=${A},2\n", {"A": "1,2"}),
    ("default and alternative", b"A=${B:-1}\nC=${A:+2}${B+3}${B-4}\n", {"A": "1", "C": "24"}),
    ("a default with a variable in it", b"A=1\nB=${C:-x${A}y}z\n", {"A": "1", "B": "x1yz"}),
    ("two dollars are one", b'A=$$B\nC="\\$B$$"\n', {"A": "$B", "C": "$B$"}),
    ("a dollar that begins nothing", b"A=1$ $2\n", {"A": "1$ $2"}),
    ("a no-break space is white space", "A=\u00a01\u00a0\n".encode(), {"A": "1"}),
    ("letters of all scripts in a key", "ß_1.x=1\n".encode(), {"ß_1.x": "1"}),
    ("what is not UTF-8", b"A=\xff1\n", {"A": "\ufffd1"}),
]

REFUSED = [
    ("a word of two", b"A=1\nB C=2\n", "line 2"),
    ("a character that no key has", b"A=1\n\n!B=2\n", "line 3"),
    ("not UTF-8 in a key", b"\xff=1\n", "line 1"),
    ("a quote that is never closed", b"A='1\nB=2\n", "line 1"),
    ("no key", b"=1\n", "line 1"),
    ("a key at the very end", b"A=1\nB", "line 2"),
    ("a broken variable", b"A=1\nB=${}\n", "line 2"),
    ("a variable that is never closed", b"B=${A\n", "line 1"),
    ("a variable that must be there", b"B=${A:?missing}\n", "line 1"),
]


@pytest.mark.parametrize(("data", "values"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_values_are_those_that_compose_reads(data: bytes, values: dict[str, str]) -> None:
    """The table was recorded from the real Compose."""
    assert read(data) == values


@pytest.mark.parametrize(("data", "place"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_file_that_compose_refuses_is_refused_with_its_line(data: bytes, place: str) -> None:
    """A file that mailcow could not be started with has no values at all."""
    with pytest.raises(ValueError, match=place):
        read(data)


def test_refusal_shows_no_secret() -> None:
    """The line may be the one with the password."""
    for data in (b"DBPASS='hunter2\n", b"DB PASS=hunter2\n", b"DBPASS=hunter2${}\n", b"DBPASS\nhunter2 x"):
        with pytest.raises(ValueError, match="line") as caught:
            read(data)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "entries", "spaced"),
    [
        ("", (), False),
        (" , ,", (), False),
        ("a,b,*.c", ("a", "b", "*.c"), False),
        (" a, b", ("a", "b"), False),  # mailcow trims what is in front
        (" a , b ", ("a", "b"), False),  # and not what is behind: see below
        ("a,A,b,a", ("a", "b"), False),
        ("webmail.example.com mta-sts.*", ("webmail.example.com", "mta-sts.*"), True),
        ("a, b c", ("a", "b", "c"), True),
        ("a\tb", ("a", "b"), True),
        ("# nothing yet", (), False),  # meant as a comment
    ],
)
def test_list_has_its_entries_and_reports_spaces(
    value: str, entries: tuple[str, ...], *, spaced: bool
) -> None:
    """Commas separate; white space separates too, and needs a repair."""
    assert items(value) == entries
    assert has_spaces(value) is spaced


@pytest.mark.parametrize(
    ("value", "trailing"),
    [
        ("mta-sts.* ,smtp.*", True),
        ("mta-sts.*,smtp.* ", True),
        ("a\t,b", True),
        ("mta-sts.*, smtp.*", False),
        (" mta-sts.*", False),
        ("", False),
        ("# nothing , yet", False),
    ],
)
def test_white_space_after_an_entry_is_reported(value: str, *, trailing: bool) -> None:
    """For acme-mailcow `mta-sts.* ` does not end in `.*`; what is in front of an entry does no harm."""
    assert has_trailing_spaces(value) is trailing


@pytest.mark.parametrize(
    ("data", "comment"),
    [
        (b"K=a\t# note\n", True),
        (b'K="a,b # note"\n', True),
        (b"K=a,#b,c\n", True),
        (b"K=a # note\n", False),
        (b"K= # note\n", False),
        (b"K=\t# note\n", False),  # a comment alone: no entries at all
    ],
)
def test_comment_that_compose_reads_as_an_entry_is_reported(data: bytes, *, comment: bool) -> None:
    """Written behind the list, it would become entries of it."""
    assert has_comment(read(data)["K"]) is comment


EDITED = [
    ("empty", b"K=\n", b"K=mta-sts.*\n"),
    ("one more", b"K=imap.*\n", b"K=imap.*,mta-sts.*\n"),
    ("absent", b"A=1\n", b"A=1\nK=mta-sts.*\n"),
    ("absent, in an empty file", b"", b"K=mta-sts.*\n"),
    ("absent, behind a BOM", b"\xef\xbb\xbf", b"\xef\xbb\xbfK=mta-sts.*\n"),
    ("absent, no line end, CRLF before", b"A=1\r\nB=2", b"A=1\r\nB=2\r\nK=mta-sts.*\r\n"),
    ("absent in CRLF", b"A=1\r\n", b"A=1\r\nK=mta-sts.*\r\n"),
    ("commented is absent", b"#K=a\nA=1\n", b"#K=a\nA=1\nK=mta-sts.*\n"),
    ("no line end", b"K=a", b"K=a,mta-sts.*"),
    ("CRLF", b"K=\r\nA=1\r\n", b"K=mta-sts.*\r\nA=1\r\n"),
    ("spaces around the equals sign", b"K = a  \nA=1\n", b"K = a,mta-sts.*  \nA=1\n"),
    ("nothing but spaces", b"K=  \nA=1\n", b"K=mta-sts.*  \nA=1\n"),
    ("export", b"export K=a\n", b"export K=a,mta-sts.*\n"),
    ("double quotes", b'K="a,b"\n', b'K="a,b,mta-sts.*"\n'),
    ("a comment", b"K=a,b # note\n", b"K=a,b,mta-sts.* # note\n"),
    ("only a comment", b"K= # note\n", b"K=mta-sts.* # note\n"),
    ("only a comment, without a space", b"K=# note\n", b"K=mta-sts.* # note\n"),
    ("given twice", b"K=a\nK=b\nA=1\n", b"K=a\nK=b,mta-sts.*\nA=1\n"),
    (
        "spaces instead of commas",
        b"K=webmail.example.com imap.*\n",
        b"K=webmail.example.com,imap.*,mta-sts.*\n",
    ),
    ("spaces before a comma", b"K=mta-sts.* ,smtp.*\n", b"K=mta-sts.*,smtp.*\n"),
    ("spaces before a comma and the quote", b'K="mta-sts.* , b.* "\n', b'K="mta-sts.*,b.*"\n'),
    ("spaces and a comment", b"K=a mta-sts.* # note\n", b"K=a,mta-sts.* # note\n"),
    ("empty entries and repetitions go with a change", b"K=a,,A,b,\n", b"K=a,b,mta-sts.*\n"),
    ("a variable stays", b"H=h.example\nK=${H},a\n", b"H=h.example\nK=${H},a,mta-sts.*\n"),
    ("a variable with a comma in it", b'K="${X:-a,b}"\n', b'K="${X:-a,b},mta-sts.*"\n'),
    ("an unknown variable stays", b"K=${X}\n", b"K=${X},mta-sts.*\n"),
    ("a dollar in single quotes is none", b"K='$a,b'\n", b"K='$a,b,mta-sts.*'\n"),
    ("not UTF-8 elsewhere", b"A=\xff\xfe\nK=a\n#\xe4\n", b"A=\xff\xfe\nK=a,mta-sts.*\n#\xe4\n"),
    ("not UTF-8 in an entry", b"K=\xff,a\n", b"K=\xff,a,mta-sts.*\n"),
    ("its own earlier value", b"K=a\nK=${K},b\n", b"K=a\nK=${K},b,mta-sts.*\n"),
    ("a key of the same ending", b"MY_K=a\nK=b\n", b"MY_K=a\nK=b,mta-sts.*\n"),
    ("text of the key within quotes", b'A="\nK=a\n"\nK=b\n', b'A="\nK=a\n"\nK=b,mta-sts.*\n'),
    ("a double-quoted escape", b'K="a\\",b"\n', b'K="a\\",b,mta-sts.*"\n'),
]


@pytest.mark.parametrize(("before", "after"), [case[1:] for case in EDITED], ids=[case[0] for case in EDITED])
def test_added_entry_changes_the_list_and_nothing_else(before: bytes, after: bytes) -> None:
    """Quotes, comments, line ends, spaces and variables stay as they were written; a second edit does nothing."""
    edited = edit_list(before, "K", add=[WILDCARD], remove=())
    assert edited == after
    assert edit_list(edited, "K", add=[WILDCARD], remove=()) is edited


@pytest.mark.parametrize(
    "data",
    [
        b"K=mta-sts.*\n",
        b"K='a,mta-sts.*'\n",
        b"K=a,,mta-sts.*,a,\n",  # untidy, but nothing has to be changed
        b"K=a, mta-sts.*\n",  # mailcow trims
        b"P=mta-sts\nK=$P.*\n",
    ],
)
def test_entry_that_is_there_leaves_the_same_bytes(data: bytes) -> None:
    """The caller can tell by identity that there is nothing to write."""
    assert edit_list(data, "K", add=[WILDCARD], remove=["absent.example"]) is data


def test_entry_after_a_space_is_rewritten_for_a_strict_reader() -> None:
    """Once; an entry without a space in front of it leaves the same bytes."""
    after = edit_list(b"K=a, b # c\n", "K", add=["b"], remove=(), strict=True)
    assert after == b"K=a,b # c\n"
    assert edit_list(after, "K", add=["B"], remove=(), strict=True) is after


def test_nothing_to_remove_from_an_absent_key_adds_no_line() -> None:
    """An absent key stays absent."""
    data = b"A=1\n"
    assert edit_list(data, "K", add=(), remove=[WILDCARD]) is data


REMOVED = [
    ("the last", b"K=a,mta-sts.*\n", b"K=a\n"),
    ("the first", b"K=mta-sts.*,a\n", b"K=a\n"),
    ("without case", b"K=a,Mta-Sts.*\n", b"K=a\n"),
    ("each repetition", b"K=mta-sts.*,a,MTA-STS.*\n", b"K=a\n"),
    ("the only one", b"K=mta-sts.*\nA=1\n", b"K=\nA=1\n"),
    ("the only one in quotes", b"K='mta-sts.*' # note\n", b"K='' # note\n"),
    ("the only one before a comment", b"K=mta-sts.* # note\n", b'K="" # note\n'),
    ("spaces are repaired as well", b"K=b a mta-sts.*\n", b"K=b,a\n"),
    ("a variable stays", b"H=h\nK=mta-sts.*,${H}\n", b"H=h\nK=${H}\n"),
]


@pytest.mark.parametrize(
    ("before", "after"), [case[1:] for case in REMOVED], ids=[case[0] for case in REMOVED]
)
def test_removed_entry_leaves_the_others(before: bytes, after: bytes) -> None:
    """An emptied list is an empty value, for Compose too where a comment follows."""
    edited = edit_list(before, "K", add=(), remove=[WILDCARD])
    assert edited == after
    assert WILDCARD not in items(read(edited)["K"])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'K="a,\nb"\n', "several lines"),
        (b'K="# a"\n', "from the quotes"),
        (b"X=gone.example,b\nK=${X}\n", "from a variable"),
        (b"X=gone\nK=a,${X}.example\n", "from a variable"),
        (b"X=a b\nK=${X},c\n", "plain list"),  # the spaces are not in this line
        (b"K=,'a'\n", "plain list"),  # would begin with a quote
        (b"K=,#a\n", "a space and a #"),  # would begin with a #
        (b"K=a,b\t#note\n", "K in line 1 has a # that Compose takes as a part of the list"),
        (b"A=1\nK=\t# note\n", "K in line 2 has a tab in front of its comment"),
        (b"K=a\nL=${K}\n", "L would change"),
        (b"A=1\nB", "not KEY=value"),
        (b"A='\n", "never closed"),
    ],
)
def test_edit_that_cannot_be_proven_is_refused(data: bytes, said: str) -> None:
    """The error says what prevents the edit; nothing is written."""
    with pytest.raises(ValueError, match=said):
        edit_list(data, "K", add=["new.example"], remove=["gone.example"])


@pytest.mark.parametrize("entry", ["", "a,b", "a b", "$A", "a#", "'a", 'a"', "ä", "a\n", "a\\"])
def test_entry_that_would_need_quoting_is_refused(entry: str) -> None:
    """Only what is a name, or a name with a wildcard, is ever written."""
    with pytest.raises(ValueError, match="cannot be an entry of K"):
        edit_list(b"K=\n", "K", add=[entry], remove=())


# --- properties -------------------------------------------------------------------------------------------

_PIECES = st.sampled_from(
    [
        *(
            "a",
            "b.example",
            "mta-sts.*",
            ",",
            " ",
            "#",
            " # c",
            "=",
            "'",
            '"',
            "\\",
            "$",
            "$A",
            "${A}",
            "${A:-b,c}",
        ),
        *(
            "\n",
            "\r\n",
            "\n# ",
            "\nA=",
            "\nK=",
            "\nK = ",
            "\nexport K=",
            "\nK='",
            '\nK="',
            "\t",
            "é",
            "\u00a0",
        ),
    ]
)
_DATA = st.one_of(
    st.binary(max_size=60),
    st.lists(_PIECES, max_size=14).map(lambda parts: "".join(parts).encode()),
    st.lists(_PIECES, max_size=10).map(lambda parts: ("K=" + "".join(parts)).encode()),
)
_ENTRIES = st.lists(st.sampled_from(["a", "B.example", "mta-sts.*", "x1", "y-2.example.org"]), max_size=3)


@given(data=_DATA, add=_ENTRIES, remove=_ENTRIES)
@example(data=b"K=a # c", add=[], remove=["a"])
@example(data=b"K=\xa0a", add=["x1"], remove=[])
def test_any_file_is_edited_in_one_place_or_refused(data: bytes, add: list[str], remove: list[str]) -> None:
    """All before and behind the one value stays, byte by byte; all other keys keep their values."""
    try:
        before = read(data)
        edited = edit_list(data, "K", add=add, remove=remove)
    except ValueError:
        return
    after = read(edited)
    gone = {entry.lower() for entry in remove} - {entry.lower() for entry in add}
    wanted = [e.lower() for e in [*items(before.get("K", "")), *add] if e.lower() not in gone]
    assert [e.lower() for e in items(after.get("K", ""))] == list(dict.fromkeys(wanted))
    assert {k: v for k, v in after.items() if k != "K"} == {k: v for k, v in before.items() if k != "K"}
    assert edit_list(edited, "K", add=add, remove=remove) is edited
    if edited is not data:
        start = _common(data, edited)
        end = _common(data[start:][::-1], edited[start:][::-1])
        removed, put = data[start : len(data) - end], edited[start : len(edited) - end]
        assert b"\n" not in removed
        assert "K" not in before or b"\n" not in put
        line = data[: len(data) - end].rpartition(b"\n")[2]
        assert "K" not in before or re.search(
            rb"K\s*[=:]", line + data[len(data) - end :].partition(b"\n")[0]
        )


@given(
    lines=st.lists(
        st.tuples(
            st.sampled_from(["A", "B", "DBPASS", "TZ"]),
            st.text("abz019.*,/:@ \\'é-", max_size=12).map(str.strip),
        ),
        max_size=6,
    ),
    entries=st.lists(st.sampled_from(["a", "imap.*", "B.example.org", "h-1.example"]), max_size=4),
    quote=st.sampled_from(["", "'", '"']),
    note=st.sampled_from(["", " # note, with 'quotes'"]),
    end=st.sampled_from(["\n", "\r\n"]),
    add=_ENTRIES,
    remove=_ENTRIES,
)
def test_common_file_is_never_refused(
    *,
    lines: list[tuple[str, str]],
    entries: list[str],
    quote: str,
    note: str,
    end: str,
    add: list[str],
    remove: list[str],
) -> None:
    """Every line but the list's is the same afterwards; the list's keeps its quotes, comment and line end."""
    others = [f'{key}="{value}"'.replace("\\", "\\\\") for key, value in lines]
    comment = note if quote or entries else ""
    listed = f"K={quote}{','.join(entries)}{quote}{comment}"
    before = end.join([*others, listed, "Z=1", ""]).encode()
    edited = edit_list(before, "K", add=add, remove=remove)
    old, new = before.split(b"\n"), edited.split(b"\n")
    place = len(others)
    assert old[:place] + old[place + 1 :] == new[:place] + new[place + 1 :]
    assert new[place].endswith(f"{quote}{comment}{end[:-1]}".encode())
    assert new[place].startswith(f"K={quote}".encode())
    # In a test of `read` this would prove nothing; here the line is split by hand.
    inner = new[place].decode().removeprefix("K=").removesuffix(end[:-1]).removesuffix(comment).strip("'\"")
    gone = {e.lower() for e in remove} - {e.lower() for e in add}
    wanted = dict.fromkeys(e.lower() for e in [*entries, *add] if e.lower() not in gone)
    assert list(dict.fromkeys(e.lower() for e in inner.split(",") if e)) == list(wanted)


def _common(left: bytes, right: bytes) -> int:
    """How many bytes two texts begin with alike."""
    for place, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return place
    return min(len(left), len(right))
