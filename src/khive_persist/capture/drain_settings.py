"""The settings that a drain goes by."""

from khive_persist import settings as configuration
from khive_persist.errors import InvalidSettingsError
from khive_persist.project import Place
from khive_persist.settings import Settings


def usable_settings(place: Place) -> Settings:
    """The settings of a place; the defaults where its file is wrong.

    A mistake in config.toml must not stop the recording. The defaults are the careful ones, with
    redaction on; `doctor` names the mistake.
    """
    try:
        return configuration.load(place.config)
    except InvalidSettingsError:
        return Settings()
