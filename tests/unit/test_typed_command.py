"""What a user typed to a client itself, as it stands in a story."""

import pytest

from khive_persist.sessions.timeline.labels import typed_command


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("<command-message>my</command-message>\n<command-name>/my</command-name>\n"
         "<command-args>from tui</command-args>", "/my from tui"),
        ("<command-name>/exit</command-name>\n   <command-args></command-args>", "/exit"),
        ("<bash-input>ls  -l</bash-input>", "!ls -l"),
        ("<user_shell_command>\n<command>\npwd\n</command>\n<result>\n/x", "!pwd"),
        ("<command-name>unfinished", "<command-name>unfinished"),
    ],
)  # fmt: skip
def test_a_command_as_it_was_typed(text: str, wanted: str) -> None:
    assert typed_command(text) == wanted
