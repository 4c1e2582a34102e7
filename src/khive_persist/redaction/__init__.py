"""Find secrets in what agents send, and put stable placeholders in their place.

The way of a text: `search` looks for the words of all rules in one pass, and where one may match,
`escapes` undoes every level of escaping and remembers the way back. The rules find spans: `tokens`
is the table of formats, `patterns` of what stands around secrets, `commands` of options,
`assignments` reads names (`names`) and values (`values`), `cookies` and `private_keys` are what
their names say. `places` knows the fields that hold no secret, `own_patterns` a person's
expressions; `redactor` merges the spans and writes placeholders.
"""

from khive_persist.redaction.redactor import Redactor

__all__ = ["Redactor"]
