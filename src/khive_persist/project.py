"""The layout of one `.khive` directory.

Nothing here follows a symbolic link in place of `.khive`, a folder or a file of it: a link could
lead what is written out of `.khive`.
"""

import os
import stat
from pathlib import Path
from typing import Final

from khive_persist.errors import ProjectError
from khive_persist.files import PRIVATE_FILE as PRIVATE_FILE
from khive_persist.files import make_directory as make_directory
from khive_persist.files import sync_directory as sync_directory
from khive_persist.files import sync_file as sync_file
from khive_persist.files import write_private as write_private
from khive_persist.trust import marks

KHIVE: Final = ".khive"
SEARCH_INDEX: Final = "search.db"
TEAM_LEDGER: Final = "team.db"
# They have the form of a database, and no records.
TEAM_COPIES: Final = "team-copies"
RESERVED_DATABASES: Final = frozenset({SEARCH_INDEX, TEAM_LEDGER})
GITIGNORE: Final = b"*\n!.gitignore\n!config.toml\n"


class Project:
    """The `.khive` of one directory.

    Attributes:
        root: The directory that holds `.khive`, absolute.
        khive: The path of `.khive` itself.
        spool: The folder of events that are accepted and not yet in a database.
        sessions: The folder of the mirror: every record a second time, as JSON.
        backups: The folder of backups, unless the settings name another one.
        quarantine: The folder of damaged files, which are never deleted.
        search_index: The index of the full-text search, which can be made anew from the databases.
        team_ledger: The ledger of what has left for a team.
        team_copies: The folder of copies of the projects that a team's server shows.
        config: The file of the settings that a person edits.
        local_config: The file of the settings of one person, which git ignores.
        server_url: The file that has the URL of its server, while one runs.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(os.path.abspath(root))
        self.khive = self.root / KHIVE
        self.spool = self.khive / "spool"
        self.sessions = self.khive / "sessions"
        self.backups = self.khive / "backups"
        self.quarantine = self.khive / "quarantine"
        self.search_index = self.khive / SEARCH_INDEX
        self.team_ledger = self.khive / TEAM_LEDGER
        self.team_copies = self.khive / TEAM_COPIES
        self.config = self.khive / "config.toml"
        self.local_config = self.khive / "config.local.toml"
        self.server_url = self.khive / "server.url"

    def __repr__(self) -> str:
        return f"Project({str(self.root)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Project) and other.root == self.root

    def __hash__(self) -> int:
        return hash(self.root)

    def database(self, file: str) -> Path:
        """Return the path of the database of that file name."""
        return self.khive / file

    def exists(self) -> bool:
        """Return whether `.khive` is there, as a directory of its own and not a link."""
        try:
            return stat.S_ISDIR(os.lstat(self.khive).st_mode)
        except OSError:
            return False

    def make(self) -> None:
        """Make `.khive` where it is missing, and mark a new one as this user's.

        It is 0700 on return, whatever the umask.

        Raises:
            ProjectError: It cannot be made, or is a link or a file.
        """
        marks.make_khive(self.khive)
        ignore = self.khive / ".gitignore"
        try:
            if not os.path.lexists(ignore):
                write_private(ignore, GITIGNORE)
        except OSError as error:
            raise ProjectError(f"{ignore} cannot be made ({error.strerror})") from error
