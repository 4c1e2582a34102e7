"""Secrets: finding them in what agents send, and putting stable placeholders in their place.

The way of a text: `escapes` undoes every level of escaping and remembers the way back; `rules` (the
table of token formats), `assignments` (a name, then a value) and `private_keys` (PEM) find spans;
`values` says which values look like secrets; `redactor` merges the spans and writes placeholders.
"""

from khive_persist.redaction.redactor import Redactor

__all__ = ["Redactor"]
