"""`Outcome`: a verdict on how a session ended."""

from typing import Any, ClassVar, Final, Literal, Required, get_args

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from khive_persist.models.node import Node
from khive_persist.models.purposes import OUTCOMES, Purpose

Verdict = Literal["success", "partial", "failure"]
VerdictSource = Literal["person", "rule"]

VERDICTS: Final = get_args(Verdict)


@with_config(ConfigDict(extra="allow"))
class OutcomeContent(TypedDict, total=False):
    """The content of a verdict. Unknown fields are kept.

    `session_id` is that of the agent's session, or of the plan that it carried out. `source` says
    who judged: a person, as where it is absent, or a rule of some program. Of several verdicts on
    one session the latest of a person counts, else the latest of a rule.
    """

    session_id: Required[str]
    verdict: Required[Verdict]
    note: str
    source: VerdictSource
    metadata: dict[str, Any]


class Outcome(Node):
    """One verdict on one session. Another one is another record: none is overwritten."""

    purpose: ClassVar[Purpose] = OUTCOMES

    content: OutcomeContent
