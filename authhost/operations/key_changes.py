"""Changes keys of the host in phases, so that no process meets a value that it cannot read.

Processes are restarted one after the other, so for some time some have the former settings. Each
phase writes only what processes with the settings of the phase before can read:

1. ``distribute`` adds a new key, which is accepted and not used yet.
2. ``activate`` puts it first, so it encrypts and signs. All processes accept it already.
3. ``re-encrypt`` encrypts stored values with it, when no process uses the former one.
4. ``remove`` removes the former keys, when no stored value needs them.
"""

from __future__ import annotations

from collections.abc import Iterator

from authhost_hookspecs import Host, KeyChange, KeyState, KeyStatus, ManagedKey
from sqlalchemy import inspect

from authhost.host import AuthHost
from authhost.operations.sealed_columns import KeyUse, key_use
from authhost.security.encryption import encryption_keys
from authhost.security.key_age import KeyList, created, fingerprint, new_timed_key
from authhost.store.migrate import CORE, name_of_history, version_table

DISTRIBUTE, ACTIVATE, ENCRYPT, REMOVE = PHASES = ("distribute", "activate", "re-encrypt", "remove")
SECRET_KEY, ENCRYPTION_KEYS = "secret_key", "encryption_keys"
LOST = {
    SECRET_KEY: "Browsers that are trusted since its time are asked for the second factor again, "
    "`authhost audit forget --address` finds no refusals of its time any more, and authhost-analytics no "
    "events of its time, also those of accounts that are deleted later.",
    ENCRYPTION_KEYS: "Nothing that is stored needs them.",
}
"""What is lost with a former key."""


def all_keys(host: AuthHost) -> dict[str, ManagedKey]:
    """Return the keys of the host and of its plugins by name, such as ``audit.signing_key``."""
    found = {
        SECRET_KEY: ManagedKey(
            SECRET_KEY, "signs device tokens, hashes names", _secret_states, _secret_change
        ),
        ENCRYPTION_KEYS: ManagedKey(
            ENCRYPTION_KEYS, "encrypts stored values", _encryption_states, _encryption_change
        ),
    }
    for plugin, keys in host.registry.keys().items():
        found |= {f"{plugin}.{each.setting}": each for each in keys}
    return found


def plugins_not_counted(host: AuthHost) -> list[str]:
    """Return the plugins that are not loaded but have tables, whose encrypted values nobody can find.

    They need not be installed: each has left the table with the revision of its others.
    """
    inspector = inspect(host.reader)
    known = {CORE, *(each.name for each in host.registry.loaded())}
    found = {name: version_table(name) for name in map(name_of_history, inspector.get_table_names()) if name}
    return sorted(
        name
        for name, table in found.items()
        if name not in known and [each["name"] for each in inspector.get_columns(table)] == ["version_num"]
    )


def encrypts(host: AuthHost, name: str) -> bool:
    """Return whether the keys of a setting encrypt: ``encryption_keys``, and ``secret_key`` without those."""
    return name == ENCRYPTION_KEYS or (name == SECRET_KEY and not host.settings.encryption_keys)


def _secret_states(host: Host) -> Iterator[KeyState]:
    assert isinstance(host, AuthHost)
    use = key_use(host) if encrypts(host, SECRET_KEY) else None
    yield from _states(SECRET_KEY, host.settings.secret_keys, use)


def _encryption_states(host: Host) -> Iterator[KeyState]:
    assert isinstance(host, AuthHost)
    if host.settings.encryption_keys:  # otherwise they are those of secret_key
        yield from _states(ENCRYPTION_KEYS, encryption_keys(host.settings), key_use(host))


def _states(name: str, keys: tuple[str, ...], use: KeyUse | None) -> Iterator[KeyState]:
    ordered, command = KeyList.of(keys), f"`authhost keys rotate {name}`"
    for position, key in enumerate(keys):
        count = use.by_key[position] if use is not None else None
        status: KeyStatus
        if key == ordered.active:
            status, to_do = "active", ""
        elif key in ordered.upcoming:
            status, to_do = "upcoming", f"restart all processes; then {command} activates it"
        elif count:
            status, to_do = "former", f"{command} encrypts its values with the active key"
        else:
            status, to_do = "former", f"{command} removes it"
        yield KeyState(fingerprint(key), status, count, created(key), to_do)
    for column, count in sorted(use.unreadable.items()) if use is not None else ():
        to_do = f"add the key of {column} to {name} again: no listed key decrypts these values"
        yield KeyState("", "missing", count, None, to_do)


def _secret_change(host: Host, phase: str | None) -> KeyChange:
    assert isinstance(host, AuthHost)
    return _change(host, SECRET_KEY, host.settings.secret_keys, phase)


def _encryption_change(host: Host, phase: str | None) -> KeyChange:
    assert isinstance(host, AuthHost)
    return _change(host, ENCRYPTION_KEYS, encryption_keys(host.settings), phase)


def _change(host: AuthHost, name: str, keys: tuple[str, ...], phase: str | None) -> KeyChange:
    ordered = KeyList.of(keys)
    if phase is None:
        phase = _next_phase(host, name, ordered)
    command = f"`authhost keys rotate {name}`"
    if phase == DISTRIBUTE:
        if ordered.upcoming:
            raise ValueError(f"{name} has a new key that is not active yet: {command} activates it")
        new = new_timed_key(host.now, keys)
        later = f"restart all processes; then {command} activates the new key"
        return KeyChange(phase, {name: (ordered.active, new, *ordered.former)}, later)
    if phase == ACTIVATE:
        if not ordered.upcoming:
            raise ValueError(f"{name} has no new key: {command} --phase distribute adds one")
        first, *others = ordered.upcoming
        later = f"restart all processes; then {command} goes on"
        question = f"Were all processes restarted since the new key was added to {name}?"
        return KeyChange(phase, {name: (first, *others, ordered.active, *ordered.former)}, later, question)
    if phase == ENCRYPT:
        if not encrypts(host, name):
            raise ValueError(f"{name} encrypts nothing, because encryption_keys is set")
        question = "Were all processes restarted since the first key became active?" if ordered.former else ""
        later = f"{command} removes the former keys" if ordered.former else ""
        return KeyChange(phase, {}, later, question)
    if phase != REMOVE:
        raise ValueError(f"the phases of {name} are {', '.join(PHASES)}, not {phase}")
    if not ordered.former:
        raise ValueError(f"{name} has no former key; `authhost keys list` shows the keys")
    _check_unused(host, name)
    question = f"Remove {len(ordered.former)} of {len(keys)} keys of {name}? {LOST[name]}"
    kept = tuple(each for each in keys if each not in ordered.former)
    later = f"restart all processes; then the change of {name} is complete"
    return KeyChange(phase, {name: kept}, later, question)


def _next_phase(host: AuthHost, name: str, keys: KeyList) -> str:
    if keys.upcoming:
        return ACTIVATE
    if not keys.former:
        return DISTRIBUTE
    if encrypts(host, name) and any(number for number in key_use(host).by_key):
        return ENCRYPT
    return REMOVE


def _check_unused(host: AuthHost, name: str) -> None:
    if not encrypts(host, name):
        return
    count = sum(each for number, each in key_use(host).by_key.items() if number)
    if count:
        raise ValueError(
            f"{count} values need a former key: `authhost keys rotate {name} --phase re-encrypt` "
            "encrypts them with the first one"
        )
    missing = plugins_not_counted(host)
    if missing:
        raise ValueError(
            f"the plugin {missing[0]} is not loaded, and its tables may have values that need a former key: "
            f"load it for this command, or drop its tables, {version_table(missing[0])} last"
        )
