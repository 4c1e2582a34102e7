"""Names in SQL text: those that are words of SQL stand in quotes, the others as they are.

A name that needs no quotes gets none, so that the definitions of tables and indexes in existing
files keep their text.
"""

from typing import Final

# https://sqlite.org/lang_keywords.html
_WORDS: Final = """
    abort action add after all alter always analyze and as asc attach autoincrement before begin
    between by cascade case cast check collate column commit conflict constraint create cross
    current current_date current_time current_timestamp database default deferrable deferred delete
    desc detach distinct do drop each else end escape except exclude exclusive exists explain fail
    filter first following for foreign from full generated glob group groups having if ignore
    immediate in index indexed initially inner insert instead intersect into is isnull join key
    last left like limit match materialized natural no not nothing notnull null nulls of offset on
    or order others outer over partition plan pragma preceding primary query raise range recursive
    references regexp reindex release rename replace restrict returning right rollback row rows
    savepoint select set table temp temporary then ties to transaction trigger unbounded union
    unique update using vacuum values view virtual when where window with within without
"""
KEYWORDS: Final = frozenset(_WORDS.split())


def quoted(name: str) -> str:
    """Spell a checked name as it stands in SQL."""
    return f'"{name}"' if name.lower() in KEYWORDS else name
