"""For any document: what is planted is gone, all else is as it was, and the result is JSON."""

import json
import re
from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st

from khive_persist.redaction import Redactor

REDACTOR = Redactor(b"the key of these tests")
PLACEHOLDER = re.compile(r"\[REDACTED:[a-z0-9_]+:[0-9a-f]{4}\]")
ALNUM = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
HEX = "0123456789abcdef"


class Planted(str):
    """A string with a secret in it."""

    __slots__ = ("secret",)
    secret: str

    def __new__(cls, before: str, secret: str, after: str) -> "Planted":
        planted = super().__new__(cls, before + secret + after)
        planted.secret = secret
        return planted


def tails(alphabet: str, length: int) -> st.SearchStrategy[str]:
    # It has a letter, and more digits than names in code have.
    return st.text(alphabet, min_size=length, max_size=length + 8).map(lambda tail: f"a123{tail}")


SECRETS = st.one_of(
    tails(ALNUM, 36).map(lambda tail: ("", "ghp" + "_" + tail, "")),
    tails(ALNUM, 34).map(lambda tail: ("", "hf" + "_" + tail, "")),
    tails(ALNUM + "-_", 90).map(lambda tail: ("", "sk-" + "ant-" + tail, "")),
    tails(ALNUM[26:], 16).map(lambda tail: ("", "AKIA" + tail.upper(), "")),
    tails(HEX, 32).map(lambda tail: ("", "dapi" + tail, "")),
    tails(ALNUM, 20).map(lambda tail: ("", f"eyJ{tail}.eyJ{tail}.{tail}", "")),
    tails(ALNUM + "!$%^-_+=", 12).map(lambda tail: ("postgres://bob:", tail, "@db/app")),
    tails(ALNUM + "-_~", 16).map(lambda tail: ("Authorization: Bearer ", tail, "")),
    tails(ALNUM, 8).map(lambda tail: ("DB_PASSWORD=", tail, "")),
    tails(ALNUM + "!$%^#@?/~", 12)
    # As what a path in lower case looks like, `a1/secrets/y1`.
    .filter(lambda tail: not re.search("/[a-z_-]{2,}(/|$)", tail))
    .map(lambda tail: ('{"password": "', tail, '"}')),
    tails(ALNUM, 10).map(lambda tail: ("deploy --api-key ", tail, " --force")),
)  # fmt: skip
NAMES = re.compile(
    "token|pass|pwd|secret|key|cred|bearer|auth|login|cookie|mnemonic|://|:[a*]", re.IGNORECASE
)
PLAIN = st.text(max_size=30).filter(lambda text: not NAMES.search(text))
PLANTED = st.builds(
    lambda before, parts, after: Planted(f"{before} {parts[0]}", parts[1], f"{parts[2]} {after}"),
    PLAIN,
    SECRETS,
    PLAIN,
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)
)


def documents(strings: st.SearchStrategy[str]) -> st.SearchStrategy[object]:
    return st.recursive(
        SCALARS | strings,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=4),
        max_leaves=12,
    )


def fully_escaped(document: object) -> str:
    def escape(string: re.Match[str]) -> str:
        units = json.loads(string[0]).encode("utf-16-be")
        pairs = zip(units[::2], units[1::2], strict=True)
        return '"' + "".join(f"\\u{high:02x}{low:02x}" for high, low in pairs) + '"'

    return re.sub(r'"(?:[^"\\]|\\.)*"', escape, json.dumps(document))


SPELLINGS: list[Callable[[object], str]] = [
    json.dumps,
    lambda document: json.dumps(document, ensure_ascii=False, separators=(",", ":")),
    lambda document: json.dumps(document, indent=2),
    lambda document: json.dumps(document).replace("/", "\\/"),
    fully_escaped,
]


def parse(raw: str) -> object:
    return json.loads(raw, object_pairs_hook=lambda pairs: ("object", pairs))


def assert_only_secrets_changed(before: object, after: object) -> None:
    if isinstance(before, Planted):
        assert isinstance(after, str)
        assert before.secret not in after
        assert PLACEHOLDER.sub("…", after) == before.replace(before.secret, "…")
    elif isinstance(before, dict):
        assert isinstance(after, tuple)
        assert len(after[1]) == len(before)
        for (key, value), (new_key, new_value) in zip(before.items(), after[1], strict=True):
            assert_only_secrets_changed(key, new_key)
            assert_only_secrets_changed(value, new_value)
    elif isinstance(before, list):
        assert isinstance(after, list)
        for old, new in zip(before, after, strict=True):
            assert_only_secrets_changed(old, new)
    else:
        assert before == after


@given(documents(PLAIN | PLANTED), st.sampled_from(SPELLINGS), st.integers(0, 2))
def test_secrets_go_and_all_else_stays(
    document: object, spell: Callable[[object], str], levels: int
) -> None:
    raw = spell(document)
    for _ in range(levels):
        raw = json.dumps({"output": raw})
    redacted, counts = REDACTOR.redact_json(raw)
    inner = redacted
    for _ in range(levels):
        inner = json.loads(inner)["output"]
    assert_only_secrets_changed(document, parse(inner))
    assert sum(counts.values()) == len(PLACEHOLDER.findall(redacted))
    again, more = REDACTOR.redact_json(redacted)
    assert again is redacted
    assert more == {}


@given(documents(PLAIN), st.sampled_from(SPELLINGS))
def test_a_document_without_secrets_is_the_same_object(
    document: object, spell: Callable[[object], str]
) -> None:
    raw = spell(document)
    redacted, counts = REDACTOR.redact_json(raw)
    assert redacted is raw
    assert counts == {}


TOKEN = "ghp" + "_" + "A1b2" * 9
FRAGMENTS = [
    *("token", "password", "_pass", "credentials", "authorization", "Bearer ", "basic ", "api_"),
    *("key", "secret_access_key", "name", "value", "login x password ", "--token", "--", "-u"),
    *("=", ":", " ", " = ", "\n", "\t", '"', "'", "`", "\\", "\\n", '\\"', '\\\\"', 'b"', "|", "-"),
    *("[", "]", "{", "}", ",", "<", ">", "<password>", "/", "#", "$", "${X}", ".", "://", "@"),
    *("-----BEGIN RSA PRIVATE" + " KEY-----", "-----END RSA PRIVATE" + " KEY-----", "Ab1/" * 16),
    *(
        "abc=",
        "null",
        "12345678e5",
        "1" * 45,
        "abc12345def",
        "0a1b2c3d" * 4,
        "[REDACTED:token:12ab]",
    ),
    *(TOKEN, "hf" + "_" + "A1b2" * 9, "dapi", "key-", "eyJ" + "A1b2.eyJ" + "A1b2" * 3 + ".abc"),
    *("é", "日", "\u2028", "\u0130", "\x1b[31m", "\x1b", "\ufdd0", "\\u0041", "u0041", "path/to"),
    *("DB_PASSWORD_2", "apiKey", "_auth", "passphrase", "'auth", " || ", ":-", ": |\n  ", "?="),
    *("letmeinplease", "my dog has fleas", "949752ba-dbca-4cef-aed8-56a872909535", "Cookie: a="),
    *("mysql ", "-p", "curl ", "docker login ", "sshpass ", "IDENTIFIED BY ", "pass=", "ENV "),
    # No ids, working directories or paths: what is in those stays.
    *("Private-Lines: 2\n", ".abcdef.", "M" * 26, "; "),
    *("\u212a", "\u3000", "sk-", "SK", "xox", "bob:", "://bob:", "hunter2hunter2", 'r"', "\\n  "),
]
HOSTILE = st.lists(st.sampled_from(FRAGMENTS), max_size=9).map("".join)
NUMBERS = st.sampled_from([1, 1.5e10, 12345678e15, int("1" * 45), -3, 0.1, None, True])


def skeleton(value: object) -> object:
    """All of a document but its strings."""
    if isinstance(value, tuple):
        return [skeleton(inner) for _, inner in value[1]]
    if isinstance(value, list):
        return ("list", [skeleton(inner) for inner in value])
    return "" if isinstance(value, str) else value


@given(
    st.recursive(
        HOSTILE | NUMBERS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(HOSTILE, inner, max_size=4),
        max_leaves=10,
    ),
    st.sampled_from(SPELLINGS),
    st.integers(0, 2),
)
@example([{"": "IDENTIFIED BY "}, [], "sshpass -p", 12345], json.dumps, 0)
@example(["ConvertTo-SecureString ", {"mysql -p": [12345678]}], SPELLINGS[1], 0)
@example(["1" * 45, int("1" * 45), "-----END PRIVATE" + " KEY-----"], json.dumps, 0)
def test_the_result_is_json_of_the_same_structure(
    document: object, spell: Callable[[object], str], levels: int
) -> None:
    raw = spell(document)
    for _ in range(levels):
        raw = json.dumps(raw)
    redacted, _ = REDACTOR.redact_json(raw)
    assert TOKEN not in redacted
    assert skeleton(parse(redacted)) == skeleton(parse(raw))


@given(HOSTILE, st.sampled_from(SPELLINGS), st.integers(0, 5))
@example("login x password \u3000token", json.dumps, 1)
@example("login x password \u3000token", json.dumps, 2)
@example("login x password \u3000token", json.dumps, 4)
def test_the_first_look_passes_over_nothing(
    text: str, spell: Callable[[object], str], levels: int
) -> None:
    raw = text if levels == 0 else spell(text)
    for _ in range(levels - 1):
        raw = json.dumps(raw)
    # With a token before it, a text is looked at closely, whatever else is in it.
    redacted, _ = REDACTOR.redact_text(raw)
    assert REDACTOR.redact_text(f"{TOKEN} \n\n{raw}")[0].endswith(f"] \n\n{redacted}")


@given(st.binary(max_size=40), SECRETS, st.binary(max_size=40), st.sampled_from(["le", "be"]))
def test_wide_secrets_go_from_any_bytes(
    before: bytes, parts: tuple[str, str, str], after: bytes, order: str
) -> None:
    encoding = f"utf-16-{order}"
    # The bytes around stay apart from the secret, whichever byte of a character they end in.
    head, tail = before + "\n\n ".encode(encoding), " \n\n".encode(encoding) + after
    raw = head + "".join(parts).encode(encoding) + tail
    redacted, counts = REDACTOR.redact_bytes(raw)
    assert sum(counts.values()) == 1
    assert redacted.startswith(head + parts[0].encode(encoding))
    assert redacted.endswith(parts[2].encode(encoding) + tail)
    assert parts[1].encode(encoding) not in redacted


@given(st.binary())
def test_bytes_without_secrets_are_the_same_object(raw: bytes) -> None:
    assert REDACTOR.redact_bytes(raw) == (raw, {})
    assert REDACTOR.redact_bytes(raw)[0] is raw
