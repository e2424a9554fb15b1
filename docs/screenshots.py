"""Makes the pictures of the pages: ``python docs/screenshots.py`` (Chromium, playwright, pillow)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from authhost_analytics.comparison import read_comparison
from authhost_analytics.page import render_page
from authhost_analytics.queries import read_report
from authhost_analytics.spans import Span
from authhost_audit.plugin import AuditPlugin
from authhost_email.plugin import EmailPlugin
from authhost_hookspecs import Actor
from authhost_mfa.plugin import MfaPlugin
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import create_engine
from waitress.server import create_server

from authhost.testing import PASSWORD, Clock, Mailbox, open_host
from authhost.testing.openid import LocalProvider
from authhost.web.wsgi import WSGIApp

IMAGES = Path(__file__).parent / "images" / "web"
ANN, ADMIN = "ann@example.org", "admin@example.org"
WINDOW, PHONE = {"width": 620, "height": 560}, {"width": 390, "height": 720}
WIDE = {"width": 900, "height": 680}
GAP = 8
ACCOUNT = ("/", "/emails", "/sessions", "/password")


SIMULATION = Path(__file__).parents[1] / "tests" / "benchmarks" / "analytics.py"
REPORT = Span(date(2025, 7, 1), date(2025, 12, 17), "week")


def report_picture(browser: Browser, folder: str) -> None:
    """Take the picture of the HTML report of authhost-analytics, of a simulated year."""
    database = f"sqlite:///{folder}/year.sqlite3"
    size = ["--users", "3000", "--events", "60000"]
    command = [sys.executable, str(SIMULATION), *size, "--database", database]
    subprocess.run(command, check=True)  # noqa: S603
    engine = create_engine(database)
    now = datetime(2025, 12, 17, 12, tzinfo=UTC)
    site: Any = SimpleNamespace(engine=engine, reader=engine, now=now)
    report, comparison = read_report(site, REPORT), read_comparison(site, REPORT)
    engine.dispose()
    page = browser.new_page(viewport={"width": 1000, "height": 1400})
    page.set_content(render_page(report, site_name="Teapots", made_at=now, smallest=5, comparison=comparison))
    with Image.open(BytesIO(page.screenshot())) as image:
        image.convert("RGB").quantize(64).save(IMAGES.parent / "analytics-report.png", optimize=True)


def administration(browser: Browser, folder: str) -> None:
    """Take the pictures of the pages of administrators, with the sections of three plugins."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        host = open_host(
            f"sqlite:///{folder}/administration.sqlite3",
            {"mailbox": Mailbox(), "audit": AuditPlugin(), "email": EmailPlugin(), "mfa": MfaPlugin()},
            clock=Clock(),
            base_url=url,
            site_name="Teapots",
            administrators=[ADMIN],
            email_verification="optional",
            plugin_settings={"email": {"transport": "console", "delivery": "manual"}},
        )
        server = create_server(WSGIApp(host), sockets=[listener], threads=4)
        threading.Thread(target=server.run, daemon=True).start()
        operator = Actor("operator", name="ops")
        for number, name in enumerate(("dora", "carl", "bob", "ann")):
            user = host.users.create(f"{name}@example.org", verified=number > 0, actor=operator)
        host.users.deactivate(host.users.get("carl@example.org").id, reason="Sends spam.", actor=operator)
        host.users.add_email(user.id, "ann@work.example.org", actor=operator)
        host.users.send_reset(user.id, actor=operator)
        context = browser.new_context(viewport=WIDE)
        page = context.new_page()
        page.goto(f"{url}/account/signup")
        page.fill("[name=email]", ADMIN)
        page.fill("[name=password]", PASSWORD)
        page.click("main form button:not(.reveal)")
        page.wait_for_url("**/account/**")
        host.users.verify_email(host.users.get(ADMIN).id, ADMIN, actor=operator)
        paths = ("/admin", f"/admin/user?id={user.id}")
        pictures = [shot(page, url, path) for path in paths]
        for options in ({"color_scheme": "dark"}, {"locale": "ar"}):
            other = browser.new_context(viewport=WIDE, **options)
            other.add_cookies(context.cookies())
            pictures.append(shot(other.new_page(), url, paths[1 if options.get("locale") else 0]))
            other.close()
        sheet("administration.png", pictures)
        context.close()
        server.close()
        host.close()


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("there is no chromium; install it, for example with apt-get install chromium")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as listener,
        LocalProvider().start() as provider,
        sync_playwright() as playwright,
    ):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        providers = {"corp": {**provider.settings["corp"], "name": "Example Corp"}}
        host = open_host(
            f"sqlite:///{folder}/site.sqlite3",
            {"mailbox": Mailbox()},
            clock=Clock(),
            base_url=url,
            site_name="Teapots",
            providers=providers,
            email_verification="mandatory",
            login_on_email_confirmation=True,
        )
        server = create_server(WSGIApp(host), sockets=[listener], threads=4)
        threading.Thread(target=server.run, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        take_all(browser, url, host)
        report_picture(browser, folder)
        administration(browser, folder)
        browser.close()
        server.close()
        host.close()


def take_all(browser: Browser, url: str, host: Any) -> None:
    """Take all pictures: those of a visitor, then those of a logged-in user."""
    mailbox = next(each.plugin for each in host.registry.loaded() if each.name == "mailbox")
    context = browser.new_context(viewport=WINDOW)
    page = context.new_page()
    visitor = [shot(page, url, path) for path in ("/login", "/signup", "/forgot-password")]
    page.goto(f"{url}/account/signup")
    page.fill("[name=email]", ANN)
    page.fill("[name=password]", PASSWORD)
    page.click("main form button:not(.reveal)")
    visitor.append(picture(page))
    page.goto(f"{url}/account/confirm-email/{mailbox.key()}")
    page.click("main form button:not(.reveal)")
    cookies = context.cookies()
    sheet("light.png", visitor)
    sheet("account.png", [shot(page, url, path) for path in ACCOUNT])
    sheet("demo.png", [visitor[0], shot(page, url, "/emails")])
    for name, options in {
        "dark.png": {"viewport": WINDOW, "color_scheme": "dark"},
        "phone.png": {"viewport": PHONE},
        "arabic.png": {"viewport": WINDOW, "locale": "ar"},
    }.items():
        other = browser.new_context(**options)
        other_page = other.new_page()
        first = shot(other_page, url, "/login")
        other.add_cookies(cookies)
        sheet(name, [first, *(shot(other_page, url, path) for path in ("/", "/emails", "/sessions"))])
        other.close()


def shot(page: Any, url: str, path: str) -> Image.Image:
    page.goto(f"{url}/account{path}")
    return picture(page)


def picture(page: Any) -> Image.Image:
    file = Path(tempfile.gettempdir()) / "authhost-screenshot.png"
    page.screenshot(path=str(file))
    with Image.open(file) as image:
        found = image.convert("RGB")
    file.unlink()
    return found


def sheet(name: str, pictures: list[Image.Image]) -> None:
    """Write pictures side by side, two in a row; phones all in one row."""
    columns = len(pictures) if pictures[0].width < 500 else 2
    rows = -(-len(pictures) // columns)
    width, height = pictures[0].size
    whole = Image.new("RGB", (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP), (255, 255, 255))
    for number, each in enumerate(pictures):
        whole.paste(each, (number % columns * (width + GAP), number // columns * (height + GAP)))
    whole.quantize(64).save(IMAGES / name, optimize=True)


if __name__ == "__main__":
    main()
