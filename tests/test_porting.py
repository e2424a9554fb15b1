"""The messages of the loader when it refuses a receiver of django-allauth's signals."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from authhost_hookspecs import hookimpl

from authhost.pluginhost.allauth_arguments import EQUIVALENTS
from authhost.pluginhost.declarations import PluginRefused
from authhost.pluginhost.implementations import implementations_of

GUIDE = Path(__file__).parents[1] / "docs" / "how-to" / "porting-from-allauth.md"


def refusal(hook, signature):
    names = {}
    exec(f"def {hook}({signature}): pass", names)
    plugin = type("Ported", (), {hook: staticmethod(hookimpl(names[hook]))})()
    with pytest.raises(PluginRefused) as refused:
        implementations_of(plugin)
    return str(refused.value)


@pytest.mark.parametrize(
    ("hook", "signature", "remedy"),
    [
        ("user_signed_up", "request, user, **kwargs", "the parameter **kwargs"),
        ("user_signed_up", "request, user, **kwargs", "exactly the arguments that it names: remove it"),
        ("user_signed_up", "request, user, *args", "name the arguments that you need"),
        ("user_signed_up", "sender, request, user", "there is no sender: remove it"),
        ("user_signed_up", "request, user, sociallogin=None", "use request.sociallogin"),
        ("user_logged_in", "request, user, response", "use request.answer"),
        ("user_logged_in", "request, user, signal", "one function implements one hook"),
        ("user_logged_in", "_request, user", "did you mean 'request'?"),
        ("user_signed_up", "request, users", "did you mean 'user'?"),
        ("email_confirmed", "request, email_address, user", "use request.account(user_id).user"),
        ("email_confirmed", "request, email", "did you mean 'email_address'?"),
        ("social_account_added", "request, sociallogin, user", "use request.account(user_id).user"),
        ("social_account_added", "request, socialaccount", "use request.sociallogin.account"),
        ("social_account_removed", "request, socialaccount, token", "social_token(account)"),
        ("user_signed_up", "instance, created", "authhost sends no signals of models"),
        ("user_signed_up", "request, user, password", "implement check_password"),
    ],
)
def test_the_refusal_names_what_replaces_an_argument(hook, signature, remedy):
    assert remedy in refusal(hook, signature)


def test_an_argument_of_the_hook_itself_gets_no_equivalent():
    assert "use " not in refusal("user_logged_in", "request, *, user")


@pytest.mark.parametrize("name", sorted(EQUIVALENTS))
def test_the_guide_has_each_argument(name):
    assert re.search(rf"`{name}\b", GUIDE.read_text(encoding="utf-8"))
