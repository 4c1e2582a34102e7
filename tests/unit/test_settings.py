"""`config.toml`: each setting, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from khive_persist.errors import InvalidSettingsError
from khive_persist.settings import Settings, load


@pytest.fixture
def config(home: Path) -> Path:
    """The home's own, where every setting counts."""
    (home / ".khive").mkdir()
    return home / ".khive" / "config.toml"


def test_without_a_file_or_with_an_empty_one_the_defaults_hold(config: Path) -> None:
    assert load(config) == Settings()
    config.touch()
    assert load(config) == Settings()


GIVEN: list[tuple[str, str, Any]] = [
    ("capture.max_payload_bytes = 10_000", "capture_max_payload_bytes", 10_000),
    ("capture.linger_seconds = 0", "capture_linger_seconds", 0.0),
    ("redaction.enabled = false", "redaction_enabled", False),
    ("redaction.allow = ['test-.*', 'x']", "redaction_allow", ("test-.*", "x")),
    ("redaction.deny = ['ACME-[0-9]+']", "redaction_deny", ("ACME-[0-9]+",)),
    ("gemini.model_events = 'full'", "gemini_model_events", "full"),
    ("store.busy_timeout_seconds = 0.5", "store_busy_timeout_seconds", 0.5),
    ("mirror.off = ['codex_hooks']", "mirror_off", ("codex_hooks",)),
    ("mirror.pack_after_days = 0", "mirror_pack_after_days", 0.0),
    ("home.max_bytes = 0", "home_max_bytes", 0),
    ("home.keep_days = 7", "home_keep_days", 7.0),
    ("home.store_max_bytes = 0", "home_store_max_bytes", 0),
    ("home.store_keep_days = 7", "home_store_keep_days", 7.0),
    ("retention.rules = ['* keep_age=9d']", "retention_rules", ("* keep_age=9d",)),
    ("cost.prices = ['m input=1']", "cost_prices", ("m input=1",)),
    ("sync.at_stop = false", "sync_at_stop", False),
    ("search.enabled = false", "search_enabled", False),
    ("outcomes.rule = 'failures'", "outcomes_rule", "failures"),
    ("outcomes.failure_rate = 0.05", "outcomes_failure_rate", 0.05),
    ("budget.day_usd = 20", "budget_day_usd", 20.0),
    ("budget.session_usd = 2.5", "budget_session_usd", 2.5),
    ("budget.project_usd = 500", "budget_project_usd", 500.0),
    ("budget.day_tokens = 1_000_000", "budget_day_tokens", 1_000_000),
    ("budget.session_tokens = 5", "budget_session_tokens", 5),
    ("budget.project_tokens = 6", "budget_project_tokens", 6),
    ("budget.command = ['notify', 'a b']", "budget_command", ("notify", "a b")),
    ("budget.webhook = 'https://a.test/b'", "budget_webhook", "https://a.test/b"),
    ("backup.destination = 's3://bucket/prefix'", "backup_destination", "s3://bucket/prefix"),
    ("backup.compression = 'none'", "backup_compression", "none"),
    ("backup.recipients = ['age1(', '/keys']", "backup_recipients", ("age1(", "/keys")),
    ("backup.every_hours = 12", "backup_every_hours", 12.0),
    ("backup.full_every_days = 1.5", "backup_full_every_days", 1.5),
    ("backup.keep_count = 0", "backup_keep_count", 0),
    ("backup.keep_days = 7", "backup_keep_days", 7.0),
    ("server.address = '::1'", "server_address", "::1"),
    ("server.port = 0", "server_port", 0),
    ("server.allowed_hosts = ['a.test']", "server_allowed_hosts", ("a.test",)),
    ("server.allowed_origins = ['http://a.test']", "server_allowed_origins", ("http://a.test",)),
    ("server.require_token = false", "server_require_token", False),
    ("server.max_body_bytes = 100_000", "server_max_body_bytes", 100_000),
    ("display.time = 'iso'", "display_time", "iso"),
    ("search.enabled = false", "search_enabled", False),
    ("mcp.projects = ['/a/b']", "mcp_projects", ("/a/b",)),
    ("search.semantic = 'local'", "search_semantic", "local"),
    ("search.semantic_url = 'http://[::1]:1/v1'", "search_semantic_url", "http://[::1]:1/v1"),
    ("search.semantic_model = 'm:1'", "search_semantic_model", "m:1"),
    ("search.semantic_key_variable = 'A_KEY'", "search_semantic_key_variable", "A_KEY"),
    ("team.url = 'postgresql://me@[::1]:1/team'", "team_url", "postgresql://me@[::1]:1/team"),
    ("team.form = 'redacted'", "team_form", "redacted"),
    ("team.kinds = ['messages form=off']", "team_kinds", ("messages form=off",)),
    ("team.person = 'Ann'", "team_person", "Ann"),
    ("team.machine = 'one'", "team_machine", "one"),
    ("team.project = 'site'", "team_project", "site"),
    ("team.token_variable = 'A_KEY'", "team_token_variable", "A_KEY"),
    ("team.every_minutes = 0", "team_every_minutes", 0.0),
]


@pytest.mark.parametrize(("line", "name", "value"), GIVEN)
def test_a_setting_is_taken_and_the_others_stay(
    line: str, name: str, value: Any, config: Path
) -> None:
    config.write_text(line)
    found = load(config)
    assert found == Settings()._replace(**{name: value})
    assert type(getattr(found, name)) is type(getattr(Settings(), name))


def test_every_setting_is_tried_here() -> None:
    assert {name for _, name, _ in GIVEN} == set(Settings._fields)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("capture.max_payload_bytes = 4095", "capture.max_payload_bytes"),
        ("capture.max_payload_bytes = '1 MB'", "capture.max_payload_bytes"),
        ("capture.max_payload_bytes = 5000.7", "capture.max_payload_bytes"),
        ("capture.max_payload_bytes = true", "capture.max_payload_bytes"),
        ("capture.linger_seconds = -1", "capture.linger_seconds"),
        ("capture.linger_seconds = inf", "capture.linger_seconds"),
        ("capture.linger_seconds = nan", "capture.linger_seconds"),
        (f"capture.linger_seconds = 1{'0' * 400}", "capture.linger_seconds"),
        ("redaction.enabled = 1", "redaction.enabled"),
        ("redaction.enabled = 'no'", "redaction.enabled"),
        ("redaction.allow = 'x'", "redaction.allow"),
        ("redaction.allow = [1]", "redaction.allow"),
        ("redaction.allow = ['(']", "redaction.allow"),
        ("redaction.deny = ['(']", "redaction.deny"),
        ("gemini.model_events = 'some'", "gemini.model_events"),
        ("gemini.model_events = ['full']", "gemini.model_events"),
        ("store.busy_timeout_seconds = 0", "store.busy_timeout_seconds"),
        ("store.busy_timeout_seconds = {}", "store.busy_timeout_seconds"),
        ("outcomes.rule = 'tests'", "outcomes.rule"),
        ("outcomes.failure_rate = -0.1", "outcomes.failure_rate"),
        ("budget.day_usd = '20'", "budget.day_usd"),
        ("budget.day_tokens = 1.5", "budget.day_tokens"),
        ("budget.command = 'notify'", "budget.command"),
        ("budget.webhook = 'file:///etc/passwd'", "budget.webhook"),
        ("budget.webhook = 'https://a.test:99999/'", "budget.webhook"),
        ("search.semantic = 'on'", "search.semantic"),
        ("search.semantic_url = 'file:///etc/passwd'", "search.semantic_url"),
        ("search.semantic_url = 'https://u:p@a.test/v1'", "search.semantic_url"),
        ("search.semantic_key_variable = 'sk-1234'", "search.semantic_key_variable"),
        ("team.form = 'some'", "team.form"),
        ("team.url = 'file:///etc/passwd'", "team.url"),
        ("team.url = 'https://u:p@a.test/'", "team.url"),
        ("team.url = 'https://u@a.test/'", "team.url"),
        ("team.url = 'postgresql://u:p@a.test/team'", "team.url"),
        ("team.token_variable = 'sk-1234'", "team.token_variable"),
        ("backup.destination = 3", "backup.destination"),
        ("backup.compression = 'gzip'", "backup.compression"),
        ("backup.recipients = 'age1'", "backup.recipients"),
        ("backup.keep_count = -1", "backup.keep_count"),
        ("backup.keep_days = '7'", "backup.keep_days"),
        ("server.port = -1", "server.port"),
        ("server.max_body_bytes = 1000", "server.max_body_bytes"),
        ("server.allowed_hosts = 'a.test'", "server.allowed_hosts"),
        ("store.colour = 'red'", "store.colour"),
        ("store_busy.timeout_seconds = 5", "store_busy.timeout_seconds"),
        ("colour = 'red'", "colour"),
        ("[capture", ""),
        ("capture.linger_seconds = 1\ncapture.linger_seconds = 2", ""),
        (f"a = {'9' * 5_000}", ""),
        (f"a = {'[' * 5_000}", ""),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(line: str, name: str, config: Path) -> None:
    config.write_text(line)
    with pytest.raises(InvalidSettingsError) as raised:
        load(config)
    assert str(config) in str(raised.value)
    assert name in str(raised.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a = '\0'"])
def test_bytes_that_are_no_toml_are_refused(content: bytes, config: Path) -> None:
    config.write_bytes(content)
    with pytest.raises(InvalidSettingsError):
        load(config)


def test_what_is_no_file_is_refused(config: Path) -> None:
    config.mkdir()
    with pytest.raises(InvalidSettingsError, match="cannot be read"):
        load(config)
