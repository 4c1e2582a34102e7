"""The sources of vectors: what the settings name, behind one contract."""

import os
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias
from urllib.parse import urlsplit

from khive_persist.errors import InvalidSettingsError
from khive_persist.settings import Settings
from khive_persist.web_requests import is_loopback

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix: TypeAlias = NDArray[np.float32]

# Of a passage so many characters become a vector: some 500 tokens, which each model takes.
MOST_CHARACTERS: Final = 2_000
# Texts of one request.
BATCH: Final = 64


class VectorsUnavailableError(Exception):
    """The source gives no vectors now; the text says why, in a few words."""


class Source(Protocol):
    """A model that makes vectors of texts.

    Attributes:
        model: Its name. Vectors of models with different names are not compared.
    """

    model: str

    def embed(self, texts: list[str], seconds: float) -> "Matrix":
        """Return a row of length 1 for each text, of its first `MOST_CHARACTERS` characters.

        A row of zeros stands for a text that has no vector: it has no word, or is refused.

        Args:
            texts: At most `BATCH`, and at least one.
            seconds: The longest time that it may take.

        Raises:
            VectorsUnavailableError: No text has got one.
        """
        ...


def source_of(settings: Settings) -> Source | None:
    """Return the source that settings name; None where search by meaning is off.

    Raises:
        InvalidSettingsError: The endpoint's address or model is not set, or its key would go over
            a network in clear text.
        MissingExtraError: The extra `semantic` is not installed.
    """
    if settings.search_semantic == "off":
        return None
    if settings.search_semantic == "local":
        from khive_persist.search_index.semantic.local_model import local_model

        return local_model()
    for name in ("semantic_url", "semantic_model"):
        if not getattr(settings, f"search_{name}"):
            raise InvalidSettingsError(
                f"search.{name} is not set",
                hint=f"khive-persist config set search.{name} … --home",
            )
    parts = urlsplit(settings.search_semantic_url)
    variable = settings.search_semantic_key_variable
    if variable and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise InvalidSettingsError(
            f"the key of {variable} would go to {parts.hostname} in clear text",
            hint="write https:// in search.semantic_url",
        )
    from khive_persist.search_index.semantic.endpoint import Endpoint

    return Endpoint(
        settings.search_semantic_url, settings.search_semantic_model, variable, os.environ
    )
