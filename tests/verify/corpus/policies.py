"""MTA-STS policies (RFC 8461 §3.2). The grammar:

sts-policy-record    = sts-policy-field *WSP *(sts-policy-term sts-policy-field *WSP) [sts-policy-term]
sts-policy-field     = sts-policy-version / sts-policy-mode / sts-policy-max-age  ; each required once
                     / sts-policy-mx          ; required at least once, except when mode is "none"
                     / sts-policy-extension   ; other fields
sts-policy-field-delim = ":" *WSP
sts-policy-version-value = %s"STSv1"
sts-policy-mode-value = %s"testing" / %s"enforce" / %s"none"
sts-policy-mx-value  = ["*."] Domain
sts-policy-max-age-value = 1*10(DIGIT)
sts-policy-ext-name  = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".")
sts-policy-ext-value = sts-policy-vchar [*(%x20 / sts-policy-vchar) sts-policy-vchar]
sts-policy-vchar     = %x21-7E / UTF8-2 / UTF8-3 / UTF8-4
sts-policy-term      = LF / CRLF
"""

from tests.verify.corpus import Case

MX = "mail.example.org"
BASE = b"version: STSv1\nmode: enforce\nmax_age: 604800\nmx: mail.example.org\n"


def good(
    data: bytes,
    why: str,
    *codes: str,
    mode: str = "enforce",
    max_age: int = 604_800,
    mx: tuple[str, ...] = (MX,),
) -> Case:
    """A policy, and what is read in it."""
    return Case(data, True, why, codes, mode=mode, max_age=max_age, mx=mx)


def bad(
    data: bytes,
    why: str,
    *codes: str,
    mode: str | None = "enforce",
    max_age: int | None = 604_800,
    mx: tuple[str, ...] = (MX,),
) -> Case:
    """No policy, and what is right in it all the same."""
    return Case(data, False, why, codes, mode=mode, max_age=max_age, mx=mx)


def nothing(data: bytes, why: str, *codes: str) -> Case:
    """No policy, and no field of it is right."""
    return Case(data, False, why, codes)


def other(old: bytes, new: bytes) -> bytes:
    """The plain policy with one thing changed."""
    assert old in BASE
    return BASE.replace(old, new)


WIDE = "policy-mx-public-suffix"
UNKNOWN, REPEATED, NOT_ASCII = "policy-field-unknown", "policy-field-repeated", "policy-not-ascii"
FIELD, WHITE_SPACE, BLANK, LINE_END = (
    "policy-field",
    "policy-white-space",
    "policy-blank-line",
    "policy-line-end",
)
MISSING = tuple(f"policy-{field}-missing" for field in ("version", "mode", "max-age", "mx"))
NO_VERSION, NO_MODE, NO_MAX_AGE, NO_MX = MISSING
VERSION, MODE, BAD_MX = "policy-version", "policy-mode", "policy-mx"
MAX_AGE, LIMIT = "policy-max-age", "policy-max-age-limit"

CASES = (
    # What the grammar takes.
    good(
        b"version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\n"
        b"max_age: 604800\n",
        "the RFC's own example",
        mx=("mail.example.com", "*.example.net", "backupmx.example.com"),
    ),
    good(BASE, "LF ends a line"),
    good(BASE.replace(b"\n", b"\r\n"), "so does CRLF"),
    good(other(b"\nmode", b"\r\nmode"), "and both in one text"),
    good(BASE.removesuffix(b"\n"), "the last line end is optional"),
    good(b"mx: mail.example.org\nmax_age: 604800\nmode: enforce\nversion: STSv1", "fields have no order"),
    good(BASE.replace(b": ", b":"), "*WSP after the colon may be none"),
    good(BASE.replace(b": ", b":  \t "), "or several, tabs too"),
    good(BASE.replace(b"\n", b" \t \n"), "*WSP may stand before a line end"),
    good(BASE.removesuffix(b"\n") + b" \t", "and at the very end"),
    good(other(b"enforce", b"testing"), "mode testing", mode="testing"),
    good(other(b"enforce", b"none"), "mode none may have mx", mode="none"),
    good(b"version: STSv1\nmode: none\nmax_age: 86400", "or none", mode="none", max_age=86_400, mx=()),
    good(other(b"604800", b"31557600"), "the limit itself", max_age=31_557_600),
    good(other(b"604800", b"0000604800"), "ten digits, with zeros before"),
    good(other(b"604800", b"86400"), "a day is valid, and short", "policy-max-age-short", max_age=86_400),
    good(other(b"604800", b"0"), "and nothing", "policy-max-age-zero", max_age=0),
    good(
        b"version: STSv1\nmode: testing\nmax_age: 86400\nmx: a.example\n",
        "a day is right for testing",
        mode="testing",
        max_age=86_400,
        mx=("a.example",),
    ),
    good(other(MX.encode(), b"*.example.org"), "a wildcard before a name", mx=("*.example.org",)),
    good(other(MX.encode(), b"*.org"), "before a name of one label", WIDE, mx=("*.org",)),
    good(other(MX.encode(), b"*.co.uk"), "before a public suffix of two labels", WIDE, mx=("*.co.uk",)),
    good(other(MX.encode(), b"*.co.org"), "a domain of its own", mx=("*.co.org",)),
    good(other(MX.encode(), b"org"), "without a wildcard nothing else is covered", mx=("org",)),
    good(
        other(MX.encode(), b"*.org").replace(b"enforce", b"testing"),
        "in testing no sender goes by it",
        mode="testing",
        mx=("*.org",),
    ),
    good(other(MX.encode(), b"MAIL.Example.ORG"), "host names have no case"),
    good(other(MX.encode(), b"a--b.example"), "hyphens within a label", mx=("a--b.example",)),
    good(other(MX.encode(), b"xn--bcher-kva.example"), "an A-label", mx=("xn--bcher-kva.example",)),
    good(other(MX.encode(), b"a" * 63 + b".example"), "a label of 63", mx=("a" * 63 + ".example",)),
    good(other(MX.encode(), b"192.0.2.1"), "labels of digits", "policy-mx-address", mx=("192.0.2.1",)),
    good(BASE + b"mx: mail.example.org\n", "an mx given twice means nothing", "policy-mx-repeated"),
    good(BASE + b"mx: MAIL.example.org\n", "also in other letters", "policy-mx-repeated"),
    good(BASE + b"mx: b.example\n", "several mx", mx=(MX, "b.example")),
    good(BASE + b"mode: testing\n", "of a field given twice the first counts", REPEATED),
    good(BASE + b"mode: nonsense\n", "the second is ignored, so it need only be an extension", REPEATED),
    good(BASE + b"max_age: 1\nmax_age: -1\n", "said once, however often", REPEATED),
    good(BASE + b"x: y\n", "unknown fields are allowed", UNKNOWN),
    good(b"x: y\n" + BASE, "also as the first", UNKNOWN),
    good(BASE + b"x: y\nx: z\n", "an unknown one given twice", UNKNOWN, REPEATED),
    good(BASE + b"x: a b  c\n", "spaces within an extension's value", UNKNOWN),
    good(BASE + b"x: a:b=c;d\n", "every visible character", UNKNOWN),
    good(BASE + b"x:: :\n", "a value may begin with a colon", UNKNOWN),
    good(BASE + b"0: y\n", "a name may begin with a digit", UNKNOWN),
    good(BASE + b"a_b-c.d: y\n", "and go on with _ - .", UNKNOWN),
    good(BASE + b"n" * 32 + b": y\n", "a name has up to 32 characters", UNKNOWN),
    good(BASE + b"Mode: testing\nMX: b.example\n", "names have case: these are extensions", UNKNOWN, UNKNOWN),
    good(BASE + "x: \u00fc\n".encode(), "UTF8-2", UNKNOWN, NOT_ASCII),
    good(BASE + "x: \U0001f4ee\n".encode(), "UTF8-4", UNKNOWN, NOT_ASCII),
    good(BASE + "x: a\u0085b\u2028c\n".encode(), "NEL and LS end lines in Python alone", UNKNOWN, NOT_ASCII),
    good(BASE + "x: \u00a0\n".encode(), "a no-break space is a visible character here", UNKNOWN, NOT_ASCII),
    good(BASE + b"x: " + b"y" * 65_536 + b"\n", "size is no matter of grammar", UNKNOWN, "policy-long"),
    # Lines.
    nothing(b"", "at least one field", "policy-empty", *MISSING),
    nothing(b"\n", "a line end is none", "policy-empty", *MISSING),
    nothing(b" ", "nor is a space", BLANK, *MISSING),
    nothing(b"<!DOCTYPE html>\n<html></html>\n", "a page of a web server", FIELD, FIELD, *MISSING),
    bad(b"\n" + BASE, "a blank line at the beginning", BLANK),
    bad(other(b"\nmode", b"\n\nmode"), "a blank line within", BLANK),
    bad(BASE + b"\n", "a blank line at the end: only one line end is optional", BLANK),
    bad(BASE + b"\n\n", "said each time", BLANK, BLANK),
    bad(BASE + b" \n", "white space alone is no field", BLANK),
    bad(BASE + b" ", "nor at the very end", BLANK),
    bad(b"\xef\xbb\xbf" + BASE, "a byte order mark is part of the text", "policy-bom", NO_VERSION),
    bad(BASE + b"\xef\xbb\xbfx: y\n", "anywhere else it is only a wrong name", FIELD),
    bad(b" " + BASE, "white space before a name", WHITE_SPACE, NO_VERSION),
    bad(other(b"mode:", b"mode :"), "white space before the colon", WHITE_SPACE, NO_MODE, mode=None),
    bad(other(b"mx: ", b" mx : "), "white space on both sides", WHITE_SPACE, NO_MX, mx=()),
    nothing(BASE.replace(b"\n", b"\r"), "CR alone does not end a line", LINE_END, *MISSING),
    bad(other(b"enforce\n", b"enforce\r\r\n"), "one CR too many", LINE_END, NO_MODE, mode=None),
    bad(BASE.removesuffix(b"\n") + b"\r", "CR alone at the very end", LINE_END, NO_MX, mx=()),
    bad(other(b"STSv1\nmode", b"STSv1\x0bmode"), "nor does VT", FIELD, NO_VERSION, NO_MODE, mode=None),
    bad(BASE + b"# a comment\n", "there are no comments", FIELD),
    bad(BASE + b"nonsense\n", "a field has a colon", FIELD),
    bad(BASE + b"x:\n", "a value has at least one character", FIELD),
    bad(BASE + b"x: \t\n", "and white space is none", FIELD),
    bad(BASE + b": y\n", "a name too", FIELD),
    bad(BASE + b"_x: y\n", "a name begins with a letter or digit", FIELD),
    bad(BASE + b"x y: z\n", "a name has no space", FIELD),
    bad(BASE + b"n" * 33 + b": y\n", "a name has at most 32 characters", FIELD),
    bad(BASE + "\u00fc: y\n".encode(), "a name is US-ASCII", FIELD),
    bad(BASE + b"x: a\tb\n", "a tab within a value", FIELD),
    bad(BASE + b"x: a\x00b\n", "a NUL within a value", FIELD),
    bad(BASE + b"x: \xff\n", "an octet that is not UTF-8", "policy-utf-8"),
    bad(BASE + b"x: \xc0\xaf\n", "an overlong form", "policy-utf-8"),
    nothing(BASE.decode().encode("utf-16-le"), "UTF-16", "policy-utf-16"),
    nothing(BASE.decode().encode("utf-16"), "UTF-16 with its byte order mark", "policy-utf-16"),
    nothing(b"\xfe\xff" + BASE.decode().encode("utf-16-be"), "the other byte order", "policy-utf-16"),
    nothing(BASE.replace(b"\n", b" "), "pasted on one line", "policy-one-line"),
    nothing(BASE.replace(b"\n", rb"\n"), "with line ends written out", "policy-one-line"),
    # Version.
    bad(other(b"version: STSv1\n", b""), "version is required", NO_VERSION),
    bad(other(b"version", b"Version"), '%s"version" has case', NO_VERSION, UNKNOWN),
    bad(other(b"STSv1", b"stsv1"), '%s"STSv1" has case', VERSION),
    bad(other(b"STSv1", b"STSv2"), "another version", VERSION),
    bad(other(b"STSv1", b"STSv1;"), "nothing follows it", VERSION),
    bad(b"version: STSv2\n" + BASE, "the first counts, also where it is wrong", VERSION, REPEATED),
    bad(BASE.decode().replace(": STSv1", ":\u00a0STSv1").encode(), "a no-break space is no WSP", VERSION),
    # Mode.
    bad(other(b"mode: enforce\n", b""), "mode is required", NO_MODE, mode=None),
    bad(other(b"mode", b"MODE"), '%s"mode" has case', NO_MODE, UNKNOWN, mode=None),
    bad(other(b"enforce", b"Enforce"), '%s"enforce" has case', MODE, mode=None),
    bad(other(b"enforce", b"enforced"), "no such mode", MODE, mode=None),
    bad(other(b"enforce", b"enforce testing"), "two of them", MODE, mode=None),
    bad(b"mode: off\n" + BASE, "the first counts, also where it is wrong", MODE, REPEATED, mode=None),
    # max_age.
    bad(other(b"max_age: 604800\n", b""), "max_age is required", NO_MAX_AGE, max_age=None),
    bad(other(b"max_age", b"Max_Age"), '%s"max_age" has case', NO_MAX_AGE, UNKNOWN, max_age=None),
    bad(other(b"604800", b"31557601"), "one over the limit", LIMIT, max_age=None),
    bad(other(b"604800", b"00000604800"), "eleven digits", MAX_AGE, max_age=None),
    bad(other(b"604800", b"-1"), "a sign", MAX_AGE, max_age=None),
    bad(other(b"604800", b"604_800"), "what Python reads as a number", MAX_AGE, max_age=None),
    bad(other(b"604800", b"604 800"), "a space within", MAX_AGE, max_age=None),
    bad(other(b"604800", "\u0666\u0660".encode()), "Python's digits", MAX_AGE, max_age=None),
    bad(b"max_age: x\n" + BASE, "the first counts", MAX_AGE, REPEATED, max_age=None),
    # mx.
    bad(other(b"mx: mail.example.org\n", b""), "mx is required to enforce", NO_MX, mx=()),
    bad(b"version: STSv1\nmode: testing\nmax_age: 604800\n", "and to test", NO_MX, mode="testing", mx=()),
    bad(other(b"mx:", b"MX:"), '%s"mx" has case', NO_MX, UNKNOWN, mx=()),
    bad(other(MX.encode(), b"mail.example.org."), "a Domain has no final dot", BAD_MX, mx=()),
    bad(other(MX.encode(), b".example.org"), "a wildcard of old drafts", BAD_MX, mx=()),
    bad(other(MX.encode(), b"mail..example.org"), "an empty label", BAD_MX, mx=()),
    bad(other(MX.encode(), b"*"), "a wildcard alone", BAD_MX, mx=()),
    bad(other(MX.encode(), b"*example.org"), "a wildcard is a label of its own", BAD_MX, mx=()),
    bad(other(MX.encode(), b"mail.*.org"), "and the first", BAD_MX, mx=()),
    bad(other(MX.encode(), b"*.*.org"), "and there is but one", BAD_MX, mx=()),
    bad(other(MX.encode(), b"-a.example"), "a label begins with a letter or digit", BAD_MX, mx=()),
    bad(other(MX.encode(), b"a-.example"), "and ends with one", BAD_MX, mx=()),
    bad(other(MX.encode(), b"a_b.example"), "an underscore is in no host name", BAD_MX, mx=()),
    bad(other(MX.encode(), b"a" * 64 + b".example"), "a label over 63 octets", BAD_MX, mx=()),
    good(other(MX.encode(), b"a." * 126 + b"a"), "a name of 253 octets", mx=("a." * 126 + "a",)),
    bad(other(MX.encode(), b"a." * 126 + b"aa"), "a name over 253 octets", BAD_MX, mx=()),
    bad(other(MX.encode(), "b\u00fccher.example".encode()), "a U-label", BAD_MX, mx=()),
    bad(other(MX.encode(), b"mail.example.org:25"), "a port", BAD_MX, mx=()),
    bad(other(MX.encode(), b"a.example, b.example"), "each has a line of its own", BAD_MX, mx=()),
    bad(BASE + b"mx: a_b.example\n", "one wrong of two: no policy", BAD_MX),
    bad(
        b"version: STSv1\nmode: none\nmax_age: 86400\nmx: a_b\n",
        "also where none is needed",
        BAD_MX,
        mode="none",
        max_age=86_400,
        mx=(),
    ),
    nothing(b"version=STSv1;mode=enforce;max_age=1;mx=mail.example.org", "as a TXT record", FIELD, *MISSING),
)
