#!/bin/sh
# Records one event of an AI tool: khive-hook.sh claude-code|codex|gemini-cli < payload
#
# What `khive-persist hooks install` writes into a tool's settings, as a file to read and copy. Set
# KHIVE_PYTHON to the interpreter that khive-persist is installed for; a pyenv or asdf shim would take
# longer than the hook itself.
python=${KHIVE_PYTHON:-python3}
hook=${KHIVE_HOOK:-$("$python" -c 'from khive_persist.capture import hook_path; print(hook_path())')}
# A missing interpreter gives 127, a missing file 2: codes that block the user's tool, and Copilot CLI,
# which runs Claude Code's hooks, refuses one on any code but 0.
"$python" -I -S "$hook" --tool "$1" || exit 0
