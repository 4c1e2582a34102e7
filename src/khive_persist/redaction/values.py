"""Tell the values worth hiding, which a person or a program made up, from those that refer."""

from khive_persist.redaction.escapes import MARK, compiled
from khive_persist.redaction.names import Name
from khive_persist.redaction.vocabulary import LITTLE_WORDS, NO_PASSWORDS

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
_MIN_PASSWORD = 6
_MIN_COOKIE = 16
_MAX_PHRASE = 100
# What analytics count visitors with, dates and words.
_PLAIN_COOKIE = (
    r"[A-Z]+(?:_[A-Z0-9]+)+|GA[0-9]\.[0-9.]+|[a-z]{3,}(?:[-_.][a-z0-9]+)+|[A-Za-z_.-]+[0-9]?"
)
_HEX_KEY = "(?i)0x[0-9a-f]{32,}"
_CALL = r"""(?ax)
    (?i: [a-z_$][\w.$]{0,60}[(\[])
    | [A-Z]+[0-9]?(?:_[A-Z]+[0-9]?)+\Z
    | (?i:(?:process\.env|os\.environ|settings|config|secrets|env|vars|self|this)\.[\w.]+\Z)
"""
_SNAKE = r"[a-z0-9]+(?:_[a-z0-9]+)+"
_SPEAKS_FOR_ITSELF = r"(?i)passw|\Apwd?\Z|\Apass\Z"
_WORDS_AND_NUMBER = r"(?i)[a-z]+(?:[-_./:@][a-z0-9]+)*[0-9]{0,2}"
_TYPE = r"(?:[A-Z][a-z]+){2,}[0-9]?"
# Not hexadecimal, and no words with dashes.
_RANDOM = (
    r"(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])(?=(?:[^0-9]*[0-9]){3})(?!.*[a-z]{5}[-_])"
    r"[A-Za-z0-9+/_-]{20,2000}={0,2}"
)
# Many changes of case, which words in camel case do not have.
_RANDOM_LETTERS = r"(?=(?:[a-z]*[A-Z]+[a-z]{1,2}(?![a-z])){3})[A-Za-z]{20,2000}"
_SPEAKS_OF_IT = r"passw|passphrase|\bpwd|pass_|credential|secret_|token|api[_-]?key|example\.|%[sd]"
# A constant, words with underscores or dots, camel case.
_IN_CODE = (
    r"(?a)[A-Z]+(?:_[A-Z]+)*|_*[A-Za-z]+(?:[_.][A-Za-z]+)+_*|[a-z]+(?:[A-Z][a-z]+)+|[\W\d_]+"
    r"|[^\w]+.*|.*[(\[{<|>}\])=:;]+.*|.*[^\w!@#$%^&*~+-]"
)
_UNQUOTED_WORD = r"(?a)[a-z]{12,}|(?=.*[!@#%^&*~+-])[A-Za-z][A-Za-z!@#$%^&*~+-]{7,}"
_SENTENCE = r"[.:?;,%{}<>()\[\]=/\\|\"`]|\A[A-Z][a-z]+ [a-z]"


def is_template(value: str) -> bool:
    """Return whether text only stands for a value: `${VAR}`, `<your-token>`, `{{ x }}`, `****`."""
    return compiled(_TEMPLATE).search(value) is not None


def is_secret(value: str, *, quoted: bool) -> bool:
    """Return whether the value of something that is called a secret is one.

    It has at least 8 characters, a letter and a digit, no white space, and is no template, path,
    URL, number, version, date or content hash; nor code, unless it is quoted.
    """
    return _is_made_up(value) and (quoted or compiled(_CODE).match(value) is None)


def is_credentials(value: str) -> bool:
    """Return whether the text after `Bearer`, `Basic` or another scheme is credentials."""
    return (
        _is_basic(value)
        or (_is_made_up(value) and compiled(_CODE).match(value) is None)
        or compiled(_RANDOM_LETTERS).fullmatch(value) is not None
    )


def is_password(value: str) -> bool:
    """Return whether the word where a program wants a password is one: most words are."""
    return (
        len(value) >= _MIN_PASSWORD
        and not value.startswith(("-", "$"))
        and not is_template(value)
        and value.lower() not in NO_PASSWORDS
        and compiled(_HARMLESS).match(value) is None
    )


def is_given(value: str) -> bool:
    """Return whether the text where nothing but a password can stand gives one."""
    return (
        not value.startswith(("-", "$"))
        and not is_template(value)
        and compiled(_SPEAKS_FOR_ITSELF).search(value) is None
    )


def is_cookie(value: str) -> bool:
    """Return whether a cookie's value is too long and too mixed to be a setting."""
    return (
        len(value) >= _MIN_COOKIE
        and _is_made_up(value)
        and compiled(_PLAIN_COOKIE).fullmatch(value) is None
    )


def is_value_of(name: Name, value: str, *, quoted: bool, ends_line: bool) -> bool:
    """Return whether a whole value is the secret that its name says.

    `ends_line` says that nothing follows it on its line.
    """
    if name.kind == "auth":
        return _is_basic(value)
    if is_template(value):
        return False
    if compiled(r"\s").search(value):
        return quoted and name.is_password and _is_phrase(value)
    if compiled(_HARMLESS).match(value):
        return _is_numeric_secret(name, value, quoted=quoted)
    if len(value) < (_MIN_PASSWORD if name.is_password else _MIN_LENGTH):
        return False
    if not any(map(str.isalpha, value)) or (not quoted and _is_code(name, value)):
        return False
    if compiled(_IDENTIFIER).fullmatch(value):
        return name.is_sure or name.is_environment
    if not name.is_sure and not name.is_environment:
        return compiled(_RANDOM).fullmatch(value) is not None
    if compiled("[0-9]").search(value):
        return name.kind != "key" or compiled(_SNAKE).fullmatch(value) is None
    if name.is_password:
        return _is_word(name, value, quoted=quoted, ends_line=ends_line)
    return compiled(_RANDOM_LETTERS).fullmatch(value) is not None


def is_item_of(name: Name, value: str, *, quoted: bool) -> bool:
    """Return whether an item of a list of secrets is one: such lists have names of secrets, too."""
    return is_value_of(name, value, quoted=quoted, ends_line=True) and (
        name.is_password or compiled(_WORDS_AND_NUMBER).fullmatch(value) is None
    )


def _is_numeric_secret(name: Name, value: str, *, quoted: bool) -> bool:
    """Tell digits that are a PIN or a key from those that are a number."""
    if compiled(_HEX_KEY).fullmatch(value):
        return name.is_sure
    return (
        name.is_password
        and (quoted or name.is_environment)
        and len(value) >= _MIN_PASSWORD
        and value.isdecimal()
    )


def _is_code(name: Name, value: str) -> bool:
    if name.is_environment:
        return compiled(_CALL).match(value) is not None
    return compiled(_CODE).match(value) is not None or compiled(_TYPE).fullmatch(value) is not None


def _is_word(name: Name, value: str, *, quoted: bool, ends_line: bool) -> bool:
    """Tell a password of letters from words that speak of one, and from names in code."""
    low = value.lower()
    if low in NO_PASSWORDS or compiled(_SPEAKS_OF_IT).search(low):
        return False
    if compiled(_IN_CODE).fullmatch(value):
        return False
    if quoted or name.is_environment:
        return True
    return ends_line and compiled(_UNQUOTED_WORD).fullmatch(value) is not None


def _is_phrase(value: str) -> bool:
    """Tell words that are a passphrase from a sentence or a label."""
    words = value.lower().split(" ")
    return (
        _MIN_LENGTH <= len(value) <= _MAX_PHRASE
        and len(words) > 1
        and "\n" not in value
        and compiled(_SENTENCE).search(value) is None
        and compiled(_SPEAKS_OF_IT).search(value.lower()) is None
        and LITTLE_WORDS.isdisjoint(words)
        and all(words)
    )


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
    """Return whether it is `user:password` in base64 (RFC 7617), which may have no digit in it."""
    from binascii import a2b_base64

    try:
        pair = a2b_base64(value, strict_mode=True)
    except ValueError:
        return False
    return b":" in pair and pair.isascii() and pair.decode().isprintable()
