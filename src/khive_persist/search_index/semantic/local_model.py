"""Vectors of a small model on this machine: the mean of its tokens' vectors, by numpy.

The model is WordLlama's `l2_supercat` with 256 dimensions (MIT licence), whose files lie in the
wheel of wordllama: https://github.com/dleemiller/WordLlama. Its own loader is not used: it looks
for the tokenizer where the wheel does not have it, and downloads one then.
"""

from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from khive_persist.errors import MissingExtraError, extra
from khive_persist.search_index.semantic.source import MOST_CHARACTERS

if TYPE_CHECKING:
    from khive_persist.search_index.semantic.source import Matrix

_EXTRA: Final = "semantic"
_USE: Final = "search by meaning"
with extra(_EXTRA, _USE):
    import numpy as np
    from safetensors import safe_open
    from tokenizers import Tokenizer

_WEIGHTS: Final = "weights/l2_supercat_256.safetensors"
_TOKENIZER: Final = "tokenizers/l2_supercat_tokenizer_config.json"


class LocalModel:
    """The model of a folder, read into memory: some 16 MB."""

    def __init__(self, folder: Path, model: str) -> None:
        self.model = model
        self._tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
        with safe_open(folder / _WEIGHTS, framework="np") as weights:
            self._weights = weights.get_tensor("embedding.weight")

    def embed(self, texts: list[str], seconds: float) -> "Matrix":
        """Return the vectors of texts, as `Source.embed` says. It takes 2 ms for each."""
        rows = np.zeros((len(texts), self._weights.shape[1]), np.float32)
        for row, text in zip(rows, texts, strict=True):
            # One by one: a batch is read by threads, which a process that forks warns of.
            encoding = self._tokenizer.encode(text[:MOST_CHARACTERS], add_special_tokens=False)
            if encoding.ids:
                mean = self._weights[encoding.ids].mean(axis=0, dtype=np.float32)
                row += mean / (np.linalg.norm(mean) or 1.0)
        return rows


@cache
def local_model() -> LocalModel:
    """Return the model that lies in the wheel of wordllama; a process reads it once.

    Raises:
        MissingExtraError: wordllama is not installed, or its wheel has the model no more.
    """
    spec = find_spec("wordllama")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    if folder is None or not all((folder / name).is_file() for name in (_WEIGHTS, _TOKENIZER)):
        raise MissingExtraError(
            f"{_USE} needs wordllama with its model", hint=f"pip install 'khive-persist[{_EXTRA}]'"
        )
    return LocalModel(folder, f"local l2_supercat_256 {version('wordllama')}")
