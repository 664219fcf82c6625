"""A visitor: somebody at a browser, watched for what no page may do, and for what axe finds that people cannot read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, expect, sync_playwright

from tests.browser import provision

PATIENCE = 30_000  # milliseconds, on a machine that is busy with other tests
ARGUMENTS = (
    "--no-sandbox",  # Chromium refuses to run as root with it
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; caret-color: transparent }"

# What axe looks for: in the light theme all of WCAG 2.1 A and AA, in the dark one what depends on colours.
RULES: dict[str, dict[str, str | list[str]]] = {
    "light": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]},
    "dark": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
}

expect.set_options(timeout=PATIENCE)

Theme = Literal["light", "dark"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium without a window. While it is there, Django takes the thread for one that runs an event loop."""
    path = provision.chromium()
    assert path is not None, "the caller looks whether there is one"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """Somebody with a browser of their own, looking at the product at `url`.

    `complaints` collects what no page may do: log an error or a warning, ask another host, get an answer of 400 or more.
    """

    def __init__(self, browser: Browser, url: str, width: int = 1440, height: int = 1000) -> None:
        self.url = url.rstrip("/")
        self.complaints: list[str] = []
        self.page: Page = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
        self.page.set_default_timeout(PATIENCE)
        self._watch()

    def _watch(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{self.page.url}: {error}"))
        self.page.on("request", self._asked)
        self.page.on("response", self._answered)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{self.page.url}: console {message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:", "blob:")):
            self.complaints.append(f"{self.page.url}: asks {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{self.page.url}: {response.status} for {response.url}")

    def log_in(self, name: str, password: str) -> None:
        """Sign in through the form, and arrive at the dashboard."""
        self.open("/admin/login/")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page).to_have_url(f"{self.url}/admin/")

    def open(self, path: str) -> None:
        """Go to an address of the product."""
        self.page.goto(self.url + path)

    def settle(self) -> None:
        """Stop what moves, and have all letters drawn."""
        self.page.add_style_tag(content=STILL)
        self.page.evaluate("document.fonts.ready.then(() => true)")

    def wear(self, theme: Theme) -> None:
        """Switch between light and dark, as the skin's own switch does."""
        self.page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", theme == "dark")

    def violations(self, theme: Theme) -> list[str]:
        """What axe finds on the page in a theme: rule, element and reason of each."""
        self.wear(theme)
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(f"{provision.AXE.read_text(encoding='utf-8')}; undefined")
        found: list[dict[str, Any]] = self.page.evaluate(
            "rules => axe.run({runOnly: rules, resultTypes: ['violations']}).then(results => results.violations)",
            RULES[theme],
        )
        return [
            f"{theme}: {rule['id']}: {node['html'][:160]} {node['failureSummary'].splitlines()[-1].strip()[:200]}"
            for rule in found
            for node in rule["nodes"]
        ]
