"""Find secrets that are known by the text around them: headers, URLs, statements.

A pattern is tried where one of its words stands, in text that may still be escaped, too. A secret
is one of its groups, and ends before any quote, so that it never leaves a JSON string. Where a
quote may stand before it, it does not begin with what follows a string in JSON: `,`, `:`, `}`, `]`.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from khive_persist.redaction.escapes import MARK, Unescaped, compiled_ascii
from khive_persist.redaction.rule import Candidate, Hit
from khive_persist.redaction.token_rules import beside
from khive_persist.redaction.tokens import JWT_TAIL
from khive_persist.redaction.values import is_credentials, is_password, is_secret, is_template

_PAST_ESCAPE = r"(?<=\\[bfnrt]eyJ)|(?<=\\u[0-9a-fA-F]{4}eyJ)"
_BLANK = r"(?:[ \t]|\\++t)"
_SPACE = r"(?:\\++[nrt]|\s)"
_QUOTES = r"[\\\"'`]{0,8}"
_SQL_NAME = rf"WITH{_SPACE}{{1,8}}{_QUOTES}\w{{1,40}}{_QUOTES}{_SPACE}{{1,8}}"
_IDENTIFIED_BY = (
    rf"IDENTIFIED{_SPACE}{{1,8}}(?:{_SQL_NAME})?(?:BY|AS){_SPACE}{{1,8}}"
    rf"(?:PASSWORD{_SPACE}{{1,8}})?[\\\"']{{1,8}}(?=([^\s\"'`\\,:}}\]][^\"'`\\\r\n]{{2,256}}))"
)
_CHECKS = {
    "": lambda _: True,
    "template": lambda value: not is_template(value),
    "secret": lambda value: is_secret(value, quoted=False),
    "password": is_password,
    "credentials": is_credentials,
}


class Pattern(NamedTuple):
    """Kinds of secrets, and the pattern of the text around them.

    Attributes:
        kinds: The kinds, one for each group, separated by blanks.
        words: The words that the pattern begins with, in lower case, separated by blanks.
        pattern: The pattern; one group is set where it matches.
        check: The name of the check that the secret must pass.
        folded: Whether to search in lower case.
    """

    kinds: str
    words: str
    pattern: str
    check: str = ""
    folded: bool = False


PATTERNS: Final = (
    Pattern("jwt", "eyj", rf"(eyJ(?:(?<![\w-]eyJ)|{_PAST_ESCAPE}){JWT_TAIL})"),
    Pattern(
        "slack_webhook discord_webhook",
        "hooks",
        r"hooks(?:\.slack\.com/(?:services|workflows|triggers)/([\w/-]{16,})"
        r"|(?<=/webhooks)/[0-9]{16,20}/([\w-]{40,}))",
    ),
    Pattern(
        "teams_webhook",
        "webhook.office.com",
        r"webhook\.office\.com/webhookb2/([\w@-]{36,90}/incomingwebhook/[\w/-]{32,})",
        folded=True,
    ),
    Pattern(
        "zapier_webhook",
        "hooks.zapier.com",
        r"hooks\.zapier\.com/hooks/catch/([\w/]{8,})",
        folded=True,
    ),
    # https://learn.microsoft.com/azure/storage/common/storage-sas-overview
    Pattern("azure_sas_signature", "sig=", r"sig=(?<=[?&; ]sig=)([A-Za-z0-9%+/=_-]{30,})"),
    # Of signed URLs and headers of AWS, of others that copy them, and of OAuth 1 (RFC 5849).
    Pattern(
        "request_signature",
        "signature=",
        rf"signature={_QUOTES}([a-z0-9%+/=_~-]{{27,1024}})",
        check="secret",
        folded=True,
    ),
    Pattern("digest_response", "response=", rf"response={_QUOTES}([0-9a-f]{{32,64}})", folded=True),
    Pattern(
        "hawk_mac", "mac=", rf"(?<![a-z])mac={_QUOTES}([a-z0-9+/]{{27,88}}={{0,2}})", folded=True
    ),
    # A URL is not followed by a digest, as in `docker://image:tag@sha256:…`.
    Pattern(
        "url_password telegram_bot_token",
        ":// :aa",
        r":(?://[^\s/:@\"'\[]{0,256}:([^\s/\"']{1,512})@(?!sha[0-9])|(?<=[0-9]{8}:)(AA[\w-]{32,}))",
        check="template",
    ),
    Pattern(
        "url_token", "://", r"://([a-z0-9_-]{20,256})@(?!sha[0-9])", check="secret", folded=True
    ),
    Pattern(
        "jdbc_password",
        ":thin:",
        r":thin:[\w.-]{1,64}/([^\s/\"'@]{1,256})@",
        check="template",
        folded=True,
    ),
    # https://www.postgresql.org/docs/current/libpq-pgpass.html
    Pattern(
        "pgpass_password",
        ":5432: :5433: :6432: :*:",
        r":(?:543[23]|6432|\*):[\w*.-]{1,64}:[\w*.@-]{1,64}:([^\s\"'`:]{4,256})",
        check="template",
    ),
    Pattern(
        # A quoted name wants a quoted value: a JSON number must not be taken for one.
        "authorization",
        "authorization",
        rf"authorization(?:[\\\"'`\])]{{1,10}}{_BLANK}{{0,8}}(?::=|=>|[:=,]){_BLANK}{{0,8}}"
        rf"\\{{0,8}}[\"'`]|{_BLANK}{{0,8}}[:=]{_BLANK}{{0,8}}{_QUOTES})"
        r"(?:(?!\w+[ \t]+\w+[ \t])[a-z][\w-]{1,40}[ \t]{1,8})?"
        r"(?=([^\s\"'`,;:}\]][^\s\"'`,;]{7,4096}))",
        check="credentials",
        folded=True,
    ),
    Pattern(
        "bearer_token",
        "bearer",
        rf"bearer(?:[ \t:=]|\\++t){{1,8}}{_QUOTES}(?=([a-z0-9._~+/=-]{{16,4096}}))",
        check="credentials",
        folded=True,
    ),
    Pattern(
        "netrc_password",
        "login",
        rf"login{_SPACE}{{1,8}}\S{{1,128}}?{_SPACE}{{1,8}}password{_SPACE}{{1,8}}"
        # A letter that is not ASCII may be spelled as JSON does.
        r"(?=((?:[^\s\"'\\]|\\{1,8}u(?!00[0-7])[0-9a-f]{4}){6,256}))",
        check="password",
        folded=True,
    ),
    # In lower case it may be prose: `identified by 'name'`.
    Pattern("sql_password", "identified", _IDENTIFIED_BY, check="password"),
    Pattern(
        "sql_password",
        "identified",
        _IDENTIFIED_BY.replace("IDENTIFIED", "identified")
        .replace("BY|AS", "by|as")
        .replace("WITH", "with")
        .replace("PASSWORD", "password"),
        check="secret",
        folded=True,
    ),
    Pattern(
        "password",
        "convertto-securestring",
        rf"convertto-securestring{_BLANK}{{1,8}}(?:-string{_BLANK}{{1,8}})?{_QUOTES}(?=([^\s\"'`\\,:}}\]][^\s\"'`\\]{{5,256}}))",
        check="password",
        folded=True,
    ),
    # RFC 7518, 6.3.2: `d` is the private part of a JSON Web Key.
    Pattern(
        "jwk_private_key", '"d" "d\\', r"\"d\\{0,15}\"\s{0,4}:\s{0,4}\\{0,15}\"([\w-]{40,2048})"
    ),
)


class PatternRule:
    """Find the secrets of a pattern."""

    def __init__(self, pattern: Pattern) -> None:
        self.words = tuple(pattern.words.split())
        self._kinds = pattern.kinds.split()
        self._folded = pattern.folded
        self._pattern = pattern.pattern
        self._check = _CHECKS[pattern.check]

    def may_match(self, text: str, low: str, start: int, end: int) -> bool:
        return compiled_ascii(self._pattern).match(low if self._folded else text, start) is not None

    def find(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        subject = text.low if self._folded else text.flat
        position = reach = 0
        for at, _ in hits:
            match = compiled_ascii(self._pattern).match(subject, at) if at >= position else None
            if match is None:
                continue
            position = match.end()
            start, end = match.span(match.lastindex or 0)
            # What stands right before a placeholder was no secret when there was more of it.
            if text.flat.startswith(MARK, end) or not self._check(text.flat[start:end]):
                continue
            yield *text.span(start, end), self._kinds[(match.lastindex or 1) - 1], ""
            for first, last, kind in beside(text, end) if end > reach else ():
                reach = last
                yield *text.span(first, last), kind, ""


def pattern_rules() -> list[PatternRule]:
    """Make the rules of all patterns."""
    return [PatternRule(pattern) for pattern in PATTERNS]
