"""fastapi-users' login, whose body is a form, and its protected route, on uvicorn."""

from __future__ import annotations

import asyncio

from drive_fastapi_users import Base, CheapHelper, User, make_app, make_engine
from fastapi_users.password import PasswordHelper, PasswordHelperProtocol
from measure import PASSWORD
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from serving import ARGON2, address, options, serve_asgi
from sqlalchemy.ext.asyncio import AsyncSession


def helper(hash_name: str) -> PasswordHelperProtocol:
    """The cheap hash, or argon2id with the same cost as everywhere."""
    if hash_name == "cheap":
        return CheapHelper()
    return PasswordHelper(PasswordHash((Argon2Hasher(**ARGON2),)))


async def prepare(url: str, hashing: PasswordHelperProtocol, users: int) -> None:
    """Create the tables and store accounts with confirmed addresses that share a password."""
    engine = make_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    password = hashing.hash(PASSWORD)
    async with AsyncSession(engine) as session:
        for email in map(address, range(users)):
            session.add(User(email=email, hashed_password=password, is_active=True, is_verified=True))
        await session.commit()
    await engine.dispose()


if __name__ == "__main__":
    given = options(__doc__)
    hashing = helper(given.hash)
    asyncio.run(prepare(given.database, hashing, given.users))
    serve_asgi(make_app(make_engine(given.database), hashing), given.fd)
