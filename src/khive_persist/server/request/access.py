"""The access of requests to a server: what says whose they are, and what they may ask for."""

import hashlib
import os

from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.server.http.tokens import Tokens
from khive_persist.server.request.login_links import LoginLinks
from khive_persist.server.request.refused_tokens import RefusedTokenLog


class Access:
    """The access to one server: its tokens and logins, and whether it asks for any.

    Attributes:
        live: The settings in force, which say whether a token is needed.
        is_of_team: Whether it is a team's server, which always asks for one.
        tokens: The tokens and their rights.
        refused_tokens: The log of tokens that are not known.
        cookie: The name of the cookie of a login.
        secret: The key that signs the cookies of this process.
        login_links: The links that log a browser in once.
        ended_logins: The logins that were ended early, and the time until which each was valid.
    """

    def __init__(self, project: Project, live: LiveSettings, *, is_of_team: bool = False) -> None:
        self.live = live
        self.is_of_team = is_of_team
        self.tokens = Tokens(project)
        self.refused_tokens = RefusedTokenLog()
        # Cookies know no ports: two servers of one machine must not take each other's.
        self.cookie = "khive_" + hashlib.sha256(os.fsencode(project.root)).hexdigest()[:12]
        self.secret = os.urandom(32)
        self.login_links = LoginLinks(self.tokens)
        self.ended_logins: dict[str, int] = {}

    @property
    def needs_token(self) -> bool:
        """True where a request needs a token."""
        return self.is_of_team or self.live.settings.server_require_token
