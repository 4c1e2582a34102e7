"""The part of a team that a role may see: of a member their own records, and the sums of all."""

from typing import Final

from starlette.requests import Request

from khive_persist.server.http.errors import HTTPError
from khive_persist.server.http.tokens import Token
from khive_persist.server.request.auth import CREDENTIAL
from khive_persist.server.routes.read.operations import ReadRequest
from khive_persist.server.routes.read.parameters import SINCE, UNTIL, Parameter
from khive_persist.store.postgres.team_reading import TeamFilter

PERSON: Final = Parameter("person", "text", "Of this person: a name or a keyed hash.")
MACHINE: Final = Parameter("machine", "text", "Of this machine.")
PROJECT: Final = Parameter("project", "text", "Of this project.")
TOOL: Final = Parameter("tool", "text", "Of this client, as `claude-code`.")
FILTERS: Final = (SINCE, UNTIL, PERSON, MACHINE, PROJECT, TOOL)


def credential_of(request: Request) -> Token:
    """Return the token of a request to a team's server, which always asks for one."""
    token = request.scope[CREDENTIAL]
    assert isinstance(token, Token)
    return token


def part_of(query: ReadRequest) -> TeamFilter:
    """Return the part of the team that a request is about."""
    return TeamFilter(*(query[parameter.name] for parameter in FILTERS))


def part_of_sums(query: ReadRequest, *, names_people: bool = False) -> TeamFilter:
    """Return the part of the team whose sums a request asks for.

    Raises:
        HTTPError: 403; it is a member's, about a person or machine that is not theirs.
    """
    part, member = part_of(query), credential_of(query.request).person
    is_of_others = part.machine is not None or names_people or part.person is not None
    if member is not None and part.person != member and is_of_others:
        raise _refused(member)
    return part


def part_of_sessions(query: ReadRequest) -> TeamFilter:
    """Return the part of the team whose sessions a request asks for: a member's are their member.

    Raises:
        HTTPError: 403; it is a member's, about somebody else.
    """
    part, member = part_of(query), credential_of(query.request).person
    if member is None:
        return part
    if part.person not in (None, member):
        raise _refused(member)
    return part._replace(person=member)


def check_person(token: Token, person: str) -> None:
    """Check that a token is for the records of a person.

    Raises:
        HTTPError: 403; it is for those of somebody else.
    """
    if token.person is not None and token.person != person:
        raise _refused(token.person)


def _refused(member: str) -> HTTPError:
    return HTTPError(
        403,
        "person",
        "this token is of a member, who sees their own records and the sums of all",
        hint=f"ask with person={member}",
    )
