"""Keep the values of ids, working directories and paths in JSON, which are no secrets.

A row whose session id or path was replaced could not be found again, nor be joined with others.
"""

from khive_persist.redaction.escapes import compiled

_ENTITY = (
    "session|tool_?use|tool_?call|call|request|message|agent|turn|prompt|thread|conversation|event|"
    "trace|span|parent|parent_?tool_?use|task|run|item|response|previous_?response|leaf|"
    "logical_?parent|source_?tool_?assistant|hook|team"
)
_KEY = (
    rf"\\*\"((?i:(?:{_ENTITY})_?(?:ids?|uuid)|id|uuid|cwd|workdir|worktree|directory)"
    r"|(?:\w{1,40}_)?(?:path|paths|dir)|[a-z]\w{0,40}(?:Path|Paths|Dir))\\*\"\s{0,4}:\s{0,4}\Z"
)
_MAX_KEY = 100
_MAX_VALUE = 4096
# URLs and queries are no paths of files; of blanks, only working directories are believed.
_PLACE = r"(?:/|~|\.{1,2}/|[A-Za-z]:\\)(?!.*(?:://|[?\s]|\\[nrt]))|(?!.*[/?=&:\s])"
_WORKING = r"(?!.*://)"


def is_kept(raw: str, start: int, *, by_form: bool) -> bool:
    """Return whether what begins at an index of escaped JSON is a part of an id or a path.

    With `by_form` it is a secret by its form: an `id` that is a token is one.
    """
    quote = raw.rfind('"', max(0, start - _MAX_VALUE), start)
    if quote < 0:
        return False
    opening = quote
    while opening and raw[opening - 1] == "\\":
        opening -= 1
    key = compiled(_KEY).search(raw, max(0, opening - _MAX_KEY), opening)
    if key is None:
        bracket = raw.rfind("[", max(0, opening - _MAX_VALUE), opening)
        if bracket < 0 or compiled(r"[\]{}:]").search(raw, bracket, opening):
            return False
        key = compiled(_KEY).search(raw, max(0, bracket - _MAX_KEY), bracket)
    if key is None or (by_form and key[1] in ("id", "uuid")):
        return False
    end = raw.find('"', start, quote + _MAX_VALUE)
    pattern = _WORKING if key[1] == "cwd" or key[1].startswith("transcript") else _PLACE
    return end >= 0 and compiled(pattern).match(raw[quote + 1 : end]) is not None
