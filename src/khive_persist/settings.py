"""Load the settings, each with its default, from the files that a person edits.

The home's config.toml holds for all projects, then a project's own, then its `config.local.toml`,
which git ignores. A setting that sends, listens, or records or redacts less (`GUARDED`) counts from
a project's own config.toml only as the person trusted it: git can bring another with every pull.
Those that let records leave for a team (`PERSONAL`) never count from there.
"""

import re
import sys
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

from khive_persist.errors import InvalidSettingsError
from khive_persist.files import read_regular
from khive_persist.trust import git_index, marks, records

ModelEvents = Literal["off", "without_conversation", "full"]
Compression = Literal["auto", "zstd", "none"]
OutcomesRule = Literal["none", "failures"]
TimeStyle = Literal["local", "relative", "iso"]
VectorSource = Literal["off", "local", "endpoint"]
TeamForm = Literal["off", "metrics", "redacted", "all"]


class Settings(NamedTuple):
    """Every setting. The names in config.toml are these, with a dot for the first underscore."""

    capture_max_payload_bytes: int = 4_194_304
    capture_linger_seconds: float = 5.0
    redaction_enabled: bool = True
    redaction_allow: tuple[str, ...] = ()
    redaction_deny: tuple[str, ...] = ()
    gemini_model_events: ModelEvents = "off"
    store_busy_timeout_seconds: float = 30.0
    mirror_off: tuple[str, ...] = ()
    mirror_pack_after_days: float = 1.0
    home_max_bytes: int = 1_073_741_824
    home_keep_days: float = 90.0
    home_store_max_bytes: int = 1_073_741_824
    home_store_keep_days: float = 90.0
    retention_rules: tuple[str, ...] = ()
    cost_prices: tuple[str, ...] = ()
    sync_at_stop: bool = True
    search_enabled: bool = True
    outcomes_rule: OutcomesRule = "none"
    outcomes_failure_rate: float = 0.2
    budget_day_usd: float = 0.0
    budget_session_usd: float = 0.0
    budget_project_usd: float = 0.0
    budget_day_tokens: int = 0
    budget_session_tokens: int = 0
    budget_project_tokens: int = 0
    budget_command: tuple[str, ...] = ()
    budget_webhook: str = ""
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
    display_time: TimeStyle = "local"
    mcp_projects: tuple[str, ...] = ()
    search_semantic: VectorSource = "off"
    search_semantic_url: str = ""
    search_semantic_model: str = ""
    search_semantic_key_variable: str = ""
    team_url: str = ""
    team_form: TeamForm = "off"
    team_kinds: tuple[str, ...] = ()
    team_person: str = ""
    team_machine: str = ""
    team_project: str = ""
    team_token_variable: str = ""
    team_every_minutes: float = 5.0

    @property
    def verdict_rule(self) -> float | None:
        """Return the share of failures above which a session has failed; None for no such rule."""
        return self.outcomes_failure_rate if self.outcomes_rule == "failures" else None

    @property
    def has_budget(self) -> bool:
        """Return whether a limit of cost or tokens is set that somebody is warned of."""
        limits = (self.budget_day_usd, self.budget_session_usd, self.budget_project_usd,
                  self.budget_day_tokens, self.budget_session_tokens,
                  self.budget_project_tokens)  # fmt: skip
        return any(limits) and bool(self.budget_command or self.budget_webhook)


LOCAL: Final = "config.local.toml"
# What sends, runs, listens, or records or redacts less.
GUARDED: Final = frozenset(
    {
        "capture_max_payload_bytes", "redaction_enabled", "redaction_allow", "redaction_deny",
        "gemini_model_events", "mirror_off", "retention_rules", "sync_at_stop", "budget_day_usd",
        "budget_session_usd", "budget_project_usd", "budget_day_tokens", "budget_session_tokens",
        "budget_project_tokens", "backup_destination", "backup_recipients", "backup_every_hours",
        "backup_full_every_days", "backup_keep_count", "backup_keep_days", "server_address",
        "server_port", "server_allowed_hosts", "server_allowed_origins", "server_require_token",
        "server_max_body_bytes", "search_semantic", "team_url", "team_form", "team_kinds",
        "team_person", "team_machine", "team_project", "team_token_variable", "team_every_minutes",
    }
)  # fmt: skip
# Of these nothing that a project's config.toml says counts, trusted or not: its records go there.
PERSONAL: Final = frozenset(name for name in GUARDED if name.startswith("team_"))
# It counts from the home's config.toml, and from nowhere else.
HOME_ONLY: Final = frozenset(
    {
        "home_max_bytes", "home_keep_days", "home_store_max_bytes", "home_store_keep_days",
        "budget_command", "budget_webhook", "mcp_projects", "search_semantic_url",
        "search_semantic_model", "search_semantic_key_variable",
    }
)  # fmt: skip
_MOST_BYTES: Final = 1 << 20
# Of any other number it is 0.
_MINIMUM: Final[dict[str, float]] = {
    "capture_max_payload_bytes": 4_096,
    "store_busy_timeout_seconds": 0.1,
    "server_max_body_bytes": 65_536,
}
_ADDRESSES: Final = ("budget_webhook", "search_semantic_url")
_TEAM_SCHEMES: Final = ("https", "http", "postgresql", "postgres", "nats", "tls")
_VARIABLES: Final = ("search_semantic_key_variable", "team_token_variable")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "gemini_model_events": get_args(ModelEvents),
    "outcomes_rule": get_args(OutcomesRule),
    "backup_compression": get_args(Compression),
    "display_time": get_args(TimeStyle),
    "search_semantic": get_args(VectorSource),
    "team_form": get_args(TeamForm),
}


def load(path: Path) -> Settings:
    """Return the settings in force in a project.

    Args:
        path: The project's config.toml, which need not be there.

    Raises:
        InvalidSettingsError: A file is no TOML, names an unknown setting, or gives one a wrong
            value.
    """
    values: dict[str, Any] = {}
    for _, of_file in layers(path):
        values |= of_file
    return Settings(**values)


def untrusted_values(path: Path, names: Collection[str]) -> dict[str, Any]:
    """Return those of some settings that a project's config.toml has, and that do not count.

    Raises:
        InvalidSettingsError: As for `load`.
    """
    values, counting = read(path), load(path)
    return {n: values[n] for n in names if n in values and values[n] != getattr(counting, n)}


def layers(path: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Return what counts of each settings file of a project; a later file comes before an earlier.

    Args:
        path: The project's config.toml, which need not be there.

    Raises:
        InvalidSettingsError: As for `load`.
    """
    home, local = _home_config(path), path.with_name(LOCAL)
    of_home = [] if home is None else [(home, read(home))]
    of_project, of_local = _believed(path), _local(local)
    if not marks.is_state(path.parent):
        of_project = _without(of_project, HOME_ONLY | PERSONAL)
        of_local = _without(of_local, HOME_ONLY)
    return [*of_home, (path, of_project), (local, of_local)]


def dotted(name: str) -> str:
    """Return the name of a setting as config.toml has it."""
    return name.replace("_", ".", 1)


def withheld(path: Path) -> tuple[str, ...]:
    """Return the settings of a project's config.toml that do not count until it is trusted.

    Raises:
        InvalidSettingsError: As for `load`.
    """
    below = Settings()._asdict() | _of_home(path)
    values = below | read(path)
    believed = below | _believed(path)
    names = [name for name in sorted(GUARDED - PERSONAL) if values[name] != believed[name]]
    local = path.with_name(LOCAL)
    if _came_with_git(local):
        names += sorted(GUARDED & read(local).keys())
    return tuple(dict.fromkeys(map(dotted, names)))


def sources(path: Path) -> tuple[Path, ...]:
    """Return the files that the settings of a project depend on."""
    home = _home_config(path)
    trusted = records.path_of(path.parent)
    return tuple(file for file in (path, path.with_name(LOCAL), home, trusted) if file)


def read(path: Path) -> dict[str, Any]:
    """Return all that one file sets, by the names of `Settings`; nothing where there is none.

    Raises:
        InvalidSettingsError: As for `load`.
    """
    return _parsed(path, text) if (text := read_text(path)) is not None else {}


def read_text(path: Path) -> str | None:
    """Return the text of a settings file; None where there is none.

    Raises:
        InvalidSettingsError: It is a link, no regular file, or cannot be read.
    """
    # A person's dotfiles may be links; what comes with a repository must not lead out of it.
    follows = marks.is_state(path.parent)
    try:
        return read_regular(path, _MOST_BYTES, follows=follows).decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidSettingsError(f"{path} cannot be read ({reason})") from error


def _of_home(path: Path) -> dict[str, Any]:
    home = _home_config(path)
    return {} if home is None else read(home)


def _home_config(path: Path) -> Path | None:
    """Return the home's config.toml; None where it is the project's own."""
    folder = marks.state_folder()
    return None if folder is None or marks.is_state(path.parent) else folder / path.name


def _believed(path: Path) -> dict[str, Any]:
    """Return the settings of a project's config.toml that count."""
    text = read_text(path)
    values = {} if text is None else _parsed(path, text)
    if _home_config(path) is None:
        # The home's own; or no state folder can be written, and the person named the project.
        return values
    trusted = records.load(path.parent).config
    if trusted == text:
        return values
    guarded: dict[str, Any] = {}
    if trusted is not None:
        try:
            guarded = _parsed(path, trusted)
        except InvalidSettingsError:
            # Trusted under another version, which knew other settings.
            guarded = {}
    return _unguarded(values) | {n: value for n, value in guarded.items() if n in GUARDED}


def _local(path: Path) -> dict[str, Any]:
    values = read(path)
    return _unguarded(values) if values and _came_with_git(path) else values


def _unguarded(values: dict[str, Any]) -> dict[str, Any]:
    return _without(values, GUARDED)


def _without(values: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _came_with_git(path: Path) -> bool:
    return path.exists() and path.name in git_index.tracked(path.parent)


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSettingsError(f"{path}: {error}") from error
    values = {}
    for table, entries in tables.items():
        if not isinstance(entries, dict):
            raise InvalidSettingsError(f"{path}: {table} is no table", hint=f"write [{table}]")
        for key, value in entries.items():
            values[f"{table}_{key}"] = checked(path, table, key, value)
    return values


def checked(path: Path, table: str, key: str, value: Any) -> Any:
    """Return the value that a settings file gives a setting.

    Raises:
        InvalidSettingsError: There is no such setting, or it has no such value.
    """
    name = f"{table}_{key}"
    label = f"{path}: {table}.{key}"
    default = Settings._field_defaults.get(name)
    if name not in Settings._fields or "_" in table:
        raise InvalidSettingsError(f"{label} is no setting of this version")
    if words := _WORDS.get(name):
        if value not in words:
            raise InvalidSettingsError(f"{label} is one of " + ", ".join(words))
    elif isinstance(default, tuple):
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise InvalidSettingsError(f"{label} is a list of strings")
        if name in ("redaction_allow", "redaction_deny") and value:
            _check_expressions(label, value)
        return tuple(value)
    elif isinstance(default, str):
        if not isinstance(value, str):
            raise InvalidSettingsError(f"{label} is a string")
        if name in _ADDRESSES and value and not _is_web_address(value):
            raise InvalidSettingsError(f"{label} is an address with http:// or https://")
        if name == "search_semantic_url" and "@" in urlsplit(value).netloc:
            raise InvalidSettingsError(
                f"{label} has no user and password", hint="name a variable in semantic_key_variable"
            )
        if name == "team_url" and value:
            _check_team_address(label, value)
        if name in _VARIABLES and value and not _VARIABLE.fullmatch(value):
            raise InvalidSettingsError(
                f"{label} is the name of an environment variable, not the key that it has"
            )
    elif isinstance(default, bool):
        if not isinstance(value, bool):
            raise InvalidSettingsError(f"{label} is true or false")
    else:
        is_whole = isinstance(default, int)
        is_number = isinstance(value, int) or (isinstance(value, float) and not is_whole)
        least = _MINIMUM.get(name, 0)
        if not is_number or isinstance(value, bool) or not least <= value <= sys.float_info.max:
            kind = "a whole number" if is_whole else "a number"
            raise InvalidSettingsError(f"{label} is {kind} from {least:g}")
        return value if is_whole else float(value)
    return value


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_team_address(label: str, value: str) -> None:
    try:
        # Of several servers with commas, as NATS has them, urllib reads no port.
        parts = urlsplit(value)
    except ValueError as error:
        raise InvalidSettingsError(f"{label} is no address ({error})") from error
    if parts.scheme not in _TEAM_SCHEMES or not parts.hostname:
        raise InvalidSettingsError(f"{label} is an address with https://, postgresql:// or nats://")
    user = parts.netloc.rpartition("@")[0]
    if ":" in user or (user and parts.scheme in ("https", "http")):
        raise InvalidSettingsError(
            f"{label} has no password", hint="name a variable that has it in team.token_variable"
        )


def _check_expressions(label: str, expressions: list[str]) -> None:
    # Redaction runs them with it; few have any, and importing it takes time.
    import regex

    for expression in expressions:
        try:
            regex.compile(expression)
        except (regex.error, RecursionError, OverflowError) as error:
            raise InvalidSettingsError(f"{label}: {expression!r}: {error}") from error
