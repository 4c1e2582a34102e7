"""Names of locals and parameters are nouns of what they hold; docstrings begin with a verb."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "khive_persist"
# Participles, pronouns and adverbs that stand for any value at all.
VAGUE = re.compile(
    r"after|ago|answered|apart|around|asked|aside|away|before|begin|begun|changed|counted|"
    r"done|drawn|each|ended|few|found|gathered|given|gone|half|here|how|kept|known|later|"
    r"left|less|lost|made|many|meant|missed|more|named|near|now|one|ones|own|past|put|"
    r"rest|same|said|seen|sent|shown|some|sought|stored|such|taken|that|there|these|this|"
    r"those|thus|told|tried|waiting|wanted|what|when|where|which|who|whole|whose|why|"
    r"written"
)
QUESTION = re.compile(r"\W*(As|How|It|Of|They|What|Where|Whether|Which|Who|Whose|Why)\b")
# A hundredth would be many: each is a reader who has to look elsewhere.
MOST = 0.005


@cache
def _trees() -> list[tuple[Path, ast.Module]]:
    return [
        (path.relative_to(PACKAGE), ast.parse(path.read_text("utf-8")))
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


def _names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


def test_names_say_what_they_hold() -> None:
    names = [(path, *name) for path, tree in _trees() for name in _names(tree)]
    vague = [
        f"{path}:{line}: {name}" for path, line, name in names if VAGUE.fullmatch(name.strip("_"))
    ]
    assert len(vague) <= MOST * len(names), vague


def test_docstrings_begin_with_a_verb() -> None:
    texts = [(path, *text) for path, tree in _trees() for text in _docstrings(tree)]
    questions = [
        f"{path}:{line}: {text.splitlines()[0]}"
        for path, line, text in texts
        if QUESTION.match(text)
    ]
    assert len(questions) <= MOST * len(texts), questions


def test_arguments_are_explained_by_a_noun() -> None:
    explained = [
        f"{path}:{line}: {entry}"
        for path, tree in _trees()
        for line, text in _docstrings(tree)
        for entry in re.findall(
            r"^ +[a-z_]+: (?:It|Them|Where|Who|What|Which|How)\b.*$",
            text,
            re.MULTILINE,
        )
    ]
    assert explained == []
