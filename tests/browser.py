"""A real Chromium without a screen, by Playwright, for tests of the pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    expect,
    sync_playwright,
)

from tests.servers import PATIENCE_S

#: no sandbox, which root may not have; and nothing that dials out by itself
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
PATIENCE_MS = PATIENCE_S * 1000
WIDTH, HEIGHT = 1440, 900


class Visit:
    """One page of a browser. `complaints` are what a page must not cause: errors and warnings of its scripts
    and of its policy, dialogs, and requests to anybody but the site."""

    def __init__(self, context: BrowserContext, site: str) -> None:
        self.site = site
        self.complaints: list[str] = []
        #: answers that a test expects to fail; a browser reports them as errors
        self.expected: list[str] = []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", self._dismiss)
        self.page.on("request", self._see)

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.site + path)
        return self.page

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(text in message.text for text in self.expected):
            self.complaints.append(f"{message.type}: {message.text}")

    def _dismiss(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _see(self, request: Request) -> None:
        url = urlsplit(request.url)
        if f"{url.scheme}://{url.netloc}" != self.site and url.scheme != "data":
            self.complaints.append(f"request: {request.url}")


class Browser:
    """Runs from its making until `close`."""

    def __init__(self) -> None:
        expect.set_options(timeout=PATIENCE_MS)
        self._playwright = sync_playwright().start()
        try:
            self._browser = self._playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=[*FLAGS], timeout=PATIENCE_MS
            )
        except BaseException:
            self._playwright.stop()
            raise

    @contextmanager
    def visit(
        self,
        site: str,
        *,
        dark: bool = False,
        width: int = WIDTH,
        height: int = HEIGHT,
        scripts: bool = True,
    ) -> Iterator[Visit]:
        """A window of its own, without cookies or cache. At its end there must be no complaint."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
            locale="en-GB",
            timezone_id="UTC",
            reduced_motion="reduce",
        )
        try:
            visit = Visit(context, site)
            yield visit
            assert visit.complaints == []
        finally:
            context.close()

    def close(self) -> None:
        self._browser.close()
        self._playwright.stop()
