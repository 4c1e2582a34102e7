"""Replace secrets with placeholders that tell kinds and repetitions apart, and nothing else."""

from collections import Counter
from collections.abc import Iterator, Sequence

from khive_persist.errors import InvalidSettingsError
from khive_persist.redaction.escapes import MARK, Unescaped, unescape
from khive_persist.redaction.own_patterns import OwnPatterns
from khive_persist.redaction.places import is_kept
from khive_persist.redaction.rule import Candidate
from khive_persist.redaction.search import candidates, may_match
from khive_persist.redaction.tokens import FORMS

_MAX_KEY_BYTES = 64
_SHORT_CHARACTERS = 200
_UTF_16 = [(skip, codec) for skip in (0, 1) for codec in ("utf-16-le", "utf-16-be")]


class Redactor:
    """Find secrets in text of any kind, and replace each with `[REDACTED:<kind>:<tag>]`.

    The tag is four hex digits of a keyed digest of the secret (BLAKE2b, RFC 7693): the same secret
    gets the same placeholder as long as the key is the same, and without the key it cannot be told
    whether a guess is right. Redacting text again changes nothing.

    docs/redaction.md lists what is found, at any level of JSON escaping, and what is not: a secret
    in prose without a name; one in base64, percent or other encodings than JSON's; a named value
    that is longer than 2,048 characters; a part of an id or a path. Time is linear in the length of
    the text; a person's own expressions have a limit besides.

    A redactor has no state but its settings, and the last short text that had no secret: any number
    of threads may share one.
    """

    __slots__ = ("_clean", "_key", "_own")

    def __init__(self, key: bytes, allow: Sequence[str] = (), deny: Sequence[str] = ()) -> None:
        """Take the settings; our patterns are compiled when a text first needs them.

        Args:
            key: A key of 1 to 64 bytes, private to the installation.
            allow: Regular expressions; a secret that one of them fully matches stays.
            deny: Regular expressions; a match of one of them is a secret. Both have a time
                limit: see `own_patterns`.

        Raises:
            InvalidSettingsError: The key has a wrong length, or an expression is not valid.
        """
        if not 0 < len(key) <= _MAX_KEY_BYTES:
            raise InvalidSettingsError(
                f"the redaction key has {len(key)} bytes", hint=f"give it 1 to {_MAX_KEY_BYTES}"
            )
        self._key = key
        self._clean: tuple[str, bool] | None = None
        self._own = OwnPatterns(allow, deny)

    def redact_json(self, text: str) -> tuple[str, dict[str, int]]:
        """Redact keys and string values of a valid JSON document.

        The result is valid JSON. All but the secrets stays byte for byte: the spelling of numbers,
        the order of keys, duplicate keys, white space and escapes.

        Returns:
            The text, and the number of placeholders of each kind in it; without a secret, the same
            object and an empty dict.
        """
        # No secret has a quote of its own level in it, so what is right for text is so for JSON.
        return self._redact(text, is_json=True)

    def redact_text(self, text: str) -> tuple[str, dict[str, int]]:
        """Redact any text, and return what `redact_json` returns."""
        return self._redact(text, is_json=False)

    def _redact(self, text: str, *, is_json: bool) -> tuple[str, dict[str, int]]:
        # The metadata of a class's records says the same in each of them.
        if (text, is_json) == self._clean:
            return text, {}
        counts: dict[str, int] = {}
        pieces: list[str] = []
        position = 0
        for start, end, kind, secret in self._find(text, counts, is_json=is_json):
            tag = self._tag(secret or unescape(text[start:end]))
            pieces += text[position:start], f"[REDACTED:{kind}:{tag}]"
            counts[kind] = counts.get(kind, 0) + 1
            position = end
        if not counts and len(text) <= _SHORT_CHARACTERS:
            self._clean = text, is_json
        return "".join(pieces) + text[position:] if pieces else text, counts

    def redact_bytes(self, raw: bytes) -> tuple[bytes, dict[str, int]]:
        """Redact bytes of an unknown encoding: UTF-16, or any that has ASCII in it, as UTF-8 has.

        Bytes that are not a part of a secret stay as they are, valid in their encoding or not.

        Returns:
            The bytes, and the number of placeholders of each kind in them; without a secret, the
            same object and an empty dict.
        """
        counts: Counter[str] = Counter()
        # UTF-16 of either byte order, which in a part of a file may begin at an odd byte.
        for skip, codec in _UTF_16 if b"\0" in raw else ():
            end = len(raw) - (len(raw) - skip) % 2
            text, part_counts = self.redact_text(raw[skip:end].decode(codec, "surrogatepass"))
            if part_counts:
                raw = raw[:skip] + text.encode(codec, "surrogatepass") + raw[end:]
                counts.update(part_counts)
        text, part_counts = self.redact_text(raw.decode("utf-8", "surrogateescape"))
        if part_counts:
            raw = text.encode("utf-8", "surrogateescape")
            counts.update(part_counts)
        return raw, counts

    def _find(self, raw: str, counts: dict[str, int], *, is_json: bool) -> list[Candidate]:
        """Return the secrets in order of their start; none overlaps another."""
        unsorted = list(self._candidates(raw, counts)) if may_match(raw) else []
        if self._own.has_deny:
            unsorted += [(*denied, "") for denied in self._own.denied(raw, is_json=is_json)]
        merged: list[Candidate] = []
        # Those that begin together are in their order: the most telling kind first.
        for candidate in sorted(unsorted, key=lambda candidate: candidate[0]):
            if not merged or candidate[0] >= merged[-1][1]:
                merged.append(candidate)
            elif candidate[1] > merged[-1][1]:
                merged[-1] = (merged[-1][0], candidate[1], merged[-1][2], "")
        return merged

    def _candidates(self, raw: str, counts: dict[str, int]) -> Iterator[Candidate]:
        for candidate in candidates(Unescaped(raw)):
            start, end, kind, part_of = candidate
            secret = part_of or unescape(raw[start:end])
            if (
                MARK not in secret
                and not is_kept(raw, start, by_form=kind in FORMS)
                and not self._own.allows(secret, counts)
            ):
                yield candidate

    def _tag(self, secret: str) -> str:
        # Importing it takes longer than redacting a thousand events without secrets.
        from hashlib import blake2b

        # In UTF-16 an astral character is the same bytes, whether or not it was two escapes.
        return blake2b(secret.encode("utf-16-le", "surrogatepass"), key=self._key).hexdigest()[:4]
