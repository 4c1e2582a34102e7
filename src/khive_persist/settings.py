"""`config.toml`: what a person may set, each with its default."""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

from khive_persist.errors import InvalidSettingsError

ModelEvents = Literal["off", "without_conversation", "full"]
Compression = Literal["auto", "zstd", "none"]
OutcomesRule = Literal["none", "failures"]


class Settings(NamedTuple):
    """Every setting. The names in config.toml are these, with a dot for the first underscore."""

    capture_max_payload_bytes: int = 4_194_304
    capture_linger_seconds: float = 5.0
    redaction_enabled: bool = True
    redaction_allow: tuple[str, ...] = ()
    gemini_model_events: ModelEvents = "off"
    store_busy_timeout_seconds: float = 30.0
    mirror_off: tuple[str, ...] = ()
    mirror_pack_after_days: float = 1.0
    retention_rules: tuple[str, ...] = ()
    cost_prices: tuple[str, ...] = ()
    sync_at_stop: bool = True
    outcomes_rule: OutcomesRule = "none"
    outcomes_failure_rate: float = 0.2
    backup_destination: str = ""
    backup_compression: Compression = "auto"
    backup_recipients: tuple[str, ...] = ()
    backup_every_hours: float = 0.0
    backup_full_every_days: float = 7.0
    backup_keep_count: int = 10
    backup_keep_days: float = 30.0
    server_address: str = "127.0.0.1"
    server_port: int = 8423
    server_allowed_hosts: tuple[str, ...] = ()
    server_allowed_origins: tuple[str, ...] = ()
    server_require_token: bool = True
    server_max_body_bytes: int = 8_388_608


_MINIMUM: Final[dict[str, float]] = {
    "capture_max_payload_bytes": 4_096,
    "capture_linger_seconds": 0,
    "store_busy_timeout_seconds": 0.1,
    "mirror_pack_after_days": 0,
    "outcomes_failure_rate": 0,
    "backup_every_hours": 0,
    "backup_full_every_days": 0,
    "backup_keep_count": 0,
    "backup_keep_days": 0,
    "server_port": 0,
    "server_max_body_bytes": 65_536,
}
_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "gemini_model_events": get_args(ModelEvents),
    "outcomes_rule": get_args(OutcomesRule),
    "backup_compression": get_args(Compression),
}


def load(path: Path) -> Settings:
    """The settings of a file; the defaults where there is none.

    Raises:
        InvalidSettingsError: It is no TOML, names an unknown setting, or gives one a wrong value.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettingsError(f"{path} cannot be read ({error})") from error
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSettingsError(f"{path}: {error}") from error
    given = {}
    for table, entries in tables.items():
        if not isinstance(entries, dict):
            raise InvalidSettingsError(f"{path}: {table} is no table", hint=f"write [{table}]")
        for key, value in entries.items():
            given[f"{table}_{key}"] = _checked(path, table, key, value)
    return Settings(**given)


def _checked(path: Path, table: str, key: str, value: Any) -> Any:
    name = f"{table}_{key}"
    where = f"{path}: {table}.{key}"
    default = Settings._field_defaults.get(name)
    if name not in Settings._fields or "_" in table:
        raise InvalidSettingsError(f"{where} is no setting of this version")
    if words := _WORDS.get(name):
        if value not in words:
            raise InvalidSettingsError(f"{where} is one of " + ", ".join(words))
    elif isinstance(default, tuple):
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise InvalidSettingsError(f"{where} is a list of strings")
        for item in value if name == "redaction_allow" else ():
            try:
                re.compile(item)
            except re.error as error:
                raise InvalidSettingsError(f"{where}: {item!r}: {error}") from error
        return tuple(value)
    elif isinstance(default, str):
        if not isinstance(value, str):
            raise InvalidSettingsError(f"{where} is a string")
    elif isinstance(default, bool):
        if not isinstance(value, bool):
            raise InvalidSettingsError(f"{where} is true or false")
    else:
        whole = isinstance(default, int)
        number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not number or not _MINIMUM[name] <= value <= sys.float_info.max:
            kind = "a whole number" if whole else "a number"
            raise InvalidSettingsError(f"{where} is {kind} from {_MINIMUM[name]:g}")
        return value if whole else float(value)
    return value
