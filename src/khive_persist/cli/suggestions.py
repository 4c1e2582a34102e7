"""Name what a mistyped word may have meant."""

from collections.abc import Iterable, Sequence

import click


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return ` Did you mean …?` with the words that are like this one; an empty text for none."""
    # Few mistype, and importing it takes time.
    from difflib import get_close_matches

    close = get_close_matches(word.lower(), [*words], n=3)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def suggestion(error: click.UsageError, arguments: Sequence[str]) -> str:
    """Return the sentence that names the command or value that was meant, or an empty text.

    Args:
        error: The error that is told.
        arguments: The words of the command line.
    """
    message = error.format_message()
    words: Sequence[str] = ()
    if isinstance(error, click.BadParameter):
        if error.param is not None and isinstance(error.param.type, click.Choice):
            words = [*map(str, error.param.type.choices)]
    elif error.ctx is not None and isinstance(error.ctx.command, click.Group):
        words = error.ctx.command.list_commands(error.ctx)
    if not words or "Did you mean" in message:
        return ""
    values = [argument.rpartition("=")[2] for argument in arguments]
    # Both click's messages and this one's quote the word that was wrong.
    quoted = (value for value in values if repr(value) in message and not value.startswith("-"))
    word = next(quoted, None)
    return "" if word is None else did_you_mean(word, words)
