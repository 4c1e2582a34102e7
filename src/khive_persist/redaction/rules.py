r"""The table of secret formats: what a vendor's token begins with, and what follows.

Formats are those that the vendors document, or that the rules of GitHub secret scanning and
gitleaks give. Lengths are lower bounds somewhat below them, so that a cut token is still found.

Every pattern begins with a literal, so that `re` can skip to it: a clean text of 2 KB costs each
pattern under a microsecond. A pattern must also be found in text that is still escaped, where
`\nghp_…` puts a letter before a token: `_PAST_ESCAPE`. None wants a boundary after a secret, as
replacing what follows could then make a new one. Quantifiers are possessive or bounded, so that no
text makes a search slower than linear.
"""

import re
from collections.abc import Iterator
from functools import cache


class Anchor:
    """Characters that a pattern matches at, and nowhere else but at its other anchors.

    Attributes:
        word: The characters.
        pattern: May be tried in text that is still escaped, but for what `escapes.reveal` undoes.
        shift: From the word's beginning to the match's.
        folded: Whether the pattern is for text in lower case.
    """

    __slots__ = ("folded", "pattern", "shift", "word")

    def __init__(self, word: str, pattern: re.Pattern[str], shift: int, *, folded: bool) -> None:
        self.word = word
        self.pattern = pattern
        self.shift = shift
        self.folded = folded


_NAME = "A-Za-z0-9"
_WORD = "A-Za-z0-9_-"
_JWT_TAIL = r"[\w-]{8,}+(?:\.eyJ[\w-]{8,}+(?:\.[\w-]*+)?|(?:\.[\w-]*+){4})"
_PAST_ESCAPE = r"(?<=\\[bfnrt]{0})|(?<=\\u[0-9a-fA-F]{{4}}{0})"

# Kind, what a token begins with, what follows, and what may not stand before it ("": anything may,
# where the beginning is telling enough).
TOKENS = (
    ("anthropic_api_key", "sk-ant-", r"[\w-]{20,}", ""),
    ("openai_api_key", "sk-proj- sk-svcacct- sk-admin-", r"[\w-]{20,}", ""),
    ("openai_api_key", "sk-", r"[A-Za-z0-9]{32,}", _NAME),
    ("openrouter_api_key", "sk-or-", r"[\w-]{20,}", _NAME),
    ("groq_api_key", "gsk_", r"[A-Za-z0-9]{32,}", _NAME),
    ("hugging_face_token", "hf_", r"[A-Za-z0-9]{30,}", _NAME),
    ("xai_api_key", "xai-", r"[A-Za-z0-9]{40,}", _NAME),
    ("perplexity_api_key", "pplx-", r"[A-Za-z0-9]{32,}", _NAME),
    ("replicate_token", "r8_", r"[A-Za-z0-9]{30,}", _NAME),
    ("tavily_api_key", "tvly-", r"(?:dev-|prod-)?[A-Za-z0-9]{28,}", _NAME),
    ("langsmith_api_key", "lsv2_pt_ lsv2_sk_", r"[0-9a-f]{32}_[0-9a-f]{10}", ""),
    ("aws_access_key", "AKIA ASIA ABIA ACCA", r"[A-Z0-9]{16,}", _NAME),
    ("gcp_api_key", "AIza", r"[\w-]{35,}", _NAME),
    ("gcp_oauth_token", "ya29.", r"[\w.-]{20,}", _NAME),
    ("gcp_client_secret", "GOCSPX-", r"[\w-]{20,}", ""),
    ("github_token", "ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9]{30,}", ""),
    ("github_token", "github_pat_", r"\w{30,}", ""),
    (
        "gitlab_token",
        "glpat- gldt- glrt- glrtr- glcbt- glptt- glft- glimt- glagent- glsoat- glffct- gloas-",
        r"[\w-]{20,}(?:\.[0-9a-z]{2}\.[0-9a-z]{9})?",
        _NAME,
    ),
    ("bitbucket_token", "ATBB", r"[A-Za-z0-9]{24,}", _NAME),
    ("atlassian_token", "ATATT3 ATCTT3", r"[\w=-]{50,}", _NAME),
    ("npm_token", "npm_", r"[A-Za-z0-9]{30,}", _NAME),
    ("pypi_token", "pypi-", r"AgE[\w-]{40,}", ""),
    ("rubygems_token", "rubygems_", r"[0-9a-f]{40,}", ""),
    ("docker_token", "dckr_pat_ dckr_oat_", r"[\w-]{20,}", ""),
    ("slack_token", "xox", r"[a-z](?:\.xox[a-z])?-(?=[A-Za-z-]{0,64}[0-9])[\w-]{10,}", _NAME),
    ("slack_token", "xapp-", r"[0-9]-[\w-]{20,}", _NAME),
    ("stripe_key", "sk_live_ rk_live_ sk_test_ rk_test_", r"[A-Za-z0-9]{16,}", _NAME),
    ("stripe_webhook_secret", "whsec_", r"[A-Za-z0-9+/]{24,}={0,2}", ""),
    ("sendgrid_api_key", "SG.", r"[\w-]{16,}\.[\w-]{16,}", _NAME),
    ("twilio_api_key", "SK", r"[0-9a-f]{32,}", _NAME),
    ("mailgun_api_key", "key-", r"[0-9a-f]{32,}", _WORD),
    ("digitalocean_token", "dop_v1_ doo_v1_ dor_v1_", r"[0-9a-f]{40,}", ""),
    ("shopify_token", "shpat_ shpca_ shppa_ shpss_", r"[0-9a-fA-F]{28,}", ""),
    ("databricks_token", "dapi", r"[0-9a-f]{32,}(?:-[0-9])?", _NAME),
    ("linear_api_key", "lin_api_ lin_oauth_", r"[A-Za-z0-9]{32,}", ""),
    ("notion_token", "ntn_ secret_", r"[A-Za-z0-9]{40,}", _NAME),
    ("vault_token", "hvs. hvb. hvr.", r"[\w-]{24,}", _NAME),
    ("supabase_token", "sbp_ sb_secret_", r"[\w-]{30,}", _NAME),
    ("new_relic_key", "NRAK-", r"[A-Z0-9]{20,}", _NAME),
    ("grafana_token", "glc_ glsa_", r"[A-Za-z0-9_+/=]{32,}", _NAME),
    ("postman_api_key", "PMAK-", r"[0-9a-f]{24}-[0-9a-f]{30,}", _NAME),
    ("age_secret_key", "AGE-SECRET-KEY-", r"1[A-Z0-9]{50,}", ""),
    ("sentry_token", "sntrys_ sntryu_", r"[A-Za-z0-9+/=_-]{40,}", ""),
    ("figma_token", "figd_", r"[\w-]{36,}", _NAME),
    # Our own, of `serve`.
    ("khive_token", "khive_", r"[\w-]{43}(?![\w-])", _NAME),
    ("planetscale_token", "pscale_tkn_ pscale_pw_ pscale_oauth_", r"[\w.-]{30,}", ""),
)

# Kinds, what the pattern begins with, whether to search in lower case, a pattern with the secret of
# each kind as a group, and which of the checks of `redactor` the secret must pass ("": none).
PATTERNS = (
    (
        "jwt",
        "eyJ",
        False,
        rf"(eyJ(?:(?<![\w-]eyJ)|{_PAST_ESCAPE.format('eyJ')}){_JWT_TAIL})",
        "",
    ),
    (
        "slack_webhook discord_webhook",
        "hooks",
        False,
        r"hooks(?:\.slack\.com/(?:services|workflows|triggers)/([\w/-]{16,})"
        r"|(?<=/webhooks)/[0-9]{16,20}/([\w-]{40,}))",
        "",
    ),
    ("azure_sas_signature", "sig=", False, r"sig=(?<=[?&;]sig=)([A-Za-z0-9%+/=_-]{30,})", ""),
    # A URL is not followed by a digest, as in `docker://image:tag@sha256:…`.
    (
        "url_password telegram_bot_token",
        ":// :AA",
        False,
        r":(?://[^\s/:@\"'\[]{0,256}:([^\s/\"']{1,512})@(?!sha[0-9])|(?<=[0-9]{8}:)(AA[\w-]{32,}))",
        "template",
    ),
    (
        # A quoted name wants a quoted value: a JSON number must not be taken for one.
        "authorization",
        "authorization",
        True,
        r"authorization(?:[\\\"'`\])]{1,10}(?:[ \t]|\\++t){0,8}[:=,][ \t]{0,8}\\{0,8}[\"'`]"
        r"|(?:[ \t]|\\++t){0,8}[:=](?:[ \t]|\\++t){0,8}[\\\"'`]{0,8})"
        r"(?:(?:bearer|basic|token|bot|digest|negotiate|key|api-?key)[ \t]{1,8})?"
        r"(?=([^\s\"'`,;:}\]][^\s\"'`,;]{7,4096}))",
        "credentials",
    ),
    (
        "bearer_token",
        "bearer",
        True,
        r"bearer(?:[ \t:=]|\\++t){1,8}[\\\"'`]{0,8}(?=([a-z0-9._~+/=-]{16,4096}))",
        "credentials",
    ),
    (
        "netrc_password",
        "login",
        True,
        r"login(?:\\++[nrt]|\s){1,8}\S{1,128}?(?:\\++[nrt]|\s){1,8}password(?:\\++[nrt]|\s){1,8}"
        r"(?=([^\s\"']{8,256}))",
        "secret",
    ),
)


def place(letter: str, head: str) -> int:
    """Where a search skips to: the last one of this letter if it is punctuation, else the first."""
    return head.index(letter) if letter.isalnum() else head.rindex(letter)


def neighbours(letter: str, heads: list[str]) -> str:
    """A pattern for the letter that is about to be one of a head: it is rare that more is tried."""
    places = [place(letter, head) for head in heads]
    width = min(2, *places)
    before = {re.escape(head[at - width : at]) for head, at in zip(heads, places, strict=True)}
    after = {head[at + 1 : at + 2] for head, at in zip(heads, places, strict=True)}
    letter = re.escape(letter)
    ahead = "" if "" in after else f"(?=[{''.join(sorted(after))}])"
    return f"{letter}{ahead}" + (f"(?<=(?:{'|'.join(sorted(before))}){letter})" if width else "")


def anchored(letter: str, heads: list[str], forbidden: str = "") -> str:
    """A pattern for what is left of any of these heads after a letter of theirs; it looks back.

    Args:
        letter: A character that each head has; a rare one is fast.
        heads: Literals.
        forbidden: The inside of a character class: what may not stand before a head.
    """
    rest = []
    for head in heads:
        at = place(letter, head)
        before, after = re.escape(head[: at + 1]), re.escape(head[at + 1 :])
        seen = f"(?<={before})" if at else ""
        left = f"(?:(?<![{forbidden}]{before})|{_PAST_ESCAPE.format(before)})" if forbidden else ""
        rest.append(f"{seen}{left}{after}")
    return f"(?:{'|'.join(rest)})"


@cache
def _token_patterns() -> list[tuple[str, re.Pattern[str], list[tuple[str, list[str]]]]]:
    """For each letter to skip to: one pattern, and the kind and heads of each of its groups."""
    alternatives: dict[str, list[str]] = {}
    meanings: dict[str, list[tuple[str, list[str]]]] = {}
    for kind, words, tail, forbidden in TOKENS:
        heads = words.split()
        letter = words[0] if words[-1].isalnum() else words[-1]
        alternatives.setdefault(letter, []).append(f"{anchored(letter, heads, forbidden)}({tail})")
        meanings.setdefault(letter, []).append((kind, heads))
    patterns = []
    for first, choices in alternatives.items():
        start = neighbours(first, [head for _, heads in meanings[first] for head in heads])
        ahead = "" if first.isalnum() else r"(?=[\w+/-]{10})"
        pattern = re.compile(f"{start}{ahead}(?:{'|'.join(choices)})", re.ASCII)
        patterns.append((first, pattern, meanings[first]))
    return patterns


@cache
def _bounded() -> re.Pattern[str]:
    """The tokens that want a boundary before them, without it."""
    tokens = (
        f"(?:{'|'.join(map(re.escape, heads.split()))}){tail}"
        for _, heads, tail, forbidden in TOKENS
        if forbidden
    )
    return re.compile("|".join(f"({token})" for token in (*tokens, rf"eyJ{_JWT_TAIL}")), re.ASCII)


def _beside(flat: str, at: int) -> tuple[int, int, str] | None:
    """A token that begins where a secret ends: when that is replaced, there is a boundary."""
    match = _bounded().match(flat, at)
    if match is None:
        return None
    kinds = [kind for kind, _, _, forbidden in TOKENS if forbidden] + ["jwt"]
    return at, match.end(), kinds[(match.lastindex or 0) - 1]


@cache
def _patterns() -> list[tuple[list[str], bool, re.Pattern[str], str]]:
    return [
        (kinds.split(), folded, re.compile(pattern, re.ASCII), check)
        for kinds, _, folded, pattern, check in PATTERNS
    ]


def anchors() -> Iterator[Anchor]:
    """Those of every pattern."""
    for letter, pattern, meanings in _token_patterns():
        for head in (head for _, heads in meanings for head in heads):
            yield Anchor(head, pattern, place(letter, head), folded=False)
    for (_, words, folded, _, _), (_, _, pattern, _) in zip(PATTERNS, _patterns(), strict=True):
        for word in words.split():
            yield Anchor(word, pattern, 0, folded=folded)


def matches(flat: str, low: str) -> Iterator[tuple[int, int, str, str]]:
    """Start, end, kind and check of what the rules match in unescaped text."""
    for start, end, kind, check in _matches(flat, low):
        yield start, end, kind, check
        while beside := _beside(flat, end):
            yield *beside, ""
            end = beside[1]


def _matches(flat: str, low: str) -> Iterator[tuple[int, int, str, str]]:
    for _, pattern, meanings in _token_patterns():
        for match in pattern.finditer(flat):
            group = match.lastindex or 0
            kind, heads = meanings[group - 1]
            start, end = match.span(group)
            head = next(head for head in heads if flat.startswith(head, start - len(head)))
            yield start - len(head), end, kind, ""
    for kinds, folded, pattern, check in _patterns():
        for match in pattern.finditer(low if folded else flat):
            group = match.lastindex or 0
            yield *match.span(group), kinds[group - 1], check
