r"""Find passwords in command lines, after options that mean a password to their program.

`-p` is a password to `sshpass`, a port to others: so each option is looked for after its programs,
in the same command. A command may be a list of strings, too: `["sshpass", "-p", "…"]`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from khive_persist.redaction.escapes import MARK, Unescaped, compiled
from khive_persist.redaction.rule import Candidate, Hit
from khive_persist.redaction.values import is_given, is_password, is_secret

# Between a program and its option, in one command.
_WITHIN = r"[^\n;|&]{0,400}?(?<=[\s\"'])"
# Between an option and its value.
_GAP = r"(?:[ \t]{1,8}[\"']?|=[\"']?|[\"'][ \t]{0,8},\s{0,80}[\"'])"
_ATTACHED = r"[\"']?"
# A quote before it may be the end of a JSON string: then it begins with one of these. What is in
# quotes right after a blank may have blanks.
_VALUE = (
    r"((?<=[ \t=p][\"'])(?![,:}\]])[^\"'`\r\n]{4,100}(?=[\"'])"
    r"|(?![,:}\]])[^\s\"'`<>;|&]{4,256})"
)
_USER = r"[\w.@+\\-]{1,128}:"
_WORD = r"[^\s;|&]{1,200}[ \t]{1,8}"
# Options of which one has `b`; with `n` none of the words after them is a file.
_OPTION = r"-\w{1,8}[ \t]{1,8}"
_OF_WHICH_ONE_HAS = rf"(?:{_OPTION}){{0,6}}-\w{{0,7}}"
_HTPASSWD = (
    rf"(?={_OF_WHICH_ONE_HAS}b)(?:(?={_OF_WHICH_ONE_HAS}n)(?:{_OPTION}){{1,6}}+{_WORD}"
    rf"|(?!{_OF_WHICH_ONE_HAS}n)(?:{_OPTION}){{1,6}}+{_WORD}{_WORD})[\"']?"
)
_WINDOW = 400
_PROGRAM_END = r"[\w.-]{0,16}+[\s\"'\\]"
_ANY_OPTION = r"(?s:.{0,400}?)[\s\"'nrt](?:-[a-zA-Z-]|/p:|add_user|change_password|password|wifi)"
_KIND = "cli_password"
_REGISTRIES = r"(?:docker|podman|buildah|skopeo|nerdctl|helm|oras|crane|regctl|oc|cf|az)\b"


class Command(NamedTuple):
    """Programs, and the options that their passwords follow.

    Attributes:
        words: The names of the programs, in lower case, separated by blanks.
        option: A pattern of the text before the password.
        prefix: A pattern that the text before the word must end with ("": any).
        is_certain: Whether nothing else can stand there, so that `root` is one, too.
    """

    words: str
    option: str
    prefix: str = ""
    is_certain: bool = False


COMMANDS: Final = (
    # https://dev.mysql.com/doc/refman/8.4/en/password-security-user.html
    Command("mysql mariadb", rf"-p(?!ort\b|ort=|rotocol|assword|=){_ATTACHED}", "", True),
    Command("sshpass", rf"-p(?:{_GAP}|{_ATTACHED})", "", True),
    Command("login", rf"(?:-p|--password){_GAP}", rf"{_REGISTRIES}[^\n;|&]{{0,40}}"),
    Command("redis-cli valkey-cli keydb-cli", rf"(?:-a|--pass){_GAP}"),
    Command("mongosh mongodump mongorestore mongoexport mongoimport", rf"-p(?:{_GAP}|{_ATTACHED})"),
    Command("twine", rf"-p{_GAP}"),
    Command("cqlsh cypher-shell evil-winrm crackmapexec netexec", rf"-p{_GAP}"),
    Command("sqlcmd", rf"-P(?:{_GAP}|{_ATTACHED})"),
    Command("ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami ldappasswd", rf"-w{_GAP}"),
    Command("openssl", rf"-pass(?:in|out)?{_GAP}pass:"),
    # https://httpd.apache.org/docs/2.4/programs/htpasswd.html
    Command("htpasswd", _HTPASSWD, "", True),
    Command("smbclient rpcclient", rf"-U(?:{_GAP}|{_ATTACHED})[^\s\"'%]{{1,128}}%"),
    Command("keytool jarsigner", rf"-(?:src|dest)?(?:store|key)pass{_GAP}"),
    Command("7z", rf"-p{_ATTACHED}"),
    Command("unzip", rf"-P{_GAP}"),
    Command("xfreerdp wfreerdp", r"/p:[\"']?"),
    Command("rabbitmqctl", rf"(?:add_user|change_password){_GAP}[^\s\"']{{1,128}}{_GAP}"),
    Command("nmcli", rf"(?:password|wifi-sec\.psk){_GAP}"),
    Command("curl wget", rf"(?:-u|-U|-a|--user|--proxy-user|--auth)(?:{_GAP}|{_ATTACHED}){_USER}"),
)  # fmt: skip


class CommandRule:
    """Find the passwords of some programs."""

    def __init__(self, command: Command) -> None:
        self.words = tuple(command.words.split())
        self._prefix = command.prefix and rf"(?i){command.prefix}\Z"
        self._pattern = rf"{_WITHIN}{command.option}{_VALUE}"
        self._check = is_given if command.is_certain else is_password

    def may_match(self, text: str, low: str, start: int, end: int) -> bool:
        return (
            compiled(_PROGRAM_END).match(low, end) is not None
            and compiled(_ANY_OPTION).match(text, end, end + _WINDOW) is not None
            and self._is_program(text, start)
        )

    def find(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        position = 0
        for start, end in hits:
            if start < position or not compiled(_PROGRAM_END).match(text.low, end):
                continue
            if not self._is_program(text.flat, start):
                continue
            match = compiled(self._pattern).match(text.flat, end)
            # Where a program's name stands many times, no part is searched for each of them.
            position = match.end() if match else end + _WINDOW // 4
            if match is not None:
                yield from _candidate(text, *match.span(1), self._check)

    def _is_program(self, text: str, start: int) -> bool:
        if not self._prefix:
            return True
        return compiled(self._prefix).search(text, max(0, start - 60), start) is not None


class UserRule:
    """Find `-u NAME:PASSWORD` and `--user NAME:PASSWORD` of any program."""

    words = ("-u", "--user", "--proxy-user")
    _PATTERN = rf"(?a)(?:{_GAP}|{_ATTACHED}){_USER}{_VALUE}"
    _ESCAPED = r"(?a)(?:[ \t]|\\++[nrt]|[\s\\\"',=]){0,90}[\w.@+\\-]{1,140}:[^\s\"'`<>]{4}"
    _BEFORE = r"(?:\A|[\s\"'(]|\\[nrt])-{0,2}\Z"

    def may_match(self, text: str, low: str, start: int, end: int) -> bool:
        return self._is_option(text, start) and bool(compiled(self._ESCAPED).match(text, end))

    def find(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        for start, end in hits:
            match = compiled(self._PATTERN).match(text.flat, end)
            if match is not None and self._is_option(text.flat, start):
                yield from _candidate(
                    text, *match.span(1), lambda value: is_secret(value, quoted=False)
                )

    def _is_option(self, text: str, start: int) -> bool:
        return compiled(self._BEFORE).search(text, max(0, start - 3), start) is not None


class InputRule:
    """Find passwords that programs read from stdin: `echo NAME:PASSWORD | chpasswd`."""

    words = ("chpasswd", "passwd --stdin", "--password-stdin")
    # https://man7.org/linux/man-pages/man8/chpasswd.8.html
    _ECHO = r"\b(?:echo|printf)\b"
    _PAIR = rf"(?<![\w.@+-]){_USER}([^\s\"'`<>;|&]{{4,256}})"
    _WORD = r"[ \t](?!-)[\"']?([^\s\"'`<>;|&]{4,256})"
    _HERE = r"[^\n;|&<]{0,80}<<(?:<[ \t]{0,4}|-?[ \t]{0,4}[\"']?\w{1,40}[\"']?[ \t]{0,4}\r?\n)"
    _LINES = rf"[\"']?{_USER}([^\s\"'`<>;|&]{{4,256}})[\"']?(?:\r?\n|\Z)?"

    def may_match(self, text: str, low: str, start: int, end: int) -> bool:
        preceding = low[max(0, start - _WINDOW) : start]
        return "|" in preceding or "<<" in low[end : end + _WINDOW]

    def find(self, text: Unescaped, hits: Sequence[Hit]) -> Iterator[Candidate]:
        for start, end in hits:
            is_pairs = text.low.startswith("chpasswd", start)
            pipe = text.flat.rfind("|", max(0, start - _WINDOW), start)
            echo_ends = [
                match.end()
                for match in compiled(self._ECHO).finditer(text.flat, max(0, pipe - _WINDOW), pipe)
            ]
            if pipe >= 0 and echo_ends and text.flat.find("\n", pipe, start) < 0:
                pattern = compiled(self._PAIR if is_pairs else self._WORD)
                for match in pattern.finditer(text.flat, echo_ends[-1], pipe):
                    yield from _candidate(text, *match.span(1), is_given)
            heredoc = compiled(self._HERE).match(text.flat, end) if is_pairs else None
            at = heredoc.end() if heredoc else len(text.flat)
            while line := compiled(self._LINES).match(text.flat, at):
                at = line.end()
                yield from _candidate(text, *line.span(1), is_given)


def command_rules() -> list[CommandRule | UserRule | InputRule]:
    """Make the rules of all commands."""
    return [*map(CommandRule, COMMANDS), UserRule(), InputRule()]


def _candidate(
    text: Unescaped, start: int, end: int, check: Callable[[str], bool]
) -> Iterator[Candidate]:
    end = start + len(text.flat[start:end].rstrip(",)]}"))
    if not text.flat.startswith(MARK, end) and check(text.flat[start:end]):
        yield *text.span(start, end), _KIND, ""
