"""What a name says of its value: whether it is a secret, and how sure that is."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from khive_persist.redaction.escapes import compiled


class Name(NamedTuple):
    """The name of a secret.

    Attributes:
        kind: Of the secret, as in placeholders.
        is_password: Whether people make such values up: words, without a digit.
        is_sure: Whether it says all: a value may then be a UUID or a hash.
        is_environment: Whether it is in capitals, as are names of variables of the environment.
    """

    kind: str
    is_password: bool
    is_sure: bool
    is_environment: bool


PASS_PREFIXES: Final = (
    "pg",
    "db",
    "my",
    "smtp",
    "user",
    "root",
    "sql",
    "ftp",
    "ssh",
    "mail",
    "bind",
)
# What is searched for. All that stands around it, `DB_…_PROD`, is looked at by `classify`.
STEMS: Final = (
    *("passw", "passphrase", "passcode", "pwd", "token", "secret", "credential", "creds"),
    *("mnemonic", "seed_phrase", "seedphrase", "_key", "-key", "_auth", '"auth', "'auth"),
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
# Before a name: what is counted, shown or looked up by it, rather than kept secret.
_NOT_AFTER = frozenset(
    (
        "max min num n total count input output prompt completion reasoning cached cache page next "
        "prev previous pagination continuation stop pad eos bos unk sep cls mask special start end "
        "sync cancel cancellation public pub primary foreign partition sort range hash composite "
        "unique index object dict map row column group item lookup event issue project routing "
        "translation host known registry hot json idempotency dedup natural surrogate config "
        "setting query search lock state feature bucket file parent child tree node data field "
        "show hide has is no use forgot invalid wrong missing require required per any every each "
        "which verify verification"
    ).split()
)
# After a name: what says something of the secret, rather than being it.
_NOT_BEFORE = frozenset(
    (
        "count counts type types url uri urls uris endpoint endpoints name names id ids path paths "
        "file files filename dir field fields column columns length len size sizes limit limits "
        "budget usage expiry expires expiration expire expired ttl age at in lifetime timeout policy "
        "provider manager service store storage class cls hash hashes hashed hasher algorithm alg "
        "algo format header headers param params prefix suffix regex pattern hint label labels "
        "placeholder title text help description desc error errors message messages status state "
        "valid required enabled index arn version source ref reference refs selector env var vars "
        "variable variables scope scopes list map generator validator encoder reset strength input "
        "prompt rotation scheme kind mode created updated fingerprint info metadata request util "
        "utils test tests position positions offset ids span spans stream iterator iter parser "
        "handler callback func function fn rate rates price cost per used remaining left total "
        "max min num number getter ring rings up down press code codes word words pair pairs "
        "board frame holder chain vault user username owner domain realm issuer audience"
    ).split()
)
# After a name: which of several it is, or how it is written.
_WHICH = frozenset(
    (
        "prod production dev development stg staging stage test testing live sandbox qa uat ci "
        "local old new prev previous current backup primary secondary main master default base "
        "data value val values string str raw plain plaintext b64 base64 hex enc encoded decoded "
        "us eu ap asia v a b x one two"
    ).split()
)


@lru_cache(8192)
def classify(identifier: str) -> Name | None:
    """Tell what an identifier is the name of, however its words are put together.

    Args:
        identifier: As it is written: `DB_PASSWORD_2`, `spring.datasource.password`, `apiKey`,
            `--auth-token`.

    Returns:
        None where its value is no secret.
    """
    last = identifier.strip("-_.$").rpartition(".")[2]
    is_environment = last.isupper()
    name = "_".join(compiled(_WORDS).findall(last)).lower()
    stem = None
    for stem in compiled(_STEM).finditer(name):
        pass
    if stem is None:
        return None
    before = name[: stem.start()].rstrip("_").rpartition("_")[2]
    after = name[stem.end() :].split("_")[1:]
    # Several of them, with nothing said of what they are for, are counted: `tokens=`.
    is_counted = bool(stem["plural"]) and not before and not stem["credential"]
    if is_counted or before in _NOT_AFTER or (after and after[-1] in _NOT_BEFORE):
        return None
    kind, has_which = _kind(stem), all(word in _WHICH or word.isdigit() for word in after)
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
