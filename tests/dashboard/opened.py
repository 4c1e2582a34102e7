"""A page of the dashboard, and what it did that it must not do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from playwright.sync_api import Browser, Dialog, Page, Request, expect

from tests.server.process import Server

# On a machine that does other things, too, which come before a comparison's process.
PATIENCE = 50_000
expect.set_options(timeout=PATIENCE)


class Opened:
    """A page in a context of its own.

    Attributes:
        page: Of playwright.
        errors: What stood in the console, and what was raised.
        elsewhere: Requests to anything but the server.
        dialogs: What asked the user.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self.dialogs: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("request", self._requested)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text))
        page.on("dialog", self._dismiss)

    @classmethod
    @contextmanager
    def of(cls, browser: Browser, server: Server, **options: Any) -> Iterator[Self]:
        options = {"viewport": {"width": 1280, "height": 800}} | options
        context = browser.new_context(timezone_id="Asia/Kolkata", **options)
        yield cls(context.new_page(), server.url)
        context.close()

    def log_in(self, token: str) -> None:
        """Get the cookie, without the page."""
        answer = self.page.context.request.post(f"{self.url}/login", data={"token": token})
        assert answer.ok, answer.text()

    def go(self, hash: str) -> Page:
        """Open a page by its address, as a link from elsewhere does."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}/{hash}")
        return self.page

    def follow(self, hash: str) -> None:
        """Go to another page of the one that is loaded, as a link of its own does."""
        self.page.goto(f"{self.url}/{hash}")

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((self.url + "/", "about:", "data:")):
            self.elsewhere.append(request.url)

    def _dismiss(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()
