"""How many examples a test tries: few by default, all with `--hypothesis-profile=thorough`."""

from typing import Final

from hypothesis import settings

QUICK: Final = "quick"
THOROUGH: Final = "thorough"


def register() -> None:
    """Make the profiles known, and the quick one the default."""
    # How long an example takes tells what else the machine does.
    settings.register_profile(QUICK, deadline=None, max_examples=15)
    settings.register_profile(THOROUGH, deadline=None, max_examples=100)
    settings.load_profile(QUICK)


def examples(thorough: int) -> int:
    """The number of examples of a test that tries so many where it is thorough."""
    return thorough * settings().max_examples // 100
