"""The whole of a hook event's `output` and `command`, as SQL over its payload.

A row keeps the beginning of each; where that is all of it, or the payload has no text that begins
so, it is what the expression gives. The expressions say in SQL what `tools/` says in Python
of each tool's payloads; a test holds them together. In the file that many clients share it is the
longest text of the payload that begins so, or all texts of a list of content blocks, without the
line that some add behind what a command wrote.
"""

from collections.abc import Callable, Sequence
from typing import Final

from khive_persist.models.purposes import EVENT_FILES, PREVIEW_CHARACTERS, Purpose

_PAYLOAD: Final = "$.payload"
_RESPONSE: Final = f"{_PAYLOAD}.tool_response"
_LINE_END: Final = "char(10)"


def whole_text(purpose: Purpose, field: str) -> str | None:
    """Return the expression that gives a field whole; None where there is none."""
    client = {file.name: client for client, file in EVENT_FILES.items()}.get(purpose.name)
    if client is None or field not in PREVIEW_CHARACTERS:
        return None
    preview = f"json_extract(content, '$.{field}')"
    if client not in _OUTPUTS:
        shown = _without_last_line("text") if field == "output" else "text"
        expression = _longest_beginning_with(preview, shown)
    else:
        expression = _OUTPUTS[client]() if field == "output" else _first(*_COMMANDS[client])
    begins = f"substr(whole, 1, length({preview})) = {preview}"
    return (
        f"CASE WHEN length({preview}) < {PREVIEW_CHARACTERS[field]} THEN {preview} ELSE"
        f" (SELECT CASE WHEN {begins} THEN whole ELSE {preview} END"
        f" FROM (SELECT {expression} AS whole)) END"
    )


def _claude_code_output() -> str:
    event_text = _by_event(
        {
            "Stop": "last_assistant_message",
            "StopFailure": "last_assistant_message",
            "SubagentStop": "last_assistant_message",
            "MessageDisplay": "delta",
            "Notification": "message",
            "Elicitation": "message",
            "PostCompact": "compact_summary",
        }
    )
    streams = [f"nullif({_string(f'{_RESPONSE}.{name}')}, '')" for name in ("stdout", "stderr")]
    joined = f" || {_LINE_END} || ".join(streams)
    has_stream = " OR ".join(
        f"json_type(content, '{_RESPONSE}.{name}') IS NOT NULL" for name in ("stdout", "stderr")
    )
    hunks = f"json_each(content, '{_RESPONSE}.structuredPatch') AS hunk"
    lines = "json_each(CASE hunk.type WHEN 'object' THEN hunk.value END,"
    patch = (
        f"(SELECT group_concat(value, {_LINE_END}) FROM (SELECT line.value AS value FROM {hunks},"
        f" {lines} '$.lines') AS line WHERE hunk.type = 'object' AND line.type = 'text'"
        " AND line.value <> ''))"
    )
    other = [
        f"WHEN {_type(f'{_RESPONSE}.{name}')} = 'text' AND {_string(f'{_RESPONSE}.{name}')} <> ''"
        f" THEN {_string(f'{_RESPONSE}.{name}')}"
        f" WHEN {_type(f'{_RESPONSE}.{name}')} = 'array' AND"
        f" json_array_length(content, '{_RESPONSE}.{name}') > 0"
        f" THEN {_blocks(f'{_RESPONSE}.{name}')}"
        for name in ("content", "result", "text", "message", "new_source")
    ]
    of_object = (
        f"CASE WHEN {has_stream} THEN coalesce({joined}, {', '.join(streams)})"
        f" WHEN json_array_length(content, '{_RESPONSE}.structuredPatch') > 0 THEN {patch}"
        f" WHEN {_type(f'{_RESPONSE}.file.content')} IS NOT NULL"
        f" THEN {_string(f'{_RESPONSE}.file.content')}"
        f" {' '.join(other)} ELSE {_value(_RESPONSE)} END"
    )
    return f"coalesce({event_text}, {_by_type(of_object)})"


def _codex_output() -> str:
    event_text = _by_event(dict.fromkeys(("Stop", "SubagentStop"), "last_assistant_message"))
    of_object = (
        f"CASE WHEN {_type(f'{_RESPONSE}.content')} = 'array'"
        f" THEN {_blocks(f'{_RESPONSE}.content')} ELSE {_value(_RESPONSE)} END"
    )
    return f"coalesce({event_text}, {_by_type(of_object)})"


def _gemini_cli_output() -> str:
    event_text = _by_event({"AfterAgent": "prompt_response", "Notification": "message"})
    at = f"{_RESPONSE}.llmContent"
    text = (
        f"CASE {_type(at)} WHEN 'text' THEN {_string(at)} WHEN 'array' THEN {_blocks(at)}"
        f" WHEN 'object' THEN {_block(f'json_extract(content, {_literal(at)})')}"
        f" ELSE {_value(_RESPONSE)} END"
    )
    opening = f"'<untrusted_context>' || {_LINE_END}"
    closing = f"{_LINE_END} || '</untrusted_context>'"
    is_command = f"{_string(f'{_PAYLOAD}.tool_name')} IS 'run_shell_command'"
    head = f"length(rtrim(t, replace(t, {_LINE_END}, '')))"
    last = f"substr(t, {head} + 1)"
    # Step by step in a recursion, whose columns are values: as nested queries the text's expression
    # would be repeated in each. Of a command, the lines that Gemini adds go, the last one first.
    stripped = (
        f"(WITH RECURSIVE strip(step, t) AS (SELECT 0, {text} UNION ALL"
        " SELECT step + 1, CASE step"
        f" WHEN 0 THEN CASE WHEN substr(t, 1, 20) = {opening} AND substr(t, -21) = {closing}"
        " THEN substr(t, 21, length(t) - 41) ELSE t END"
        f" WHEN 1 THEN substr(t, 9) ELSE CASE WHEN {head} > 0 AND CASE step"
        f" WHEN 2 THEN {_is_line(last, 'Process Group PGID: ', 1_000)}"
        f" WHEN 3 THEN {last} GLOB 'Background PIDs: *'"
        f" WHEN 4 THEN {last} GLOB 'Signal: ?*'"
        f" AND substr(t, {head} + 9) NOT GLOB '*[ ' || char(9, 11, 12, 13) || ']*'"
        f" ELSE {_is_line(last, 'Exit Code: ', 10)} END"
        f" THEN substr(t, 1, {head} - 1) ELSE t END END FROM strip WHERE step < 6"
        f" AND (step <> 1 OR {is_command} AND substr(t, 1, 8) = 'Output: '))"
        " SELECT t FROM strip ORDER BY step DESC LIMIT 1)"
    )
    return f"coalesce({event_text}, {stripped})"


_OUTPUTS: Final[dict[str, Callable[[], str]]] = {
    "claude-code": _claude_code_output,
    "codex": _codex_output,
    "gemini-cli": _gemini_cli_output,
}
_COMMANDS: Final[dict[str, Sequence[str]]] = {
    "claude-code": (f"{_PAYLOAD}.tool_input.command",),
    "codex": (f"{_PAYLOAD}.tool_input.command",),
    "gemini-cli": (f"{_PAYLOAD}.tool_input.command", f"{_PAYLOAD}.details.command"),
}


# The last line of a command's output, as GLOB spells it, by client and its shell tools.
_LAST_LINES: Final = (
    ("copilot-cli", ("Bash", "PowerShell"), (
        "<shellId: * completed with exit code *>",
        "<detached command with shellId: * completed with exit code *>",
        "<command started in * with shellId: *>",
        "<command with shellId: * is still running*>",
        "<command with shellId: * is already running*>",
    )),
    ("droid", ("Execute",), ("[[]Process exited with code *]",)),
)  # fmt: skip


def _without_last_line(text: str) -> str:
    """Spell a text without the line that its client adds behind a command's output."""
    head = f"length(rtrim({text}, replace({text}, {_LINE_END}, '')))"
    whens = []
    for client, shells, patterns in _LAST_LINES:
        cut = f"substr({text}, 1, {head} - 1)"
        # Droid adds empty lines, too.
        cut = f"rtrim({cut}, {_LINE_END})" if client == "droid" else cut
        names = ", ".join(map(_literal, shells))
        lines = (f"substr({text}, {head} + 1) GLOB {_literal(pattern)}" for pattern in patterns)
        whens.append(
            f"WHEN {_value('$.tool')} = '{client}' AND {_value('$.tool_name')} IN ({names})"
            f" AND ({' OR '.join(lines)}) THEN {cut}"
        )
    return f"CASE {' '.join(whens)} ELSE {text} END"


def _longest_beginning_with(preview: str, shown: str) -> str:
    """Spell `shown` of the longest `text` of the payload that begins so."""
    nodes = f"json_tree(content, '{_PAYLOAD}') AS node"
    texts = f"SELECT node.atom AS text FROM {nodes} WHERE node.type = 'text'"
    blocks = f"SELECT {_joined('node.value')} AS text FROM {nodes} WHERE node.type = 'array'"
    return (
        f"(SELECT {shown} FROM ({texts} UNION ALL {blocks})"
        f" WHERE substr(text, 1, length({preview})) = {preview}"
        " ORDER BY length(text) DESC LIMIT 1)"
    )


def _by_event(paths: dict[str, str]) -> str:
    """Spell the text that these events bring, by the tool's own names of them; NULL for others."""
    name = _string(f"{_PAYLOAD}.hook_event_name")
    whens = (f"WHEN '{event}' THEN {_string(f'{_PAYLOAD}.{p}')}" for event, p in paths.items())
    return f"CASE {name} {' '.join(whens)} END"


def _by_type(of_object: str) -> str:
    return (
        f"CASE {_type(_RESPONSE)} WHEN 'text' THEN {_string(_RESPONSE)} WHEN 'array'"
        f" THEN {_blocks(_RESPONSE)} WHEN 'object' THEN {of_object} ELSE {_value(_RESPONSE)} END"
    )


def _blocks(path: str) -> str:
    """Spell the text of content blocks, a line each; `json_each` gives them in their order."""
    return _joined("content", f", {_literal(path)}")


def _joined(document: str, path: str = "") -> str:
    line = (
        "CASE block.type WHEN 'text' THEN block.value"
        f" WHEN 'object' THEN {_block('block.value')} END"
    )
    return (
        f"(SELECT group_concat(line, {_LINE_END}) FROM (SELECT {line} AS line FROM"
        f" json_each({document}{path}) AS block) WHERE line <> '')"
    )


def _block(value: str) -> str:
    """Spell the text of one content block; of one without text, its type."""
    kind = (
        f"coalesce(CASE json_type({value}, '$.type') WHEN 'text'"
        f" THEN nullif(json_extract({value}, '$.type'), '') END,"
        f" (SELECT member.key FROM json_each({value}) AS member LIMIT 1), '')"
    )
    return (
        f"CASE WHEN json_type({value}, '$.text') = 'text' THEN json_extract({value}, '$.text')"
        f" ELSE '[' || {kind} || ']' END"
    )


def _is_line(line: str, prefix: str, digits: int) -> str:
    """Return whether a line is this and a number of at most so many digits."""
    suffix = f"substr({line}, {len(prefix) + 1})"
    is_number = f"{suffix} NOT GLOB '*[^0-9]*' AND length({suffix}) <= {digits}"
    return f"{line} GLOB '{prefix}[0-9]*' AND {is_number}"


def _first(*paths: str) -> str:
    strings = [_string(path) for path in paths]
    return strings[0] if len(strings) == 1 else f"coalesce({', '.join(strings)})"


def _string(path: str) -> str:
    """Spell a string of the content; NULL for another value."""
    return f"CASE WHEN {_type(path)} = 'text' THEN {_value(path)} END"


def _type(path: str) -> str:
    return f"json_type(content, {_literal(path)})"


def _value(path: str) -> str:
    return f"json_extract(content, {_literal(path)})"


def _literal(path: str) -> str:
    return f"'{path}'"
