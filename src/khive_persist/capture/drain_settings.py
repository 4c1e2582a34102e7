"""The settings that a drain goes by."""

from khive_persist import settings as configuration
from khive_persist.errors import InvalidSettingsError
from khive_persist.project import Project
from khive_persist.settings import Settings


def usable_settings(project: Project) -> Settings:
    """Return the settings of a project; the defaults where its file is wrong.

    A mistake in config.toml must not stop the recording. The defaults are the careful ones, with
    redaction on; `doctor` names the mistake.
    """
    try:
        return configuration.load(project.config)
    except InvalidSettingsError:
        return Settings()
