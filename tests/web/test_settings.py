"""The settings of the web layer: a wrong value is refused with its name, before anything is served."""

from __future__ import annotations

import pytest

from authhost import Settings
from authhost.errors import ConfigurationError

SECRET = "k" * 48


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", "example.org"),
        ("base_url", "ftp://example.org"),
        ("base_url", "https://ann@example.org"),
        ("base_url", "https://example.org/?a=b"),
        ("web_prefix", "/"),
        ("web_prefix", "account"),
        ("web_prefix", "/account/"),
        ("trusted_proxies", -1),
        ("trusted_proxies", 11),
        ("trusted_origins", ("app.example.org",)),
        ("trusted_origins", ("https://app.example.org/",)),
        ("web_given", ("password",)),
        ("web_given", ("Invitation",)),
        ("username_at_signup", "yes"),
        ("brand_color", "blue"),
        ("brand_logo", "//other.example/logo.svg"),
        ("brand_logo", "/logo.svg; script-src *"),
        ("after_login", "https://other.example/"),
        ("after_login", "//other.example"),
        ("after_logout", "/\\other.example"),
    ],
)
def test_a_wrong_value_is_named(name, value):
    with pytest.raises(ConfigurationError, match=name):
        Settings(secret_key=SECRET, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", "http://localhost:8000"),
        ("base_url", "http://[::1]:8000"),
        ("base_url", "https://example.org/shop"),
        ("web_prefix", "/my/account"),
        ("trusted_origins", ("http://localhost:5173",)),
        ("brand_logo", "https://cdn.example.org/logo.svg"),
        ("after_login", "/home?tab=1"),
    ],
)
def test_a_right_value_stays(name, value):
    assert getattr(Settings(secret_key=SECRET, **{name: value}), name) == value


def test_a_slash_at_the_end_of_the_base_url_is_left_out():
    assert Settings(secret_key=SECRET, base_url="https://example.org/").base_url == "https://example.org"
