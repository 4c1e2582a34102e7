"""The words that are no person's: they leave in the form `metrics` as they are.

Any other word, as the name of a tool of an MCP server, may be a name, and leaves as a hash.
"""

import re
from datetime import UTC, datetime
from functools import cache
from typing import Final

from khive_persist.models.event_types import POST, PRE
from khive_persist.models.purposes import HOOK_EVENTS, OTHER_CLIENTS
from khive_persist.prices import PriceTable
from khive_persist.tools.message_part import NO_MESSAGE
from khive_persist.tools.registry import TOOLS

CLIENTS: Final = frozenset({*HOOK_EVENTS, *OTHER_CLIENTS})
ROLES: Final = frozenset({"user", "assistant", "tool", "system", "developer", NO_MESSAGE})
MESSAGE_KINDS: Final = frozenset(
    {"message", "compaction", "context", "cost", "hook", "prompt", "summary", "tool", "usage"}
)
AGENT_TYPES: Final = frozenset({"Explore", "Plan", "general", "general-purpose", "subagent"})
COMPLEXITIES: Final = frozenset({"simple", "medium", "complex", "very_complex"})
# The clients' own tools, by the names that their events and transcripts have.
_TOOL_NAMES: Final = """
    Agent ApplyPatch AskQuestion AskUser AskUserQuestion Bash BashOutput Create CreatePlan
    CronCreate CronDelete CronList Delete Edit EditNotebook EnterPlanMode EnterWorktree Execute
    ExitPlanMode ExitSpecMode ExitWorktree FetchURL FetchUrl Glob Grep KillBash KillShell LS LSP
    ListMcpResourcesTool Monitor MultiEdit NotebookEdit NotebookRead PowerShell Read ReadFile
    ReadLints ReadMcpResourceTool ReadMediaFile SearchWeb SemanticSearch SendMessage SetTodoList
    Shell Skill SlashCommand StrReplace StrReplaceFile StructuredOutput SwitchMode Task TaskCreate
    TaskGet TaskList TaskOutput TaskStop TaskUpdate TeamCreate TeamDelete Think TodoList TodoRead
    TodoWrite ToolSearch WebFetch WebSearch Write WriteFile access_mcp_resource activate_skill
    agent apply_patch ask_followup_question ask_user ask_user_question attempt_completion bash
    batch browser_action close_agent codebase_investigator codesearch complete_task create
    delegate_to_agent edit editor enter_plan_mode exec_command execute_command exit_plan_mode
    fetch_web_content find get_internal_docs glob google_web_search grep grep_search invoke_agent
    list list_agents list_bash list_code_definition_names list_directory list_files
    list_mcp_resources local_shell ls lsp multi_agent_v1close_agent multi_agent_v1resume_agent
    multi_agent_v1send_input multi_agent_v1spawn_agent multi_agent_v1wait_agent multiedit new_task
    notebook_edit patch plan_mode_respond powershell question read read_agent read_bash read_file
    read_files read_many_files read_mcp_resource replace replace_in_file report_intent
    request_user_input resume_agent run_commands run_shell_command save_memory search_codebase
    search_file_content search_files send_input shell skill spawn_agent stop_bash
    str_replace_editor task team_spawn_teammate todo_write todoread todowrite update_plan
    update_todo use_mcp_tool view view_image wait_agent web_fetch web_search webfetch websearch
    write write_bash write_file write_stdin write_to_file write_todos
"""
TOOL_NAMES: Final = frozenset(_TOOL_NAMES.split())
# Prices that hold from some day on hold then.
_LAST_DAY: Final = datetime(9999, 1, 1, tzinfo=UTC)
# A maker's name, and words that no fine-tuned or local model is told by.
_MODEL: Final = re.compile(
    r"(?:claude|gpt|gemini|codex|grok|qwen|kimi|glm|deepseek|o)"
    r"(?:[-.]?(?:opus|sonnet|haiku|fable|mythos|mini|nano|pro|flash|lite|max|codex|preview|latest"
    r"|turbo|fast|thinking|exp|coder|plus|air|oss|instant|reasoner|chat|[kv]?\d[\d.]{0,9}[bko]?))"
    r"{1,8}(?:\[1m\])?"
)


@cache
def event_types() -> frozenset[str]:
    """Return the types of the events that are registered for, and those of tool calls."""
    types = (
        tool.describe({"hook_event_name": hook.event}).get("event_type")
        for tool in TOOLS.values()
        for hook in tool.registration.hooks
    )
    return frozenset({*PRE, *POST, "unparsed", *(name for name in types if isinstance(name, str))})


@cache
def model_name(model: str) -> str | None:
    """Return a model's public name, without what a reseller put around it; None for no such one."""
    price = _list_prices().price(model, _LAST_DAY, 0)
    if price is not None:
        return price.model
    return model if _MODEL.fullmatch(model) else None


@cache
def _list_prices() -> PriceTable:
    return PriceTable()
