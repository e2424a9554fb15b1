"""Whatever is sent, the answer is a typed refusal, and nothing is stored."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from authhost.errors import AuthError, WeakPassword
from authhost.store.models import User

ANYTHING = st.one_of(
    st.none(),
    st.binary(),
    st.integers(),
    st.text(),
    st.text(min_size=255, max_size=300),
    st.just("a\0@b.org"),
)
FLOWS = [
    ("signup", ("email", "password")),
    ("login", ("identifier", "password")),
    ("confirm_email", ("key",)),
    ("reset_password", ("key", "password")),
    ("change_password", ("current_password", "new_password")),
    ("add_email", ("email",)),
    ("make_primary", ("email",)),
    ("end_session", ("session_id",)),
]


@pytest.mark.parametrize(("flow", "names"), FLOWS)
def test_anything_is_refused_by_type(make_host, run, flow, names):
    host = make_host()

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.tuples(*(ANYTHING for _ in names)))
    def check(values):
        with pytest.raises(AuthError):
            run(host, flow, **dict(zip(names, values, strict=True)))

    check()
    with host.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(User.__table__)).scalar() == 0


@pytest.mark.parametrize("password", ["short", "a" * 40, "passwordpassword1", "ann@example.org1", "x" * 2000])
def test_weak_passwords(make_host, run, password):
    host = make_host()
    with pytest.raises(WeakPassword):
        run(host, "signup", email="ann@example.org", password=password)
