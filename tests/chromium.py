"""A real Chromium, without a screen, for pages of ours."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

# The one without windows first: around each page the others have some of their own.
_PROGRAMS: Final = ("chromium-headless-shell", "chromium", "google-chrome")
_FLAGS: Final = (
    # As root it has no sandbox; and it is to look nothing up by itself.
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    # All that it shows is ours, and new processes for each load are a quarter of its work.
    "--renderer-process-limit=1", "--disable-site-isolation-trials",
)  # fmt: skip


# Moves a scrubber, if there is one, to another project in each of some frames.
_SCRUB: Final = """async ([scrubber, frames]) => {
  const input = document.querySelector(scrubber);
  for (let n = 0; n < frames; n++) {
    if (input) {
      input.value = String(Math.round(input.max * ((n * 37) % frames) / frames));
      input.dispatchEvent(new Event('input', { bubbles: true }));
    }
    await new Promise(requestAnimationFrame);
  }
}"""


def scrubbing_seconds(page: Page, scrubber: str, frames: int = 200) -> float:
    """How long the page computes for each frame while it is scrubbed.

    By the clock of its thread: what else the machine does adds nothing to that.
    """
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def computed() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float({one["name"]: one["value"] for one in metrics}["TaskDuration"])

    before = computed()
    page.evaluate(_SCRUB, [scrubber, frames])
    return (computed() - before) / frames


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start it; the test is skipped where none is installed."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if path is None:
        pytest.skip("no Chromium is installed: apt-get install chromium, or name it in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()
