"""MTA-STS TXT records (RFC 8461 §3.1). The grammar:

sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
sts-field       = sts-id / sts-extension            ; Note that sts-id record is required.
sts-field-delim = *WSP ";" *WSP
sts-version     = %s"v=STSv1"
sts-id          = %s"id=" 1*32(ALPHA / DIGIT)
sts-extension   = sts-ext-name "=" sts-ext-value
sts-ext-name    = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".")
sts-ext-value   = 1*(%x21-3A / %x3C / %x3E-7E)
"""

from tests.verify.corpus import Case


def good(data: bytes, why: str, *codes: str, id: str = "abc") -> Case:  # noqa: A002 - the field's name
    """A record, and what is read in it."""
    return Case(data, True, why, codes, id=id)


def bad(data: bytes, why: str, *codes: str, id: str | None = None) -> Case:  # noqa: A002 - the field's name
    """No record, and what is right in it all the same."""
    return Case(data, False, why, codes, id=id)


UNKNOWN, REPEATED, SPACED = "record-field-unknown", "record-field-repeated", "record-spaced"
FOREIGN, VERSION, QUOTED = "record-foreign", "record-version", "record-quoted"
SEMICOLON, WHITE_SPACE, OCTET = "record-semicolon", "record-white-space", "record-octet"
EMPTY_FIELD, FIELD = "record-empty-field", "record-field"
ID, ID_LENGTH, ID_MISSING = "record-id", "record-id-length", "record-id-missing"

CASES = (
    # What the grammar takes.
    good(b"v=STSv1; id=20160831085700Z;", "the RFC's own example", id="20160831085700Z"),
    good(b"v=STSv1;id=abc", "no white space is needed"),
    good(b"v=STSv1; id=abc", "the delimiter at the end is optional"),
    good(b"v=STSv1; id=abc;", "and may be there"),
    good(b"v=STSv1; id=abc; ", "and white space may follow it, being part of the delimiter"),
    good(b"v=STSv1; id=abc ;", "or precede it"),
    good(b"v=STSv1; id=abc \t; \t ", "or both, in any mixture of space and tab"),
    good(b"v=STSv1;\tid=abc", "WSP is a tab too"),
    good(b"v=STSv1;  \t  id=abc", "*WSP is any number"),
    good(b"v=STSv1 ; id=abc", "WSP before the semicolon is in the ABNF; the prose discards it", SPACED),
    good(b"v=STSv1; id=a", "an id has at least one character", id="a"),
    good(b"v=STSv1; id=" + b"a" * 32, "and up to 32", id="a" * 32),
    good(b"v=STSv1; id=ABCxyz019", "letters of both cases and digits", id="ABCxyz019"),
    good(b"v=STSv1; id=abc; x=y", "an extension after the id", UNKNOWN),
    good(b"v=STSv1; x=y; id=abc", "order of fields means nothing", UNKNOWN),
    good(b"v=STSv1; x=y; id=abc; z=1;", "extensions on both sides", UNKNOWN, UNKNOWN),
    good(b"v=STSv1; id=abc; 0=y", "a name may begin with a digit", UNKNOWN),
    good(b"v=STSv1; id=abc; a_b-c.d=y", "and go on with _ - .", UNKNOWN),
    good(b"v=STSv1; id=abc; " + b"n" * 32 + b"=y", "a name has up to 32 characters", UNKNOWN),
    good(b"v=STSv1; id=abc; x=" + b"y" * 300, "a value has no limit", UNKNOWN),
    good(
        b"v=STSv1; id=abc; x=!\"#$%&'()*+,-./:<>?@[\\]^_`{|}~", "every visible character but ; and =", UNKNOWN
    ),
    good(b"v=STSv1; id=abc; x=a,b:c", "comma and colon are nothing special", UNKNOWN),
    good(b"v=STSv1; id=abc; ID=def", "names have case: this is an extension", UNKNOWN),
    good(b"v=STSv1; id=abc; id=def", "of a field given twice the first counts", REPEATED),
    good(b"v=STSv1; id=abc; id=not-an-id", "the second need only be an extension", REPEATED),
    good(b"v=STSv1; id=abc; id=d; id=e", "said once, however often", REPEATED),
    good(b"v=STSv1; id=abc; x=1; x=2", "an extension given twice", REPEATED, UNKNOWN),
    good(b"v=STSv1; id=abc; v=STSv1", "v again is an extension by the grammar, and not the first", REPEATED),
    good(b"v=STSv1; v=STSv2; id=abc", "the first v counts", REPEATED),
    # How it begins.
    bad(b"", "there is nothing", FOREIGN),
    bad(b";", "there is no version", FOREIGN),
    bad(b"id=abc; v=STSv1", "the version comes first", FOREIGN),
    bad(b"v=spf1 -all", "another kind of record", FOREIGN),
    bad(b"v=STSv2; id=abc", "another version", FOREIGN),
    bad(b"v=STSv10; id=abc", "another version that begins alike", FOREIGN),
    bad(b"v:STSv1; id=abc", "a colon is no equals sign", FOREIGN),
    bad(b"\xef\xbb\xbfv=STSv1; id=abc", "a byte order mark stands before it", FOREIGN),
    bad("\u00a0v=STSv1; id=abc".encode(), "a no-break space stands before it, no white space here", FOREIGN),
    bad(b"V=STSv1; id=abc", '%s"v=STSv1" has case', VERSION),
    bad(b"v = stsv1; id=abc", "wrong case says more than wrong white space", VERSION),
    bad(b" v=STSv1; id=abc", "white space before it", WHITE_SPACE),
    bad(b"\nv=STSv1; id=abc", "the same with a line end", WHITE_SPACE),
    bad(b"v =STSv1; id=abc", "white space before the =", WHITE_SPACE),
    bad(b'"v=STSv1; id=abc;"', "quotation marks belong to the zone file", QUOTED),
    bad(rb"v=STSv1\; id=abc\;", "backslashes belong to a zone file, too", "record-escaped"),
    bad(rb"v=STSv1; id=abc\;", "one is enough", "record-escaped"),
    bad(b'"v=STSv1; " "id=abc;"', "so do two strings", QUOTED),
    bad(b"v=STSv1", "at least one field follows", SEMICOLON),
    bad(b"v=STSv1\n", "a line end is nothing that may follow", SEMICOLON),
    bad(b"v=STSv1 id=abc", "a semicolon is missing", SEMICOLON),
    bad(b"v=STSv1, id=abc", "a comma is none", SEMICOLON),
    bad("v=STSv1\uff1b id=abc".encode(), "nor is a full-width one", SEMICOLON),
    bad(b"v=STSv1\n; id=abc", "a line end is not WSP", SEMICOLON),
    # The id.
    bad(b"v=STSv1;", "an id is required", ID_MISSING),
    bad(b"v=STSv1; x=y", "an extension is none", ID_MISSING, UNKNOWN),
    bad(b"v=STSv1; ID=abc", '%s"id=" has case', ID_MISSING, UNKNOWN),
    bad(b"v=STSv1; idx=abc", "another name that begins alike", ID_MISSING, UNKNOWN),
    bad(b"v=STSv1; id=", "an id has at least one character", ID),
    bad(b"v=STSv1; id=" + b"a" * 33, "and at most 32", ID_LENGTH),
    bad(b"v=STSv1; id=2016-08-31", "letters and digits alone", ID),
    bad(b"v=STSv1; id=abc=", "an equals sign is none", ID),
    bad(b"v=STSv1; id=abc def", "white space within", ID),
    bad(b"v=STSv1; id=abc id=def", "a semicolon is missing between the fields", ID),
    bad(b'v=STSv1; id="abc"', "quotation marks are no letters", ID),
    bad(b"v=STSv1; id=not-an-id; id=abc", "the first counts, also where it is wrong", ID, REPEATED),
    bad("v=STSv1; id=\u0661\u0662".encode(), "Python's digits are not the grammar's", OCTET),
    bad("v=STSv1; id=abc\u00a0".encode(), "nor its white space", OCTET),
    bad(b"v=STSv1; id=abc\xff", "an octet that is not even UTF-8", OCTET),
    bad(b"v=STSv1; id=abc\x00", "a NUL", OCTET),
    # Line ends, white space, fields.
    bad(b"v=STSv1; id=abc\n", "a line end at the end is part of the text", OCTET),
    bad(b"v=STSv1; id=abc;\n", "after the delimiter too", OCTET, id="abc"),
    bad(b"v=STSv1;\n id=abc", "a line end is not WSP", OCTET),
    bad(b"v=STSv1;\x0bid=abc", "nor is a vertical tab", OCTET),
    bad(b"v=STSv1; id=abc ", "white space at the end, outside a delimiter", WHITE_SPACE, id="abc"),
    bad(b"v=STSv1; id =abc", "white space before the =", WHITE_SPACE),
    bad(b"v=STSv1; id= abc", "white space after the =", WHITE_SPACE),
    bad(b"v=STSv1; id=abc; x = y", "the same in an extension", WHITE_SPACE, id="abc"),
    bad(b"v=STSv1;; id=abc", "nothing between two semicolons", EMPTY_FIELD, id="abc"),
    bad(b"v=STSv1; id=abc;;", "the same at the end", EMPTY_FIELD, id="abc"),
    bad(b"v=STSv1; id=abc; ; ", "white space is nothing", EMPTY_FIELD, id="abc"),
    bad(b"v=STSv1; ; id=abc; ;", "said each time", EMPTY_FIELD, EMPTY_FIELD, id="abc"),
    bad(b"v=STSv1; id=abc; x", "a field has an =", FIELD, id="abc"),
    bad(b"v=STSv1; abc", "the same", FIELD, ID_MISSING),
    bad(b"v=STSv1; id:abc", "a colon is none", FIELD, ID_MISSING),
    bad(b"v=STSv1; id=abc; x=", "a value has at least one character", FIELD, id="abc"),
    bad(b"v=STSv1; id=abc; =y", "a name too", FIELD, id="abc"),
    bad(b"v=STSv1; id=abc; x=a=b", "a value has no =", FIELD, id="abc"),
    bad(b"v=STSv1; id=abc; x=a b", "nor white space", FIELD, id="abc"),
    bad("v=STSv1; id=abc; x=\u00fc".encode(), "nor a letter beyond US-ASCII", OCTET, id="abc"),
    bad(b"v=STSv1; id=abc; _x=y", "a name begins with a letter or digit", FIELD, id="abc"),
    bad(b"v=STSv1; id=abc; x+y=z", "a name has no +", FIELD, id="abc"),
    bad(b"v=STSv1; id=abc; " + b"n" * 33 + b"=y", "a name has at most 32 characters", FIELD, id="abc"),
    bad(b"v=STSv1; id=abc; id=", "the second id is no id and no extension", FIELD, REPEATED, id="abc"),
    bad(b"v=STSv1; x; y=; id=a-b", "each fault is reported", FIELD, FIELD, ID),
)
