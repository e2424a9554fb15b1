"""Whatever a plugin object is like: each implementation is called, or the plugin is refused by name."""

from __future__ import annotations

import asyncio
import functools
import sys
import types
import warnings
from contextlib import suppress
from importlib.metadata import EntryPoint
from unittest.mock import MagicMock

import pluggy
import pytest
from authhost_hookspecs import Refused, extensions, hookimpl
from conftest import PASSWORD
from hypothesis import given, strategies as st
from sqlalchemy import func

from authhost import AuthHost, Settings
from authhost.errors import ConfigurationError, Vetoed
from authhost.pluginhost import discovery
from authhost.pluginhost.attributes import MARKER_ATTRIBUTES
from authhost.pluginhost.implementations import implementations_of
from authhost.testing import CHEAP_HASH

NO = Refused("no", "No.")
SETTINGS = {
    "secret_key": "of-the-tests-" * 4,
    "email_verification": "none",
    "rate_limits": False,
    "password_hash_options": dict(CHEAP_HASH),
}


def record_of(plugin, **settings):
    """What becomes of a plugin beside one that is fine."""
    host_settings = Settings(**{**SETTINGS, **settings})
    registry = discovery.PluginRegistry(host_settings, {"fine": Fine(), "odd": plugin}, discover=False)
    records = {record.name: record for record in registry.records}
    assert records["fine"].status == "loaded"
    return records["odd"]


def refusal_of(plugin):
    record = record_of(plugin)
    assert record.status == "refused", record
    assert (record.hooks, record.view) == ((), None)
    with pytest.raises(ConfigurationError, match="plugin odd was refused: ") as raised:
        record_of(plugin, strict=True)
    assert record.reason in str(raised.value)
    return record.reason


class Fine:
    @hookimpl
    def user_logged_in(self, request, user): ...


def timed(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)

    return inner


def veto(request, user):
    raise NO


# Implementations that pluggy calls.


class Static:
    @staticmethod
    @hookimpl(specname="before_login")
    def gate(request, user):
        raise NO


class StaticMarkedAbove:
    @hookimpl(specname="before_login")
    @staticmethod
    def gate(request, user):
        raise NO


class OfClass:
    @classmethod
    @hookimpl
    def before_login(cls, user):
        raise NO


class OfClassMarkedAbove:
    @hookimpl
    @classmethod
    def before_login(cls, user):
        raise NO


class Called:
    @hookimpl(specname="before_login")
    def __call__(self, request, user):
        raise NO


class Private:
    @hookimpl(specname="before_login")
    def __gate(self, user):
        raise NO


class Slots:
    __slots__ = ("before_login",)

    def __init__(self):
        self.before_login = hookimpl(lambda request, user: veto(request, user))


class Stored:
    def __init__(self):
        self.gate = hookimpl(lambda user: veto(None, user), specname="before_login")


class BorrowsMethod:
    def __init__(self):
        self.before_login = OfClass().before_login


class Decorated:
    @hookimpl
    @timed
    def before_login(self, request, user):
        raise NO


class DecoratedOutside:
    @timed
    @hookimpl
    def before_login(self, request, user):
        raise NO


class Inherits(Decorated):
    pass


class HidesItsNames(Decorated):
    def __dir__(self):
        return []


class FailsToList(Decorated):
    def __dir__(self):
        raise SystemExit(3)


class ListsAbsentNames(Decorated):
    def __dir__(self):
        return ["before_login", "nowhere", "gone"]


class AnswersEverything(Decorated):
    def __getattr__(self, name):
        return MagicMock()


class Explodes(Decorated):
    """Each way of looking at it raises."""

    @property
    def first(self):
        raise ValueError

    @property
    def second(self):
        raise SystemExit

    @property
    def third(self):
        pytest.skip("not today")

    @functools.cached_property
    def fourth(self):
        raise KeyError

    @property
    def __name__(self):
        raise ValueError

    @property
    def __class__(self):
        raise ValueError

    def __eq__(self, other):
        raise ValueError

    def __bool__(self):
        raise ValueError

    __hash__ = None

    def __repr__(self):
        raise ValueError

    def __len__(self):
        raise ValueError


class Descriptor:
    def __get__(self, instance, owner):
        raise BaseException

    def __set_name__(self, owner, name): ...


class HasDescriptor(Decorated):
    field = Descriptor()


class Meta(type):
    def __getattribute__(cls, name):
        if name.startswith("authhost") or name == "__name__":
            raise ValueError
        return super().__getattribute__(name)


class OddMeta(Decorated, metaclass=Meta):
    pass


class Text(str):
    @hookimpl
    def before_login(self, user):
        raise NO


class Numbers(dict):
    @hookimpl
    def before_login(self, user):
        raise NO


class KeepsOddities(Decorated):
    def __init__(self):
        self.everything, self.functions = MagicMock(), func
        self.helper = functools.partial(self.before_login, None)


def module(**names):
    made = types.ModuleType("odd_plugin")
    vars(made).update(names)
    return made


@hookimpl
def before_login(request, user):
    raise NO


class LazyModule(types.ModuleType):
    def __getattr__(self, name):
        raise RuntimeError(name)

    @hookimpl
    def before_login(self, user):
        raise NO


# Made within each test: pytest looks at its parameters, which these objects answer in their own ways.
CALLED = {
    "Static": Static,
    "StaticMarkedAbove": StaticMarkedAbove,
    "OfClass": OfClass,
    "OfClassMarkedAbove": OfClassMarkedAbove,
    "Called": Called,
    "Private": Private,
    "Slots": Slots,
    "Stored": Stored,
    "BorrowsMethod": BorrowsMethod,
    "Decorated": Decorated,
    "DecoratedOutside": DecoratedOutside,
    "Inherits": Inherits,
    "HidesItsNames": HidesItsNames,
    "FailsToList": FailsToList,
    "ListsAbsentNames": ListsAbsentNames,
    "AnswersEverything": AnswersEverything,
    "Explodes": Explodes,
    "HasDescriptor": HasDescriptor,
    "OddMeta": lambda: OddMeta(),
    "Text": Text,
    "Numbers": Numbers,
    "KeepsOddities": KeepsOddities,
    "module": lambda: module(before_login=before_login, func=func, mock=MagicMock(), settings=object()),
    "static in a module": lambda: module(before_login=staticmethod(before_login)),
    "lazy module": lambda: LazyModule("odd_plugin"),
}


@pytest.mark.parametrize("name", CALLED)
def test_what_pluggy_would_call_is_called(make_host, run, name):
    host = make_host({"odd": CALLED[name]()}, email_verification="none")
    with pytest.raises(Vetoed) as raised:
        run(host, "signup", email="ann@example.org", password=PASSWORD)
    assert raised.value.fields == {"plugin": "odd", "plugin_code": "no"}


# Implementations that could not be called, or never would.


class Generator:
    @hookimpl
    def before_login(self, request, user):
        raise NO
        yield


class AsyncFunction:
    @hookimpl
    async def before_login(self, user): ...


class AsyncGenerator:
    @hookimpl
    async def before_login(self, user):
        yield


class AsyncDecorated:
    @hookimpl
    @timed
    async def before_login(self, request, user):
        raise NO


class AsyncTwiceDecorated:
    @timed
    @hookimpl
    @timed
    async def before_login(self, request, user):
        raise NO


class GeneratorDecorated:
    @hookimpl
    @timed
    def user_logged_in(self, request, user):
        yield


class AsyncStatic:
    @staticmethod
    @hookimpl(specname="before_login")
    async def gate(user): ...


class GeneratorOfClass:
    @classmethod
    @hookimpl
    def before_login(cls, user):
        yield


class AsyncStored:
    def __init__(self):
        async def before_login(user): ...

        self.before_login = hookimpl(before_login)


class GeneratorDelivers:
    @hookimpl
    def deliver_message(self, message):
        yield True


class AsyncStarts:
    @hookimpl
    async def host_started(self, host): ...


class WrapsNothing:
    @hookimpl(wrapper=True)
    def user_logged_in(self, request, user):
        return None


class AsyncWrapper:
    @hookimpl(wrapper=True)
    async def user_logged_in(self):
        yield


class OldWrapper:
    @hookimpl(hookwrapper=True)
    def user_logged_in(self):
        yield


class WrapsDecorated:
    @hookimpl(wrapper=True)
    @timed
    def user_logged_in(self):
        return (yield)


class Partial:
    before_login = hookimpl(functools.partial(veto, None))


class PartialOfAsync:
    def __init__(self):
        async def gate(request, user): ...

        self.before_login = functools.partial(gate, None)


class PartialMethod:
    def _gate(self, request, user): ...

    before_login = functools.partialmethod(_gate, None)


class StaticPartial:
    before_login = staticmethod(hookimpl(functools.partial(veto, None)))


class CallableObject:
    def __init__(self):
        self.gate = hookimpl(Called(), specname="before_login")


class Cached:
    @hookimpl
    @functools.lru_cache  # noqa: B019
    def before_login(self, user): ...


class Property:
    @property
    @hookimpl
    def before_login(self):
        return veto


class PropertyOnly:
    @property
    def before_login(self):
        raise SystemExit


class CachedProperty:
    @functools.cached_property
    def before_login(self):
        raise SystemExit


class SomeDescriptor:
    before_login = Descriptor()


class NoSelf:
    @hookimpl
    def before_login(): ...


class ForgottenInBase:
    def before_login(self, user): ...


class SignatureLies:
    @hookimpl
    def before_login(self, user): ...

    before_login.__signature__ = "nonsense"


class DecoratorTakesLess:
    @staticmethod
    def _less(function):
        @functools.wraps(function)
        def inner(self, request):
            return function(self, request, None)

        return inner

    @hookimpl
    @_less
    def before_login(self, request, user): ...


class StrangeName:
    @hookimpl(specname=5)
    def before_login(self, user): ...


class Proxy:
    """As wrapt's: it forwards whatever it is asked."""

    def __init__(self, wrapped):
        self._wrapped = wrapped

    def __getattr__(self, name):
        return getattr(self._wrapped, name)

    def __dir__(self):
        return dir(self._wrapped)


class OddDict(Decorated):
    @property
    def __dict__(self):
        raise SystemExit


REFUSED = [
    (lambda: Generator(), "before_login is a generator, whose body would never run"),
    (lambda: AsyncFunction(), "before_login is an async def, which would never run"),
    (lambda: AsyncGenerator(), "before_login is an async generator"),
    (lambda: AsyncDecorated(), "before_login decorates an async def, which would never run"),
    (lambda: AsyncTwiceDecorated(), "before_login decorates an async def"),
    (lambda: GeneratorDecorated(), "user_logged_in decorates a generator"),
    (lambda: AsyncStatic(), "before_login is an async def"),
    (lambda: GeneratorOfClass(), "before_login is a generator"),
    (lambda: AsyncStored(), "before_login is an async def"),
    (lambda: GeneratorDelivers(), "deliver_message is a generator"),
    (lambda: AsyncStarts(), "host_started is an async def"),
    (lambda: WrapsNothing(), "user_logged_in is declared with wrapper=True but is no generator function"),
    (lambda: AsyncWrapper(), "is no generator function"),
    (lambda: WrapsDecorated(), "is no generator function"),
    (lambda: OldWrapper(), "old-style hookwrapper"),
    (lambda: Partial(), "before_login is a partial, which pluggy would not call"),
    (lambda: PartialOfAsync(), "before_login has the name of a hook but no marker"),
    (lambda: PartialMethod(), "before_login has the name of a hook but no marker"),
    (lambda: StaticPartial(), "before_login is a staticmethod, which pluggy would not call"),
    (lambda: CallableObject(), "gate (for before_login) is a Called, which pluggy would not call"),
    (lambda: Cached(), "before_login is a _lru_cache_wrapper, which pluggy would not call"),
    (lambda: Property(), "before_login is a property, which pluggy would not call"),
    (lambda: PropertyOnly(), "before_login is a property, which pluggy does not evaluate"),
    (lambda: CachedProperty(), "before_login is a cached_property"),
    (lambda: SomeDescriptor(), "before_login has the name of a hook but no marker"),
    (lambda: NoSelf(), "before_login has no readable signature"),
    (
        lambda: type("Late", (ForgottenInBase,), {"__module__": "elsewhere"})(),
        "has the name of a hook but no marker",
    ),
    (lambda: SignatureLies(), "before_login has no readable signature"),
    (
        lambda: DecoratorTakesLess(),
        "before_login has a decorator that does not take (request, user)",
    ),
    (lambda: StrangeName(), "it cannot be inspected"),
    (lambda: Proxy(Decorated()), "before_login is provided by __getattr__ only"),
    (lambda: MagicMock(), "it implements no hook"),
    (lambda: MagicMock(spec=Decorated()), "before_login is provided by __getattr__ only"),
    (lambda: func, "it implements no hook"),
    (lambda: None, "it implements no hook"),
    (lambda: "authhost_door", "it implements no hook"),
    (lambda: Meta("Kind", (), {}), "it cannot be inspected"),
    (lambda: module(before_login=hookimpl(functools.partial(veto, None))), "before_login is a partial"),
    (lambda: module(before_login=hookimpl(Called())), "before_login is a Called"),
    (
        lambda: module(user_logged_in=hookimpl(Static)),
        "user_logged_in is a type, which",
    ),
    (lambda: module(before_login=ForgottenInBase.before_login, __name__=__name__), "no marker"),
    (lambda: module(before_login=hookimpl(lambda self, user: None)), "before_login has the parameter self"),
]


@pytest.mark.parametrize(
    ("make", "sentence"), REFUSED, ids=lambda value: value[:40] if type(value) is str else ""
)
def test_what_would_not_be_called_is_refused_by_name(make, sentence):
    assert sentence in refusal_of(make())


def test_an_object_whose_dict_raises_is_refused_or_called():
    assert record_of(OddDict()).status in ("refused", "loaded")


def test_ctrl_c_while_a_plugin_is_inspected_ends_the_process():
    class Interrupted:
        def __dir__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record_of(Interrupted())


def test_a_generator_serves_where_the_result_is_read_to_its_end():
    class Brings:
        @hookimpl
        def register_commands(self):
            yield from ()

        @hookimpl
        def register_providers(self):
            yield from ()

    assert record_of(Brings()).hooks == ("register_commands", "register_providers")


def test_a_module_may_import_a_function_that_has_a_hook_s_name():
    assert record_of(module(before_login=before_login, user_logged_in=asyncio.run)).hooks == ("before_login",)


@pytest.mark.parametrize("raised", [pytest.skip.Exception, SystemExit, KeyError, BaseException])
def test_a_plugin_that_does_not_import_is_refused(monkeypatch, raised):
    class Broken:
        dist, value, name = None, "authhost_odd:plugin", "odd"

        def load(self):
            raise raised("why")

    found = [("odd", discovery.Installed(Broken()))]
    monkeypatch.setattr(discovery, "installed", lambda: iter(found))
    (record,) = discovery.PluginRegistry(Settings(**SETTINGS), {}).records
    assert record.status == "refused"
    assert "authhost_odd:plugin cannot be imported" in record.reason


def test_a_module_of_an_entry_point_with_sqlalchemy_s_names(monkeypatch):
    """The plugin of the report: it kept the host, and every command, from starting."""
    plugin = types.ModuleType("authhost_door")
    source = (
        "from authhost_hookspecs import hookimpl\nfrom sqlalchemy import func, select\n"
        "@hookimpl\ndef user_logged_in(request, user): request.db.execute(select(func.now()))\n"
    )
    exec(source, vars(plugin))
    monkeypatch.setitem(sys.modules, "authhost_door", plugin)
    found = [("door", discovery.Installed(EntryPoint("door", "authhost_door", "authhost")))]
    monkeypatch.setattr(discovery, "installed", lambda: iter(found))
    (record,) = discovery.PluginRegistry(Settings(**SETTINGS), {}).records
    assert (record.status, record.hooks) == ("loaded", ("user_logged_in",))


def test_one_object_under_two_names_is_loaded_once():
    class Equal(Fine):
        def __eq__(self, other):
            return True

        __hash__ = None

    plugin = Fine()
    given = {"a": plugin, "b": plugin, "c": Equal(), "d": Equal()}
    registry = discovery.PluginRegistry(Settings(**SETTINGS), given, discover=False)
    assert [record.status for record in registry.records] == ["loaded", "refused", "loaded", "loaded"]
    assert "it is the same object as plugin 'a'" in registry.records[1].reason


def test_an_optional_hook_of_another_contract_is_left_out(caplog):
    class Newer:
        @hookimpl
        def user_logged_in(self): ...

        @hookimpl(optionalhook=True)
        def of_next_year(self, anything, **at_all): ...

    with caplog.at_level("DEBUG"):
        record = record_of(Newer())
    assert (record.status, record.hooks, record.unknown_hooks) == (
        "loaded",
        ("user_logged_in",),
        ("of_next_year",),
    )
    assert "plugin odd implements of_next_year, which this contract does not have" in caplog.text

    class OnlyNewer:
        @hookimpl(optionalhook=True)
        def of_next_year(self): ...

    assert record_of(OnlyNewer()).status == "loaded"

    class WrongArgument:
        @hookimpl(optionalhook=True)
        def user_logged_in(self, usr): ...

    assert "did you mean 'user'" in refusal_of(WrongArgument())


# Whatever pluggy calls of an object made at random is called by us, or the plugin is refused.


def plain(request, user):
    raise NO


def generator(request, user):
    raise NO
    yield


async def coroutine(request, user):
    raise NO


async def async_generator(request, user):
    raise NO
    yield


FUNCTIONS = [plain, generator, coroutine, async_generator]


def fresh(function, *, method):
    """A new function with the same body, so that a marker stays with it."""
    names = {"NO": NO}
    code = {
        plain: "def f({0}request, user): raise NO",
        generator: "def f({0}request, user):\n raise NO\n yield",
        coroutine: "async def f({0}request, user): raise NO",
        async_generator: "async def f({0}request, user):\n raise NO\n yield",
    }[function]
    exec(code.format("self, " if method else ""), names)
    return names["f"]


LAYERS = {
    "timed": timed,
    "partial": functools.partial,
    "cache": functools.lru_cache,
    "staticmethod": staticmethod,
    "classmethod": classmethod,
    "property": property,
    "partialmethod": functools.partialmethod,
    "hookimpl": lambda function: hookimpl(function, specname="before_login"),
}


@st.composite
def shapes(draw):
    """An object with one attribute, made of a function under layers, with a marker somewhere among them."""
    layers = draw(st.lists(st.sampled_from(sorted(LAYERS)), max_size=4))
    place = draw(st.sampled_from(["class", "instance", "slot", "module"]))
    name = draw(st.sampled_from(["before_login", "gate", "__call__", "_private"]))
    value = fresh(draw(st.sampled_from(FUNCTIONS)), method=draw(st.booleans()))
    for layer in layers:
        with suppress(AttributeError, TypeError):  # this layer cannot be put over that one
            value = LAYERS[layer](value)
    if place == "module":
        return module(**{name: value})
    if place == "class":
        return type("Odd", (), {name: value})()
    made = type("Odd", (), {"__slots__": (name,)} if place == "slot" and name != "__call__" else {})()
    setattr(made, name, value)
    return made


def seen_by_pluggy(plugin):
    """What pluggy itself would call for the veto."""
    manager = pluggy.PluginManager("authhost")
    manager.add_hookspecs(extensions.vetoes)
    try:
        manager.register(plugin, "odd")
    except pluggy.PluginValidationError:
        return 1
    return len(manager.hook.before_login.get_hookimpls())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("hook", ["register_settings", "register_tables"])
def test_a_declaration_that_never_ran_is_refused(hook):
    async def later(): ...

    plugin = module(declares=hookimpl(lambda: later(), specname=hook))
    assert f"{hook} failed (UnusableResult: it returned a coroutine" in refusal_of(plugin)


@pytest.mark.parametrize("kind", [staticmethod, classmethod])
@pytest.mark.parametrize("name", ["before_login", "gate"])
def test_a_method_inside_of_a_static_method_is_refused(kind, name):
    """pluggy gets the inner object, and passes over it."""
    function = hookimpl(fresh(plain, method=False), specname="before_login")
    assert "which pluggy would not call" in refusal_of(
        type("Odd", (), {name: staticmethod(kind(function))})()
    )


@given(shapes())
def test_whatever_pluggy_calls_is_called_or_refused(plugin):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record = record_of(plugin)
        if record.status == "refused":
            assert record.reason
            return
        assert record.hooks == ("before_login",)
        assert seen_by_pluggy(plugin) == 1
        request = MagicMock(queued=[], callbacks=[], savepoints=[], depth=0)
        with pytest.raises(Vetoed) as raised:
            record.view.before_login(request, None)
        assert raised.value.fields["plugin_code"] in ("no", "plugin_failed")  # but called


# The next pluggy.


class Configuration:
    """As in pytest-dev/pluggy#704: an object where the options were a dict."""

    def __init__(self, options):
        self.options = options


def test_the_marker_may_be_any_object(monkeypatch):
    """Nothing of ours reads it: pluggy does."""
    plugin = Static()
    (mark,) = MARKER_ATTRIBUTES
    function = Static.__dict__["gate"].__func__
    monkeypatch.setattr(function, mark, Configuration(getattr(function, mark)))
    parse = pluggy.PluginManager.parse_hookimpl_opts

    def parsed(manager, plugin, name):
        found = getattr(plugin, name) if name == "gate" else None
        configuration = getattr(found, mark, None)
        if isinstance(configuration, Configuration):
            return dict(configuration.options)
        return parse(manager, plugin, name)

    monkeypatch.setattr(pluggy.PluginManager, "parse_hookimpl_opts", parsed)
    (implementation,), unknown = implementations_of(plugin)
    assert (implementation.hook, implementation.function, unknown) == ("before_login", function, [])


def test_the_host_starts_whatever_is_refused(tmp_path):
    plugins = {f"odd{number}": make() for number, (make, _) in enumerate(REFUSED)}
    settings = Settings(**SETTINGS, database_url=f"sqlite:///{tmp_path / 'host.sqlite3'}")
    with AuthHost(settings, plugins=plugins, discover=False, upgrade_database=True) as host:
        assert {record.status for record in host.registry.records} == {"refused"}
        with host.request() as request:
            assert host.account.signup(request, email="ann@example.org", password=PASSWORD).authenticated
