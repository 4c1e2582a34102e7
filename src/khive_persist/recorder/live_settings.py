"""The settings in force: those of config.toml, read anew when it has changed."""

from pathlib import Path

from khive_persist import settings as configuration
from khive_persist.capture.drain import usable_settings
from khive_persist.errors import InvalidSettingsError
from khive_persist.project import Project
from khive_persist.store.redacting import load_redactor


class LiveSettings:
    """The settings of a project and their redactor, replaced together.

    Attributes:
        settings: The settings in force.
        redactor: The redactor of secrets, or None where the settings turn it off.
        problem: The reason why config.toml is not in force, one line, or an empty string.
    """

    def __init__(self, project: Project) -> None:
        """Raises: ProjectError: The redaction key cannot be read or made."""
        self._project = project
        self._seen = self._stamp()
        self.problem = ""
        try:
            self.settings = configuration.load(project.config)
        except InvalidSettingsError as error:
            # As for the hooks: a mistake in the file must not stop the recording.
            self.settings = usable_settings(project)
            self.problem = str(error)
        self.redactor = load_redactor(project, self.settings)

    def has_changed(self) -> bool:
        """Return whether the file has changed since it was last read."""
        return self._stamp() != self._seen

    def reload(self) -> bool:
        """Read the file, and return whether the settings in force changed; a wrong file keeps them.

        Raises:
            InvalidSettingsError: It is wrong; the old settings stay, and `problem` says why.
        """
        self._seen = self._stamp()
        try:
            settings = configuration.load(self._project.config)
        except InvalidSettingsError as error:
            self.problem = str(error)
            raise
        self.problem = ""
        if settings == self.settings:
            return False
        self.redactor = load_redactor(self._project, settings)
        self.settings = settings
        return True

    def _stamp(self) -> list[tuple[int, int, int] | None]:
        return [_stamp_of(path) for path in configuration.sources(self._project.config)]


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
