"""Whatever a settings file looks like: our hooks come and go, and all else is untouched."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khive_persist.capture.hook_config import install, settings_path, status, uninstall
from khive_persist.capture.hook_config.command import is_ours
from khive_persist.capture.hook_config.http_hook import is_our_http_hook
from khive_persist.capture.hook_config.json_edit import JsonText
from khive_persist.tools import TOOLS, Registration

FORMS: dict[str, Registration] = {
    name: tool.registration
    for name, tool in TOOLS.items()
    if isinstance(tool.registration, Registration) and tool.registration.form != "toml"
}
EVENTS = sorted({hook.event for tool in FORMS.values() for hook in tool.hooks})
WHITE_SPACE = st.sampled_from(["", " ", "\n", "\t", "\r\n", "\n  ", "\r\n\t\t", " \n\n    "])
COMMENTS = st.sampled_from(["", " ", "\n  ", "// it's {\n", '/* [,\n " */', ' // "a": 1\r\n  '])
STRINGS = st.text() | st.sampled_from(["hooks", "command", "//", "/* */", 'a "b" \\', "\ufeff"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | STRINGS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=6,
)
URLS = st.sampled_from(["http://127.0.0.1:8423", "http://[::1]:1", "https://localhost:65535"])
SERVERS = st.none() | URLS
THEIR_HOOK = st.fixed_dictionaries(
    {"type": st.just("command"), "command": STRINGS},
    optional={"timeout": st.integers(1, 60), "bash": STRINGS},
) | st.fixed_dictionaries(
    {"type": st.just("http"), "url": STRINGS | URLS.map(lambda url: f"{url}/hooks/claude-code")},
    optional={
        "headers": st.dictionaries(st.just("Authorization") | STRINGS, STRINGS, max_size=2),
        "allowedEnvVars": st.lists(st.just("KHIVE_TOKEN") | STRINGS, max_size=2),
    },
)
GROUPS = st.lists(
    st.fixed_dictionaries(
        {"hooks": st.lists(THEIR_HOOK, max_size=2)}, optional={"matcher": STRINGS}
    )
    | VALUES,
    max_size=3,
)
HOOKS = st.dictionaries(st.sampled_from(EVENTS), GROUPS, max_size=3) | st.fixed_dictionaries(
    {"Newer": VALUES, "Stop": GROUPS}
)
FLAT_HOOKS = st.dictionaries(
    st.sampled_from(EVENTS), st.lists(THEIR_HOOK | VALUES, max_size=3), max_size=3
)

# Each example writes and syncs files, which takes as long as the disk does.
any_time = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def written(draw: st.DrawFn, value: Any, spaces: st.SearchStrategy[str]) -> str:
    """A value as JSON text, with white space where any may stand."""

    def text(value: Any) -> str:
        if isinstance(value, dict):
            members = [f"{text(key)}{space()}:{space()}{text(of)}" for key, of in value.items()]
            return "{" + space() + f"{space()},{space()}".join(members) + space() + "}"
        if isinstance(value, list):
            return "[" + space() + f"{space()},{space()}".join(map(text, value)) + space() + "]"
        try:
            return json.dumps(value, ensure_ascii=draw(st.booleans())).encode().decode()
        except UnicodeEncodeError:
            return json.dumps(value)

    def space() -> str:
        return draw(spaces)

    return space() + text(value) + space()


@st.composite
def settings_texts(draw: st.DrawFn, comments: bool, form: str = "groups") -> str:
    """A settings file: an object, with or without hooks of others; keys may stand in it twice."""
    spaces = COMMENTS if comments else WHITE_SPACE
    value: dict[str, Any] = draw(
        st.dictionaries(STRINGS.filter(lambda key: key != "hooks"), VALUES, max_size=3)
    )
    keys = list(value)
    if draw(st.booleans()):
        value["version"] = 1
    if draw(st.booleans()):
        hooks: dict[str, Any] = draw(FLAT_HOOKS if form == "flat" else HOOKS)
        value = value | hooks if form == "root groups" else value | {"hooks": hooks}
    if draw(st.booleans()) and keys:
        value = dict(draw(st.permutations(list(value.items()))))
    text = draw(written(value, spaces))
    if draw(st.booleans()) and keys:
        # The first key once more, at the end.
        end = text.rindex("}")
        if not comments:
            text = text[:end] + f", {json.dumps(keys[0])}: {{}}" + text[end:]
    return ("\ufeff" if draw(st.booleans()) else "") + text


@st.composite
def files(draw: st.DrawFn) -> tuple[str, str]:
    """A tool, and the text of a settings file of it."""
    tool = draw(st.sampled_from(sorted(FORMS)))
    return tool, draw(settings_texts(FORMS[tool].comments, FORMS[tool].form))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


def write(tool: str, root: Path, text: str) -> Path:
    path = settings_path(tool, "project", root)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def value_of(tool: str, text: str) -> dict[str, Any]:
    return JsonText(text, comments=FORMS[tool].comments).value


def events_of(tool: str, value: dict[str, Any]) -> dict[str, Any]:
    """The object that has the events."""
    events: dict[str, Any] = value if is_root(tool) else value.get("hooks", {})
    return events


def is_root(tool: str) -> bool:
    return FORMS[tool].form == "root groups"


def without_ours(tool: str, value: dict[str, Any]) -> dict[str, Any]:
    """The settings without groups of ours, and without what is empty then."""
    hooks = {}
    for event, groups in events_of(tool, value).items():
        if not isinstance(groups, list):
            hooks[event] = groups
        elif kept := [group for group in groups if not is_our_group(tool, group)]:
            hooks[event] = kept
    if is_root(tool):
        return hooks
    rest = {key: of for key, of in value.items() if key not in ("hooks", *FORMS[tool].head)}
    return rest | ({"hooks": hooks} if hooks else {})


def is_our_group(tool: str, group: Any) -> bool:
    if FORMS[tool].form == "flat":
        return isinstance(group, dict) and is_our_hook(tool, group)
    hooks = group.get("hooks") if isinstance(group, dict) else None
    return (
        isinstance(hooks, list)
        and bool(hooks)
        and all(isinstance(hook, dict) and is_our_hook(tool, hook) for hook in hooks)
    )


def is_our_hook(tool: str, hook: dict[str, Any]) -> bool:
    return is_ours(hook.get(FORMS[tool].command_key), tool) or is_our_http_hook(hook, tool)


def state(tool: str, root: Path) -> str:
    return status(tool, "project", root, asks_server=False).state


@any_time
@given(file=files(), model_events=st.booleans(), servers=st.lists(SERVERS, min_size=1, max_size=3))
def test_an_uninstall_gives_every_byte_back(
    root: Path, file: tuple[str, str], model_events: bool, servers: list[str | None]
) -> None:
    """Whatever transports took each other's place before."""
    tool, text = file
    path = write(tool, root, text)
    for server in servers:
        install(tool, "project", root, model_events=model_events, server=server)
        assert state(tool, root) == "installed"
    uninstall(tool, "project", root)
    assert path.read_bytes() == text.encode()


@any_time
@given(file=files(), server=SERVERS)
def test_an_install_adds_our_hooks_once_and_changes_nothing_else(
    root: Path, file: tuple[str, str], server: str | None
) -> None:
    tool, text = file
    path = write(tool, root, text)
    before = value_of(tool, text)
    install(tool, "project", root, server=server)
    once = path.read_bytes()
    after = value_of(tool, once.decode())
    for event, groups in events_of(tool, after).items():
        theirs = events_of(tool, before).get(event, [])
        if isinstance(groups, list):
            ours = groups[len(theirs) :]
            assert groups[: len(theirs)] == theirs
            assert [is_our_group(tool, group) for group in ours] in ([], [True])
        else:
            assert groups == theirs
    if not is_root(tool):
        added = {} if "hooks" in before else json.loads(json.dumps(dict(FORMS[tool].head)))
        assert {key: of for key, of in after.items() if key != "hooks"} == {
            **{key: str(of) for key, of in added.items()},
            **{key: of for key, of in before.items() if key != "hooks"},
        }
    assert not install(tool, "project", root, server=server).written
    assert path.read_bytes() == once
    # A transport takes the other's place and gives it back.
    install(tool, "project", root, server=None if server else "http://127.0.0.1:1")
    install(tool, "project", root, server=server)
    assert path.read_bytes() == once


@any_time
@given(
    file=files(),
    theirs=THEIR_HOOK,
    event=st.sampled_from(EVENTS),
    first=st.booleans(),
    server=SERVERS,
)
def test_what_a_user_adds_meanwhile_stays(
    root: Path,
    file: tuple[str, str],
    theirs: dict[str, Any],
    event: str,
    first: bool,
    server: str | None,
) -> None:
    tool, text = file
    path = write(tool, root, text)
    install(tool, "project", root, server=server)
    edited = JsonText(path.read_bytes().decode(), comments=FORMS[tool].comments)
    groups = events_of(tool, edited.value).get(event, [])
    group = theirs if FORMS[tool].form == "flat" else {"hooks": [theirs]}
    container = edited.root
    levels = [("hooks", "{}")] * (not is_root(tool)) + [(event, "[]")]
    while levels:
        found = [item for item in container.items if item.key == levels[0][0]]
        if not found:
            break
        container = edited.container(found[-1])
        levels.pop(0)
    new = json.dumps(group)
    if first and container.items and not levels:
        start = container.items[0].start
        changed = edited.replace(start, start, new + ",\n")
        expected = [JsonText(new).value, *groups]
    else:
        changed = edited.insert(container, new, levels)
        expected = [*groups, JsonText(new).value]
    path.write_bytes(changed.encode())
    now = value_of(tool, changed)
    assert events_of(tool, now)[event] == expected
    uninstall(tool, "project", root)
    rest = path.read_bytes().decode()
    assert without_ours(tool, value_of(tool, rest)) == without_ours(tool, now)
    assert state(tool, root) == "not installed"


@any_time
@given(file=files(), indent=st.none() | st.integers(0, 4), server=SERVERS)
def test_a_file_that_a_tool_wrote_anew_means_the_same_afterwards(
    root: Path, file: tuple[str, str], indent: int | None, server: str | None
) -> None:
    tool, text = file
    path = write(tool, root, text)
    before = without_ours(tool, value_of(tool, text))
    install(tool, "project", root, server=server)
    plain = JsonText(path.read_bytes().decode(), comments=FORMS[tool].comments)
    path.write_bytes(json.dumps(plain.value, indent=indent).encode())
    uninstall(tool, "project", root)
    after = value_of(tool, path.read_text()) if path.exists() else {}
    assert without_ours(tool, after) == json.loads(json.dumps(before))


@any_time
@given(text=st.text(max_size=60) | settings_texts(comments=False), cut=st.integers(0, 60))
def test_text_is_taken_as_python_takes_it(text: str, cut: int) -> None:
    part = text[: len(text) - cut] if cut < len(text) else text
    try:
        read = json.loads(part.removeprefix("\ufeff"), parse_int=str, parse_float=str)
    except ValueError:
        read = None
    try:
        value = JsonText(part).value
    except ValueError:
        value = None
    assert value == (read if isinstance(read, dict) else None)
