"""Error texts without what changes from run to run: numbers, paths, addresses, times, ids."""

import re
from typing import Final

_FEWEST_WORDS: Final = 2
_LEAST_SHARE: Final = 0.7
# Of a text, as of an error that somebody pastes: the first lines, and as many of the last.
_MOST_LINES: Final = 200
_LINE_CHARACTERS: Final = 1_000
_MOST_CHARACTERS: Final = 100_000

_NUMBER: Final = "#"
_PATH: Final = "/"
# In this order: an id holds numbers, a path holds both.
_CHANGING: Final = (
    (re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)"), ""),
    (re.compile(r"(?:https?|file)://[^\s'\"`)>\]]+", re.IGNORECASE), _PATH),
    (re.compile(r"(?<![\w.])(?:~|\.{1,2})?(?:/[\w.@+~%=-]+)+/?(?::\d+)*"), _PATH),
    (re.compile(r"(?<![\w.])[A-Za-z]:\\[^\s'\":*?<>|]+(?::\d+)*"), _PATH),
    (re.compile(r"(?<![\w/])(?:[\w.@+-]+/)+[\w.@+-]+(?::\d+)*"), _PATH),
    (re.compile(r"\b[\w-]+\.[A-Za-z]{1,5}(?=:\d+)(?::\d+)+"), _PATH),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), _NUMBER),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), _NUMBER),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b", re.IGNORECASE), _NUMBER),
    (re.compile(r"\b\d+(?:[.,:_-]\d+)*(?:ns|us|ms|s|m|h|kb|mb|gb|b|%)?\b", re.IGNORECASE), _NUMBER),
)
_WORDS: Final = re.compile(r"[^\W_]+|[#/]")
# A line that names the error, and not where it was.
_TELLING: Final = re.compile(
    r"\b\w*(?:error|exception|panic|fault)\b|\b(?:fatal|failed|failure|cannot|could not|unable|"
    r"not found|no such|denied|refused|undefined|unexpected|invalid|missing|unknown|abort\w*)\b",
    re.IGNORECASE,
)


def normalised(text: str) -> str:
    """Return a line of an error's text without what changes from run to run."""
    for pattern, replacement in _CHANGING:
        text = pattern.sub(replacement, text)
    return " ".join(_WORDS.findall(text.casefold()))


def telling_lines(text: str) -> list[str]:
    """Return the normalised lines that name an error, each once; all lines where none does.

    Lines of fewer than two words name nothing, unless there is no other.
    """
    if len(text) > _MOST_CHARACTERS:
        text = f"{text[: _MOST_CHARACTERS // 2]}\n{text[-_MOST_CHARACTERS // 2 :]}"
    lines = [line[:_LINE_CHARACTERS] for line in text.splitlines() if line.strip()]
    if len(lines) > 2 * _MOST_LINES:
        lines = lines[:_MOST_LINES] + lines[-_MOST_LINES:]
    telling = [line for line in lines if _TELLING.search(line)] or lines
    forms = [form for form in map(normalised, telling) if form]
    several = [form for form in forms if len(words_of(form)) >= _FEWEST_WORDS]
    return [*dict.fromkeys(several or forms)]


def words_of(form: str) -> frozenset[str]:
    """Return the words of a normalised text, without what stands for numbers and paths."""
    return frozenset(word for word in form.split() if word not in (_NUMBER, _PATH))


class Signature:
    """An error that is looked for, prepared to be compared with many texts.

    Attributes:
        lines: The normalised lines that name it.
    """

    def __init__(self, text: str) -> None:
        self.lines = telling_lines(text)
        self._words = [words_of(line) for line in self.lines]

    def likeness(self, text: str) -> float:
        """Return how far a text has the error: 1 where it has it, 0 where it has not.

        1: a line of the one that names the error has that of the other. Below that it is the share
        that the words of the most alike lines have in common, where it is at least 0.7.
        """
        best = 0.0
        for form in telling_lines(text):
            for line, words in zip(self.lines, self._words, strict=True):
                if _holds(line, form) or _holds(form, line):
                    return 1.0
                best = max(best, _share(words, words_of(form)))
        return best if best >= _LEAST_SHARE else 0.0

    @property
    def words(self) -> list[str]:
        """The words of its lines, without what stands for numbers and paths, the longest first."""
        every = {word for words in self._words for word in words}
        return sorted(every, key=lambda word: (-len(word), word))


def _holds(text: str, part: str) -> bool:
    """Tell whether a line has all of another one that is long enough to name an error."""
    if text == part:
        return True
    return len(words_of(part)) > _FEWEST_WORDS and f" {part} " in f" {text} "


def _share(words: frozenset[str], others: frozenset[str]) -> float:
    # Of one word alone any line that has it would be alike.
    if len(words) <= _FEWEST_WORDS or len(others) <= _FEWEST_WORDS:
        return 0.0
    return len(words & others) / len(words | others)
