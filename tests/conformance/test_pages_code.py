"""The rules about source code also read the functions of routes and panels."""

from __future__ import annotations

from urllib.request import urlopen

import pytest
from authhost_hookspecs import ApiRoute, Field, Page, PageRoute, Section, hookimpl

from authhost.testing.conformance.runner import run_check
from conformance.plugins import WithTable, ids_of, notes

TEXT = Field("text", "Text")


def show(request):
    return Page("note", "Note")


def call_other_server(request, values=None):
    urlopen("http://127.0.0.1:9/", timeout=1)


def call_later(request, values=None):
    request.in_background(lambda: urlopen("http://127.0.0.1:9/", timeout=1))


def print_text(request, values):
    print(values["text"])


PAGES = [PageRoute("/note", show, call_other_server, (TEXT,))]
ENDPOINTS = [ApiRoute("POST", "/note", print_text, "Print.", (TEXT,))]
PANELS = [call_other_server]


class ActionUsesNetwork:
    """Its routes are made when the module is imported, so the hook itself names no function."""

    @hookimpl
    def register_routes(self):
        return PAGES


class EndpointPrints:
    @hookimpl
    def register_routes(self):
        return ENDPOINTS


class PanelUsesNetwork:
    @hookimpl
    def register_panels(self):
        return PANELS


class KeepsTextForPage:
    """Two people send the form at the same time, and one sees the text of the other."""

    @hookimpl
    def register_routes(self):
        return [PageRoute("/note", self.show, self.keep, (TEXT,))]

    def keep(self, request, values):
        self.newest = values["text"]

    def show(self, request):
        return Page("note", self.newest)


class Correct(WithTable):
    """Stores rows, and uses the network after the commit. Its functions are those of constants, too."""

    @hookimpl
    def register_routes(self):
        return [
            PageRoute("/note", show, self.store, (TEXT,)),
            ApiRoute("POST", "/note", call_later, "Call."),
        ]

    @hookimpl
    def register_panels(self):
        return [lambda request: Section("Note")]

    def store(self, request, values):
        text = values["text"][:100]
        request.insert(notes, {"user_id": request.user.id, "text": text})


FAULTS = [
    (ActionUsesNetwork, "code", "register_routes: uses the network before the commit (urlopen)"),
    (EndpointPrints, "code", "register_routes: prints"),
    (PanelUsesNetwork, "code", "register_panels: uses the network before the commit (urlopen)"),
    (KeepsTextForPage, "state", "register_routes: stores newest of one request"),
]


@pytest.mark.parametrize(("plugin", "check", "message"), FAULTS, ids=ids_of(FAULTS))
def test_a_fault_is_found(assert_fault, plugin, check, message):
    assert_fault(plugin(), check, message)


@pytest.mark.parametrize("check", ["code", "state", "called"])
def test_a_correct_plugin_passes(new_context, check):
    verdict = run_check(check, new_context(Correct()))
    assert (verdict.outcome, verdict.faults) == ("passed", ())
