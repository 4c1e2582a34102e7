"""The log of tokens that are not known, by the address of their sender."""

import asyncio
import logging
from typing import Final

from starlette.datastructures import Address

from khive_persist.recorder.logs import LOGGER

_SECONDS: Final = 60.0
_MOST_ADDRESSES: Final = 1_000
_OTHERS: Final = "others"
_log = logging.getLogger(LOGGER)


class RefusedTokenLog:
    """The log of the first refusal of an address, and a minute later of how many followed."""

    def __init__(self) -> None:
        self._following: dict[str, int] = {}

    def note(self, client: Address | None) -> None:
        """Note that a token of this client's was refused."""
        address = client.host if client else ""
        if address not in self._following and len(self._following) >= _MOST_ADDRESSES:
            address = _OTHERS
        if address in self._following:
            self._following[address] += 1
            return
        self._following[address] = 0
        _tell(address, 1)
        asyncio.get_running_loop().call_later(_SECONDS, self._tell_following, address)

    def _tell_following(self, address: str) -> None:
        if times := self._following.pop(address):
            _tell(address, times)


def _tell(address: str, times: int) -> None:
    _log.warning("token_refused", extra={"fields": {"address": address, "times": times}})
