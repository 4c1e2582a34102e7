"""Tell from a name whether its value is a secret, and how sure that is."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from khive_persist.redaction.escapes import compiled
from khive_persist.redaction.vocabulary import NOT_AFTER, NOT_BEFORE, WHICH


class Name(NamedTuple):
    """The name of a secret.

    Attributes:
        kind: The kind of the secret, as in placeholders.
        is_password: Whether people make such values up: words, without a digit.
        is_sure: Whether the name alone is enough: a value may then be a UUID or a hash.
        is_environment: Whether it is in capitals, as are names of variables of the environment.
    """

    kind: str
    is_password: bool
    is_sure: bool
    is_environment: bool


PASS_PREFIXES: Final = (
    "pg", "db", "my", "smtp", "user", "root", "sql", "ftp", "ssh", "mail", "bind",
)  # fmt: skip
# What is searched for. All that stands around it, `DB_…_PROD`, is looked at by `classify`.
STEMS: Final = (
    *("passw", "passphrase", "passcode", "pwd", "token", "secret", "credential", "creds"),
    *("mnemonic", "seed_phrase", "seedphrase", "_key", "-key", "?key=", "&key="),
    *("_auth", '"auth', "'auth"),
    # `pass` is a word of many texts, and of Python.
    *("_pass", "-pass", '"pass', "'pass", ".pass", "pass=", "pass:", "pass ="),
    *(f"{word}pass" for word in PASS_PREFIXES),
    *(
        f"{word}{between}key"
        for between in ("", " ")
        for word in (
            *("api", "access", "secret", "private", "account", "signing", "encryption", "master"),
            *("auth", "shared", "subscription", "client", "storage", "preshared", "license"),
        )
    ),
)
# Keys of these sorts are secrets; of others, only what is random.
_SURE_KEYS = (
    *("secret_access", "api", "access", "secret", "private", "account", "signing", "encryption"),
    *("master", "auth", "shared", "subscription", "hmac", "preshared", "decryption", "client"),
)
# In words in lower case with `_` between; the words before and after are looked at on their own.
_STEM = (
    r"(?:(?P<passphrase>passphrase|mnemonic|seed_?phrase)"
    r"|(?P<password>passw(?:or)?d|passwort|passcode|(?<![a-z])(?:mysql_?)?pwd"
    rf"|(?<![a-z])(?:{'|'.join(PASS_PREFIXES)})?pass)"
    r"|(?P<credential>credential|(?<![a-z])creds)"
    rf"|(?P<sure_key>{'|'.join(word.replace('_', '_?') for word in _SURE_KEYS)})_?key"
    r"|(?P<secret>secret)"
    r"|(?P<token>token)"
    r"|(?P<auth>(?<![a-z])auth)"
    r"|(?P<key>(?<![a-z])(?:client|storage|license)?key))"
    r"(?P<plural>s?)(?![a-z])"
)
_WORDS = r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+"


@lru_cache(8192)
def classify(identifier: str) -> Name | None:
    """Return the secret's name that an identifier is, however its words are put together.

    It may be `DB_PASSWORD_2`, `spring.datasource.password`, `apiKey` or `--auth-token`; None is
    that of a value that is no secret.
    """
    last = identifier.strip("-_.$").rpartition(".")[2]
    is_environment = last.isupper()
    name = "_".join(compiled(_WORDS).findall(last)).lower()
    stems = list(compiled(_STEM).finditer(name))
    if not stems:
        return None
    stem = stems[-1]
    preceding = name[: stem.start()].rstrip("_").rpartition("_")[2]
    following = name[stem.end() :].split("_")[1:]
    # Several of them, with nothing said of what they are for, are counted: `tokens=`, `keys=`.
    is_counted = bool(stem["plural"]) and not preceding and bool(stem["token"] or stem["key"])
    if is_counted or preceding in NOT_AFTER or (following and following[-1] in NOT_BEFORE):
        return None
    kind, has_which = _kind(stem), all(word in WHICH or word.isdigit() for word in following)
    is_password = kind in ("password", "passphrase")
    return Name(kind, is_password, kind != "key" and (has_which or is_environment), is_environment)


def _kind(stem: re.Match[str]) -> str:
    for kind, word in stem.groupdict().items():
        if word and kind == "sure_key":
            words = word.replace("_", "")
            return "aws_secret_access_key" if words == "secretaccess" else f"{word}_key"
        if word and kind != "plural":
            return kind
    raise AssertionError(stem)
