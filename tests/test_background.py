"""Jobs in the background: when they run, what bounds them, and what is reported."""

from __future__ import annotations

import functools
import json
import logging
import os
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import pytest
from authhost_hookspecs import hookimpl
from conftest import PASSWORD

from authhost.errors import ConfigurationError, HostClosed, UnitOfWorkClosed

SECRET = "s3cret-argument"
LONG = 30
HERE = Path(__file__)
variable: ContextVar[str] = ContextVar("variable", default="unset")


class Jobs:
    """A plugin whose jobs can be held up, and which notes what ran."""

    def __init__(self):
        self.done, self.gate, self.started = [], threading.Event(), threading.Event()

    def note(self, value):
        self.done.append(value)

    def wait(self, value=None):
        self.started.set()
        assert self.gate.wait(LONG)  # the place where it hangs
        self.done.append(value)

    def fail(self, value):
        raise KeyError(value)  # the place that is logged

    async def coroutine(self):
        raise AssertionError

    @hookimpl
    def user_signed_up(self, request, user):
        request.in_background(self.note, user.email)


class Logged(logging.Handler):
    """Collects messages, and waits for one."""

    def __init__(self):
        super().__init__()
        self.messages, self.arrived = [], threading.Event()

    def emit(self, record):
        self.messages.append(record.getMessage())
        self.arrived.set()


@pytest.fixture
def jobs():
    plugin = Jobs()
    yield plugin
    plugin.gate.set()


@pytest.fixture
def logged():
    handler, log = Logged(), logging.getLogger("authhost.plugins")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


@pytest.fixture
def open_host(make_host, jobs):
    def open_host(plugins=None, **settings):
        return make_host({"jobs": jobs, **(plugins or {})}, email_verification="none", **settings)

    return open_host


def sign_up(host, email="ann@example.org"):
    with host.request() as request:
        host.account.signup(request, email=email, password=PASSWORD)


def threads():
    return {each for each in threading.enumerate() if each.name == "authhost-background"}


def line_of(comment):
    lines = HERE.read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.endswith(f"# {comment}"))


def test_runs_after_the_commit_and_outside_the_unit(open_host, jobs):
    host = open_host()
    with host.request() as request:
        request.in_background(jobs.note, 1)
        assert host.wait_for_background(LONG)
        assert jobs.done == []
    assert host.wait_for_background(LONG)
    assert jobs.done == [1]


def test_of_a_hook_runs_after_its_flow(open_host, jobs):
    host = open_host()
    sign_up(host)
    assert host.wait_for_background(LONG)
    assert jobs.done == ["ann@example.org"]
    assert host.plugin_stats()["jobs", "in_background"].calls == 1
    assert ("jobs", "on_commit") not in host.plugin_stats()


def test_rolled_back_unit_drops_it(open_host, jobs):
    host = open_host()
    with pytest.raises(RuntimeError, match="fails"), host.request() as request:
        request.in_background(jobs.note, 1)
        raise RuntimeError("the application fails")
    assert host.wait_for_background(LONG)
    assert jobs.done == []


def test_failed_call_of_a_hook_drops_its_own(open_host, jobs):
    class Fails:
        @hookimpl
        def user_signed_up(self, request):
            request.in_background(jobs.note, "of the failed call")
            raise ValueError

    host = open_host({"fails": Fails()})
    sign_up(host)
    assert host.wait_for_background(LONG)
    assert jobs.done == ["ann@example.org"]


def test_host_runs_it_at_once(open_host, jobs):
    host = open_host()
    with host.request():
        host.in_background(jobs.note, 1)
        assert host.wait_for_background(LONG)
        assert jobs.done == [1]


def test_callback_of_on_commit_may_start_one(open_host, jobs):
    host = open_host()
    with host.request() as request:
        request.on_commit(lambda: request.in_background(jobs.note, 1))
    assert host.wait_for_background(LONG)
    assert jobs.done == [1]


def test_callback_of_a_commit_in_between_starts_one_at_once(open_host, jobs):
    host = open_host()
    with pytest.raises(ZeroDivisionError), host.request() as request:
        request.on_commit(lambda: request.in_background(jobs.note, 1))
        request.on_commit(lambda: request.answer.message("info", "stored"))
        request.commit()
        raise ZeroDivisionError
    assert host.wait_for_background(LONG)
    assert jobs.done == [1]
    assert [each.text for each in request.answer.messages] == ["stored"]


def test_flow_of_a_callback_that_is_undone_starts_none(open_host, jobs):
    host = open_host()
    with pytest.raises(ZeroDivisionError), host.request() as request:
        request.on_commit(lambda: host.account.signup(request, email="ann@example.org", password=PASSWORD))
        request.commit()
        raise ZeroDivisionError
    assert host.wait_for_background(LONG)
    assert jobs.done == []


def test_job_of_a_callback_belongs_to_its_plugin(make_host, caplog):
    class Later:
        @hookimpl
        def user_signed_up(self, request):
            request.on_commit(lambda: request.in_background(json.loads, "{"))

    host = make_host({"later": Later()}, email_verification="none")
    with host.request() as request:
        host.account.signup(request, email="ann@example.org", password=PASSWORD)
    assert host.wait_for_background(LONG)
    assert "of plugin later" in caplog.text
    assert host.plugin_stats()["later", "in_background"].failures == 1


def test_ended_request_refuses_it(open_host, jobs):
    with open_host().request() as request:
        pass
    with pytest.raises(UnitOfWorkClosed):
        request.in_background(jobs.note, 1)


@dataclass
class Holder:
    value: object


BOUND = {
    "argument": lambda jobs, request: (jobs.note, request),
    "partial": lambda jobs, request: (functools.partial(jobs.note, request),),
    "keyword": lambda jobs, request: (functools.partial(jobs.note, value=request),),
    "method": lambda jobs, request: (request.new_id,),
    "changes": lambda jobs, request: (request.accounts.deactivate, request.id),
    "answer": lambda jobs, request: (jobs.note, request.answer),
    "method of the answer": lambda jobs, request: (jobs.note, request.answer.message),
    "list": lambda jobs, request: (jobs.note, [1, request]),
    "tuple": lambda jobs, request: (jobs.note, (request.accounts,)),
    "dict": lambda jobs, request: (jobs.note, {"request": request}),
    "key of a dict": lambda jobs, request: (jobs.note, {request: 1}),
    "dataclass": lambda jobs, request: (jobs.note, Holder(request)),
    "list in a partial": lambda jobs, request: (functools.partial(jobs.note, [request]),),
    "partial as argument": lambda jobs, request: (jobs.note, functools.partial(jobs.note, request)),
}


@pytest.mark.parametrize("bound", BOUND)
def test_request_cannot_be_passed(open_host, jobs, bound):
    with open_host().request() as request:
        call = BOUND[bound](jobs, request)
        for each in (request.in_background, request.host.in_background):
            with pytest.raises(TypeError, match="cannot pass a request"):
                each(*call)


def test_only_plain_functions(open_host, jobs):
    host = open_host()
    for wrong, message in ((jobs.coroutine, "without async"), ("text", "needs a function")):
        with pytest.raises(TypeError, match=message):
            host.in_background(wrong)


def test_threads_start_with_the_first_job_and_end_with_the_host(open_host, jobs):
    before = threads()
    host = open_host(background_threads=2)
    sign_up(host, "eve@example.org")
    assert host.wait_for_background(LONG)
    started = threads() - before
    assert 2 <= len(started) <= 3  # one watches for jobs that hang
    for number in range(20):
        host.in_background(jobs.note, number)
    assert host.wait_for_background(LONG)
    assert len(threads() - before) <= 3
    host.close()
    assert threads() - before == set()
    assert len(jobs.done) == 21


def test_no_thread_without_a_job(open_host):
    before = threads()
    host = open_host()
    with host.request():
        pass
    assert threads() == before


def test_variables_do_not_pass_from_one_job_to_another(open_host, jobs):
    host = open_host(background_threads=1)
    variable.set("of the test")
    host.in_background(lambda: jobs.note(variable.get()) or variable.set("of a job"))
    host.in_background(lambda: jobs.note(variable.get()))
    assert host.wait_for_background(LONG)
    assert jobs.done == ["unset", "unset"]


def test_failure_is_logged_with_plugin_function_and_line_but_no_value(open_host, jobs, logged):
    host = open_host()
    with host.request() as request:
        request.in_background(jobs.fail, SECRET)
        number = request.id
    assert host.wait_for_background(LONG)
    [message] = logged.messages
    assert message == (
        "the background job Jobs.fail of plugin jobs failed: KeyError at "
        f"{HERE}:{line_of('the place that is logged')} (request {number})"
    )
    stats = host.plugin_stats()["jobs", "in_background"]
    assert (stats.calls, stats.failures) == (1, 1)
    host.in_background(jobs.note, "the thread goes on")
    assert host.wait_for_background(LONG)
    assert jobs.done == ["the thread goes on"]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_job_cannot_end_the_thread(open_host, jobs, logged, error):
    def ends():
        raise error

    host = open_host(background_threads=1)
    host.in_background(ends)
    host.in_background(jobs.note, 1)
    assert host.wait_for_background(LONG)
    assert jobs.done == [1]
    assert error.__name__ in logged.messages[0]


class Unnamed(type):
    @property
    def __name__(cls):
        raise KeyError


class WithoutName(Exception, metaclass=Unnamed):
    pass


class WithoutTraceback(Exception):
    @property
    def __traceback__(self):
        raise KeyError


class WithoutAttributes:
    def __getattr__(self, name):
        raise KeyError(name)

    def __call__(self):
        raise WithoutName


def raises(error):
    raise error


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (lambda: raises(WithoutName), "failed: WithoutName at "),
        (lambda: raises(WithoutTraceback), "failed, and its error cannot be described: "),
        (WithoutAttributes, "job WithoutAttributes of plugin jobs failed: WithoutName at "),
    ],
)
def test_job_whose_error_or_function_has_failing_attributes(open_host, jobs, logged, job, message):
    host = open_host(background_threads=1)
    host.in_background(job() if isinstance(job, type) else job)
    assert host.wait_for_background(LONG)
    assert message in logged.messages[0]
    host.in_background(jobs.note, "the thread goes on")
    assert host.wait_for_background(LONG)
    assert jobs.done == ["the thread goes on"]


def test_function_of_the_application_is_named_as_such(open_host, logged):
    host = open_host()
    host.in_background(functools.partial(os.path.join, 1))
    assert host.wait_for_background(LONG)
    [message] = logged.messages
    assert message.startswith("the background job join of the application failed: TypeError at ")


def test_coroutine_behind_a_function_is_a_failure(open_host, jobs, logged):
    host = open_host()
    host.in_background(lambda: jobs.coroutine())
    assert host.wait_for_background(LONG)
    assert "failed: UnusableResult (it returned a coroutine, whose body does not run)" in logged.messages[0]


def test_full_queue_drops_and_reports(open_host, jobs, logged):
    host = open_host(background_threads=1, background_queue=2)
    host.in_background(jobs.wait, SECRET)
    assert jobs.started.wait(LONG)
    for number in range(3):
        host.in_background(jobs.note, number)
    [message] = logged.messages
    assert "Jobs.note of plugin jobs was dropped, because 2 jobs wait already" in message
    assert f"{HERE}:" in message
    stats = host.plugin_stats()["jobs", "in_background"]
    assert (stats.calls, stats.failures) == (1, 1)
    jobs.gate.set()
    assert host.wait_for_background(LONG)
    assert jobs.done == [SECRET, 0, 1]


def test_job_that_hangs_is_reported_once_while_it_hangs(open_host, jobs, logged):
    host = open_host(background_timeout=0.01, background_drain=0)
    host.in_background(jobs.wait, SECRET)
    assert logged.arrived.wait(LONG)
    [message] = logged.messages
    assert "Jobs.wait of plugin jobs still runs after 0.01 s" in message
    assert f"{HERE}:{line_of('the place where it hangs')}" in message
    assert SECRET not in message
    jobs.gate.set()
    assert host.wait_for_background(LONG)
    stats = host.plugin_stats()["jobs", "in_background"]
    assert (stats.calls, stats.failures, len(logged.messages)) == (1, 1, 1)


def test_hanging_jobs_are_replaced_up_to_a_bound(open_host, jobs, logged):
    before = threads()
    host = open_host(background_threads=1, background_timeout=0.01, background_drain=0)
    ran = threading.Event()
    host.in_background(jobs.wait, 1)
    host.in_background(ran.set)
    assert ran.wait(LONG)
    second = threading.Event()
    host.in_background(lambda: second.set() or jobs.gate.wait(LONG))
    assert second.wait(LONG)
    logged.arrived.clear()
    host.in_background(jobs.note, 2)
    while len(logged.messages) < 2:
        assert logged.arrived.wait(LONG)
        logged.arrived.clear()
    assert len(threads() - before) == 3  # the watcher, the thread and its replacement
    assert jobs.done == []
    jobs.gate.set()
    assert host.wait_for_background(LONG)
    assert sorted(jobs.done) == [1, 2]
    host.in_background(jobs.note, 3)
    assert host.wait_for_background(LONG)
    assert len(host.services.background._pool().threads) == 1


def test_close_waits_for_jobs(open_host, jobs, monkeypatch):
    host = open_host(background_threads=1, background_drain=LONG)
    background = host.services.background
    wait = background.wait

    def let_jobs_end_and_wait(seconds):
        jobs.gate.set()
        return wait(seconds)

    monkeypatch.setattr(background, "wait", let_jobs_end_and_wait)
    host.in_background(jobs.wait, 1)
    host.in_background(jobs.note, 2)
    host.close()
    assert jobs.done == [1, 2]


def test_jobs_may_use_the_host_while_it_closes(open_host, jobs):
    class Stops:
        @hookimpl
        def host_stopping(self, host):
            host.in_background(write)

    def write():
        sign_up(host, "late@example.org")

    host = open_host({"stops": Stops()})
    host.close()
    assert jobs.done == ["late@example.org"]


def test_jobs_that_outlive_the_host_are_reported(open_host, jobs, logged):
    host = open_host(background_threads=1, background_drain=0)
    host.in_background(jobs.wait, SECRET)
    host.in_background(jobs.note, SECRET)
    assert jobs.started.wait(LONG)
    with host.request() as request:
        request.in_background(jobs.note, SECRET)
        host.close()
        with pytest.raises(HostClosed):
            host.in_background(jobs.note, 1)
        with pytest.raises(HostClosed):
            request.in_background(jobs.note, 1)
    text = "\n".join(logged.messages)
    assert "Jobs.note of plugin jobs was dropped, because the host was closed before it started" in text
    assert "Jobs.wait of plugin jobs still runs, although the host is closed" in text
    assert SECRET not in text
    assert jobs.done == []


def test_job_may_close_its_host(open_host, jobs, logged):
    host = open_host()

    def close():
        host.in_background(jobs.note, 1)
        host.close()

    host.in_background(close)
    for thread in threads():
        thread.join(LONG)
    assert host.closed
    assert jobs.done == [1]
    assert logged.messages == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_forked_process_starts_its_own_threads(open_host, jobs):
    host = open_host(background_threads=1)
    host.in_background(jobs.wait, 1)
    host.in_background(jobs.note, 2)  # the child must not run it, too
    assert jobs.started.wait(LONG)
    child = os.fork()
    if child == 0:
        ran = []
        host.in_background(ran.append, 3)
        done = host.wait_for_background(LONG)
        os._exit(0 if done and ran == [3] and jobs.done == [] else 1)
    assert os.waitpid(child, 0)[1] == 0
    jobs.gate.set()
    assert host.wait_for_background(LONG)
    assert sorted(jobs.done) == [1, 2]


def test_works_without_background_work_of_plugins(open_host, jobs, database_url):
    from authhost import AuthHost

    settings = open_host().settings
    with AuthHost(settings, plugins={"jobs": jobs}, discover=False, background=False) as host:
        host.in_background(jobs.note, 1)
    assert jobs.done == [1]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("threads", 0), ("queue", 0), ("timeout", 0), ("drain", -1), ("drain", 601)],
)
def test_settings_are_checked(open_host, setting, value):
    with pytest.raises(ConfigurationError, match=f"background_{setting}"):
        open_host(**{f"background_{setting}": value})
