"""Changes to the web response: plugins request them, and the application applies them after the commit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_args

from authhost_hookspecs import MessageLevel, SameSite

from authhost.errors import InvalidInput
from authhost.security.redirects import validate_next
from authhost.store.unit_of_work import BoundToUnit

if TYPE_CHECKING:
    from authhost.settings import Settings
    from authhost.store.unit_of_work import UnitOfWork

COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
"""A token (RFC 6265, section 4.1.1)."""
COOKIE_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")
COOKIE_PATH = re.compile(r"/[\x21-\x3a\x3c-\x7e]{0,1023}")
COOKIE_LENGTH = 4096
"""Of name and value. Browsers ignore longer cookies (RFC 6265, section 6.1)."""
RESERVED_PREFIXES = ("authhost", "__host-authhost", "__secure-")
"""Beginnings of the names of authhost's own cookies, and of names that other hosts of a domain can use."""
MAX_COOKIES, MAX_MESSAGES, MESSAGE_LENGTH = 20, 20, 1000
"""The numbers are those of each plugin, so that no plugin can make the calls of another one fail."""
MAX_AGE = 400 * 86400
"""Seconds. Browsers shorten longer times."""
Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie to set, or to delete if ``value`` is None."""

    name: str
    value: str | None = field(repr=False)
    max_age: int | None = None
    path: str = "/"
    http_only: bool = True
    same_site: SameSite = "Lax"
    secure: bool = True


class AnswerMessage(NamedTuple):
    """A text for the person at the browser. It is plain text, so a page must escape it."""

    level: MessageLevel
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Change(BoundToUnit):
    """One change that waits for the commit."""

    answer: Answer
    value: Cookie | AnswerMessage | str
    plugin: str | None

    def __call__(self) -> None:
        """Called after the commit."""
        self.answer.add(self)


class Answer(BoundToUnit):
    """Changes to the response (`authhost_hookspecs.Answer`), and what the application reads of them.

    `cookies`, `messages` and `location` are empty before the commit.
    """

    def __init__(self, unit: UnitOfWork, settings: Settings) -> None:
        self._unit, self._settings = unit, settings
        self._cookies: dict[tuple[str, str], Change] = {}
        self._messages: list[Change] = []
        self._location: str | None = None

    # For plugins.

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        path: str = "/",
        http_only: bool = True,
        same_site: SameSite = "Lax",
        secure: bool = True,
    ) -> None:
        """Set a cookie; raises ``ValueError`` or ``TypeError``."""
        _check_cookie(name, path)
        if not isinstance(value, str) or type(http_only) is not bool or type(secure) is not bool:
            raise TypeError("the value of a cookie must be a str, http_only and secure must be True or False")
        if not COOKIE_VALUE.fullmatch(value):
            raise ValueError(
                f"the value of cookie {name} has characters that a cookie cannot have; encode it, "
                "for example with urllib.parse.quote"
            )
        if len(name) + len(value) > COOKIE_LENGTH:
            raise ValueError(f"cookie {name} has more than {COOKIE_LENGTH} characters")
        if max_age is not None and type(max_age) is not int:
            raise TypeError("max_age must be an int, in seconds")
        if max_age is not None and not 0 <= max_age <= MAX_AGE:
            raise ValueError(f"max_age must be 0 to {MAX_AGE} seconds (400 days)")
        if same_site not in get_args(SameSite):
            raise ValueError(f"same_site must be one of {', '.join(get_args(SameSite))}")
        if not secure and (same_site == "None" or name.lower().startswith("__host-")):
            raise ValueError(f"cookie {name} must be secure, because of its name or its same_site")
        self._add_cookie(Cookie(name, value, max_age, path, http_only, same_site, secure))

    def delete_cookie(self, name: str, *, path: str = "/") -> None:
        """Delete a cookie; raises ``ValueError`` or ``TypeError``."""
        _check_cookie(name, path)
        self._add_cookie(Cookie(name, None, path=path))

    def message(self, level: MessageLevel, text: str) -> None:
        """Show a text to the person; raises ``ValueError`` or ``TypeError``."""
        if level not in get_args(MessageLevel):
            raise ValueError(f"level must be one of {', '.join(get_args(MessageLevel))}")
        if not isinstance(text, str):
            raise TypeError(f"the text of a message must be a str, not a {type(text).__name__}")
        if not 0 < len(text) <= MESSAGE_LENGTH:
            raise ValueError(f"the text of a message must have 1 to {MESSAGE_LENGTH} characters")
        if not text.replace("\n", "").isprintable():
            raise ValueError("the text of a message has characters that cannot be shown")
        change = self._change(AnswerMessage(level, text))
        own = [each for each in self._own_changes(change.plugin) if isinstance(each.value, AnswerMessage)]
        if len(own) >= MAX_MESSAGES:
            raise ValueError(f"a plugin may have at most {MAX_MESSAGES} messages in one unit of work")
        self._unit.after_commit(change)

    def redirect(self, path: str) -> None:
        """Redirect the browser; raises ``ValueError`` for anything but a page of this site."""
        try:
            target = validate_next(self._settings, path, "path")
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        self._unit.after_commit(self._change(target))

    # For the application.

    @property
    def cookies(self) -> tuple[Cookie, ...]:
        """The cookies to set and to delete. Empty before the commit."""
        return tuple(each.value for each in self._cookies.values() if isinstance(each.value, Cookie))

    @property
    def messages(self) -> tuple[AnswerMessage, ...]:
        """The messages to show, in order. Empty before the commit."""
        return tuple(each.value for each in self._messages if isinstance(each.value, AnswerMessage))

    @property
    def location(self) -> str | None:
        """The page to redirect to: a path, or a URL of this site. None before the commit."""
        return self._location

    def apply_to(self, response: Response) -> Response:
        """Set and delete the cookies on a response, and return it.

        The response is one of Starlette, FastAPI, Flask, Werkzeug or Django, or another
        object with their methods ``set_cookie`` and ``delete_cookie``. Call it before you set
        cookies of your own, so that yours have precedence.
        """
        target: Any = response
        for each in self.cookies:
            if each.value is None:
                target.delete_cookie(each.name, path=each.path)
                continue
            target.set_cookie(
                each.name,
                each.value,
                max_age=each.max_age,
                path=each.path,
                secure=each.secure,
                httponly=each.http_only,
                samesite=each.same_site,
            )
        return response

    # Internal.

    def add(self, change: Change) -> None:
        """Add a change. Called after the commit."""
        value = change.value
        if isinstance(value, Cookie):
            key = value.name, value.path
            self._cookies.pop(key, None)
            self._cookies[key] = change
        elif isinstance(value, AnswerMessage):
            self._messages.append(change)
        else:
            self._location = value

    def _change(self, value: Cookie | AnswerMessage | str) -> Change:
        caller = self._unit.caller
        return Change(self, value, caller.name if caller is not None else None)

    def _add_cookie(self, cookie: Cookie) -> None:
        change = self._change(cookie)
        own = {
            (each.value.name, each.value.path)
            for each in self._own_changes(change.plugin)
            if isinstance(each.value, Cookie)
        }
        if len(own | {(cookie.name, cookie.path)}) > MAX_COOKIES:
            raise ValueError(f"a plugin may have at most {MAX_COOKIES} cookies in one unit of work")
        self._unit.after_commit(change)

    def _own_changes(self, plugin: str | None) -> Iterator[Change]:
        """Return the changes of a plugin, or of the application, that were applied or wait for the commit."""
        waiting = (each.run for each in self._unit.callbacks if isinstance(each.run, Change))
        for change in (*self._cookies.values(), *self._messages, *waiting):
            if change.plugin == plugin:
                yield change


def _check_cookie(name: str, path: str) -> None:
    if not isinstance(name, str) or not isinstance(path, str):
        raise TypeError("the name and the path of a cookie must be a str")
    if not COOKIE_NAME.fullmatch(name):
        raise ValueError("the name of a cookie must be a token of RFC 6265: ASCII letters, digits, - and _")
    if name.startswith("$"):
        raise ValueError(f"cookie {name} begins with $, which servers read as an attribute (RFC 2965)")
    if name.lower().startswith(RESERVED_PREFIXES):
        raise ValueError(f"cookie {name} is reserved; begin its name with the name of the plugin")
    if not COOKIE_PATH.fullmatch(path) or (path != "/" and name.lower().startswith("__host-")):
        raise ValueError(f"{path!r} is not a path for cookie {name}; it must begin with /")
