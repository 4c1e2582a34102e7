"""Which values are worth hiding: those that a person or a program made up, not those that refer."""

from khive_persist.redaction.escapes import MARK, compiled

_TEMPLATE = (
    rf"(?ai){MARK}|\[REDACTED:|\$\{{|\$\(|#\{{|\{{\{{|\*\*\*|x{{5}}|\{{[a-z_][\w.\[\]()-]*\}}"
    r"|\A(?:\$[a-z_]\w*(?:\Z|[/.:])|<.*>\Z|&(?:lt|\#)|%\(|%[a-z_]+%\Z|%[a-z]\Z|your[-_ ])"
    r"|\A.{0,12}(?:\.{3}|…)\Z"
)
_CODE = r"""(?aix)
    [a-z_$][\w.$]{0,60}[(\[]                                        # os.environ["X1"], f(x1)
    | (?-i:[A-Z]+[0-9]?(?:_[A-Z]+[0-9]?)+\Z)                         # TEST_TOKEN_2
    | (?=.{1,40}\Z) (?:(?!(?:.*[0-9]){3}) | (?=.*\.(?-i:[A-Z][a-z]+)\w*\Z))
        [a-z_$][\w$]* (?:(?:\??\.|::|->)[a-z_$][\w$]*)+ \Z             # a.token2, ed25519.Key
"""
_HARMLESS = r"""(?aix)
    (?:~|\.{1,2})?/(?:[^/]*/)*(?:[a-z_]?[a-z_-]{2,}|[^/]*\.[^/]*)(?:/|\Z)  # /run/secrets/db1
    | [a-z]:[\\/]
    | (?-i:(?=(?:.*/)?[a-z][a-z._-]+(?:/|\Z))                    # one of its names is a word
        [a-z0-9._~-]+(?:/[a-z0-9._~{}-]+)+/?\Z)                          # projects/x/secrets/y1
    | (?-i:[\w./~-]+\.(?:pem|key|crt|cer|p12|pfx|pub|asc|gpg|json|txt|ya?ml|toml|env|conf|xml)\Z)
    | [a-z][a-z0-9+.-]*://
    | data:
    | [+-]?(?:0x[0-9a-f_]+|[0-9][0-9_.,]*(?:e[+-]?[0-9]+)?)[a-z%]{0,3}[]},]*\Z   # a number, a unit
    | [a-z]?[0-9]+(?:\.[0-9]+)+(?:[-+][\w.+-]*)?\Z                             # a version
    | [0-9]{4}-[0-9]{2}-[0-9]{2}(?:[t_]|\Z)                                # a date
    | (?:sha[0-9]+|md5)[:=-]
"""
_IDENTIFIER = r"(?i)\{?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?|[0-9a-f]{40}"
_MIN_LENGTH = 8


def is_template(value: str) -> bool:
    """Whether it only says where a value goes: `${VAR}`, `<your-token>`, `{{ x }}`, `****`."""
    return compiled(_TEMPLATE).search(value) is not None


def is_secret(value: str, *, quoted: bool) -> bool:
    """Whether the value of something that is called a secret is one.

    It has at least 8 characters, a letter and a digit, no white space, and is no template, path,
    URL, number, version, date, content hash, UUID or commit hash; nor code, unless it is quoted.
    """
    return (
        _is_made_up(value)
        and compiled(_IDENTIFIER).fullmatch(value) is None
        and (quoted or compiled(_CODE).match(value) is None)
    )


def is_credentials(value: str) -> bool:
    """As `is_secret`, but for what follows `Bearer` or `Basic`: UUIDs and hashes count, too."""
    return _is_basic(value) or (_is_made_up(value) and compiled(_CODE).match(value) is None)


def _is_made_up(value: str) -> bool:
    return (
        len(value) >= _MIN_LENGTH
        and any(map(str.isalpha, value))
        and compiled("[0-9]").search(value) is not None
        and compiled(r"\s").search(value) is None
        and not is_template(value)
        and compiled(_HARMLESS).match(value) is None
    )


def _is_basic(value: str) -> bool:
    """Whether it is `user:password` in base64 (RFC 7617), which may have no digit in it."""
    from binascii import a2b_base64

    try:
        pair = a2b_base64(value, strict_mode=True)
    except ValueError:
        return False
    return b":" in pair and pair.isascii() and pair.decode().isprintable()
