"""The suite reports pages and endpoints that fail, or that change something by GET."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from authhost_hookspecs import (
    AdminAction,
    AdminPage,
    AdminPanel,
    ApiRoute,
    Field,
    Form,
    Link,
    Page,
    PageRoute,
    Panel,
    Refused,
    Section,
    hookimpl,
)
from sqlalchemy import select

from authhost.testing.conformance.runner import run_check
from conformance.plugins import WithTable, ids_of, notes

TEXT = Field("text", "Text", max_length=150)
DAY = Field("day", "Day", "date", required=False)


def show(request):
    return Page("notes", "Notes", forms=(Form("/note", "Save", (TEXT,)),))


def store(request, values=None):
    row = {"user_id": request.user.id, "text": values["text"] if values else "shown", "at": None}
    request.db.execute(notes.insert(), row)


class Correct(WithTable):
    """Refuses what is wrong, writes in its action, and shows what it has written."""

    @hookimpl
    def register_routes(self):
        return [
            PageRoute("/note", show, self.change, (TEXT,)),
            ApiRoute("GET", "/note", lambda request, values: {"count": 0}, "Count."),
            ApiRoute("POST", "/note", self.change, "Store.", (TEXT,)),
        ]

    @hookimpl
    def register_panels(self):
        link = Link("More", "/note")
        panels = [
            Panel(page, lambda request: Section("Notes", links=(link,)))
            for page in ("login", "signup", "reauthenticate")
        ]
        panels.append(
            AdminPanel(
                lambda request, user: Section("Notes", (user.email,), forms=(Form("/admin", "Do", (TEXT,)),)),
                (AdminPage("/all", lambda request, user, values: Page("all", user.email), (DAY,)),),
                (AdminAction("/admin", lambda request, user, values: None, "Do.", (TEXT,)),),
            )
        )
        return [lambda request: Section("Notes", (request.user.email,), links=(link,)), *panels]

    def change(self, request, values):
        if "<" in values["text"]:
            raise Refused("html", "No HTML, please.", field="text")
        store(request, values)


class Routes(WithTable):
    def routes(self):
        return []

    @hookimpl
    def register_routes(self):
        return self.routes()


class FailsForVisitors(Routes):
    def routes(self):
        return [PageRoute("/note", lambda request: Page("x", request.user.email), login=False)]


class WritesWhenShown(Routes):
    def routes(self):
        def shown(request):
            store(request)
            return Page("x", "X")

        return [PageRoute("/note", shown)]


class WritesByGet(Routes):
    def routes(self):
        return [ApiRoute("GET", "/note", lambda request, values: store(request), "Store.")]


class FailsForMissingValues(Routes):
    def routes(self):
        optional = Field("text", "Text", required=False)
        return [
            ApiRoute(
                "POST",
                "/note",
                lambda request, values: {"x": 1 / len(values["text"])},
                "Divide.",
                (optional,),
            )
        ]


class ReadsAnotherField(Routes):
    def routes(self):
        return [
            PageRoute(
                "/note", show, lambda request, values: store(request, {"text": values["note"]}), (TEXT,)
            )
        ]


class FormWithoutAction(Routes):
    def routes(self):
        return [PageRoute("/note", show)]


class FormWithUnknownField(Routes):
    def routes(self):
        other = Field("other", "Other", required=False)
        page = Page("x", "X", forms=(Form("/note", "Save", (TEXT, other)),))
        return [PageRoute("/note", lambda request: page, store, (TEXT,))]


class TwiceTheSamePath(Routes):
    def routes(self):
        return [PageRoute("/note", show), PageRoute("/note", show)]


class NoJson(Routes):
    def routes(self):
        return [ApiRoute("GET", "/note", lambda request, values: {"x": object()}, "Read.")]


class PanelFails(WithTable):
    @hookimpl
    def register_panels(self):
        return [lambda request: Section("Notes", (request.user.phone,))]


class AdminPanelFails(WithTable):
    @hookimpl
    def register_panels(self):
        return [AdminPanel(lambda request, user: Section("Notes", (user.phone,)))]


class AdminActionFails(WithTable):
    @hookimpl
    def register_panels(self):
        action = AdminAction("/do", lambda request, user, values: int(values["text"]), "Do.", (TEXT,))
        return [AdminPanel(lambda request, user: None, actions=(action,))]


class AdminPageFails(WithTable):
    @hookimpl
    def register_panels(self):
        page = AdminPage("/all", lambda request, user, values: Page("all", values["other"]), (TEXT,))
        return [AdminPanel(lambda request, user: None, (page,))]


class AdminPanelWrites(WithTable):
    @hookimpl
    def register_panels(self):
        return [AdminPanel(lambda request, user: store(request))]


class PanelWrites(WithTable):
    @hookimpl
    def register_panels(self):
        return [store]


class ActionFailsForVisitors(Routes):
    def routes(self):
        return [PageRoute("/note", show, store, (TEXT,), login=False)]


def stored_texts(request):
    return [row.text for row in request.db.execute(select(notes.c.text))]


class PageFailsAfterAction(Routes):
    def routes(self):
        def shown(request):
            return Page("x", str(1 / (not stored_texts(request))))

        return [PageRoute("/note", shown, store, (TEXT,))]


class LinkToNothing(Routes):
    def routes(self):
        return [PageRoute("/note", lambda request: Page("x", "X", links=(Link("Other", "/other?a=1"),)))]


class NoRoute(Routes):
    def routes(self):
        return ["/note"]


class RoutesFail(Routes):
    def routes(self):
        return 1 / 0


class LoginPanelFails(WithTable):
    @hookimpl
    def register_panels(self):
        return [Panel("login", lambda request: Section("Notes", (request.user.email,)))]


class SignupPanelWrites(WithTable):
    @hookimpl
    def register_panels(self):
        def write(request):
            row = {"user_id": request.new_id(), "text": "shown", "at": None}
            request.db.execute(notes.insert(), row)

        return [Panel("signup", write)]


class ReauthenticationPanelWithoutPage(WithTable):
    @hookimpl
    def register_panels(self):
        section = Section("Notes", forms=(Form("/note", "Save", (TEXT,)),))
        return [Panel("reauthenticate", lambda request: section)]


class PanelIsText(WithTable):
    @hookimpl
    def register_panels(self):
        return [lambda request: "Notes"]


class PanelIsNoFunction(WithTable):
    @hookimpl
    def register_panels(self):
        return [Section("Notes")]


class PanelRefuses(WithTable):
    @hookimpl
    def register_panels(self):
        return [self.refuse]

    def refuse(self, request):
        raise Refused("no_notes", "There are no notes.")


class PanelFormWithoutPage(WithTable):
    @hookimpl
    def register_panels(self):
        return [lambda request: Section("Notes", forms=(Form("/note", "Save", (TEXT,)),))]


FAULTS = [
    (FailsForVisitors, "pages", "the page /faulty/note fails for a visitor"),
    (WritesWhenShown, "pages", "the page /faulty/note writes rows for GET"),
    (WritesByGet, "pages", "GET /api/faulty/note writes rows"),
    (FailsForMissingValues, "pages", "POST /api/faulty/note fails for a user and no optional values"),
    (ReadsAnotherField, "pages", "the action of /faulty/note fails for a user and usual values"),
    (
        FormWithoutAction,
        "pages",
        "has a form for /faulty/note, which is no PageRoute of the plugin with an action",
    ),
    (FormWithUnknownField, "pages", "has the field other, which its PageRoute does not list"),
    (TwiceTheSamePath, "pages", "two routes with the path /note"),
    (NoJson, "pages", "GET /api/faulty/note fails for a user"),
    (PanelFails, "pages", "left out: plugin faulty failed in register_panels: AttributeError"),
    (AdminPanelFails, "pages", "a section of an administrator's page of a user is left out: plugin faulty"),
    (AdminActionFails, "pages", "the action /faulty/do fails for usual values"),
    (AdminPageFails, "pages", "the page /faulty/all fails for usual values"),
    (AdminPanelWrites, "pages", "an administrator's page of a user writes rows"),
    (PanelWrites, "pages", "a section of the account page writes rows"),
    (LoginPanelFails, "pages", "a section of the login page is left out: plugin faulty failed"),
    (SignupPanelWrites, "pages", "a section of the signup page writes rows"),
    (
        ReauthenticationPanelWithoutPage,
        "pages",
        "the page /reauthenticate has a form for /faulty/note, which is no PageRoute",
    ),
    (ActionFailsForVisitors, "pages", "the action of /faulty/note fails for a visitor and usual values"),
    (PageFailsAfterAction, "pages", "the page /faulty/note fails after its action for a user"),
    (LinkToNothing, "pages", "the page /faulty/note has a link to /faulty/other"),
    (NoRoute, "pages", "register_routes returned a str, not a PageRoute or an ApiRoute"),
    (RoutesFail, "pages", "the routes of plugin faulty failed to load: ZeroDivisionError"),
    (PanelIsText, "pages", "it returned a str, not a Section"),
    (PanelIsNoFunction, "pages", "register_panels returned a Section, not functions"),
    (
        PanelRefuses,
        "pages",
        "a section of the account page is left out: a panel of plugin faulty was refused",
    ),
    (PanelFormWithoutPage, "pages", "the page / has a form for /faulty/note, which is no PageRoute"),
]


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_a_fault_is_found(assert_fault, plugin, check, message):
    assert_fault(plugin(), check, message)


def test_a_correct_plugin_passes(new_context):
    verdict = run_check("pages", new_context(Correct()))
    assert (verdict.outcome, verdict.faults) == ("passed", ())


def test_a_plugin_without_pages_passes(new_context):
    assert run_check("pages", new_context(WithTable())).outcome == "passed"


@pytest.mark.parametrize("missing", ["werkzeug.datastructures", "jinja2"])
def test_without_the_extra_a_note_says_that_nothing_was_checked(missing):
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from authhost.testing.conformance import CheckedPlugin\n"
        "from authhost.testing.conformance.runner import new_context, run_check\n"
        "from conformance.test_pages import FailsForVisitors\n"
        "with new_context(CheckedPlugin('faulty', FailsForVisitors())) as context:\n"
        "    verdict = run_check('pages', context)\n"
        "print(verdict.outcome, *verdict.faults)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.stdout.startswith("passed register_routes: not checked, since ")
    assert "run `pip install 'authhost[web]'`" in done.stdout
