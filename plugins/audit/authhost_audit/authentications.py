"""The authentications of a login, in a record and in the export formats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from authhost_hookspecs import Authentication

AUTHENTICATIONS = "authentications"
"""The name of the value in a record's ``data``."""
FACTOR_TYPES = {
    "password": 11,
    "email_confirmation": 8,
    "password_reset": 8,
    "totp": 7,
    "webauthn": 10,
}
"""The identifier of OCSF 1.3 (``auth_factor.factor_type_id``) by method."""
OTHER_TYPE = 99


def values_of(authentications: Iterable[Authentication]) -> list[dict[str, Any]]:
    """Return what a record says of the authentications of a login, the first one first."""
    return [
        {"method": each.method, "factors": list(each.factors)}
        | ({"provider": each.provider} if each.provider is not None else {})
        for each in authentications
    ]


def as_text(values: Iterable[Mapping[str, Any]]) -> str:
    """Return them as text: ``password (knowledge), totp (possession)``."""
    return ", ".join(
        f"{each.get('provider') or each['method']} ({', '.join(each['factors']) or 'no factor'})"
        for each in values
    )


def ocsf_fields(values: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the fields of the OCSF class Authentication: the factors, and whether they are several."""
    if not values:
        return {}
    factors = [
        {
            "factor_type": each["method"],
            "factor_type_id": FACTOR_TYPES.get(each["method"], OTHER_TYPE),
            **({"is_totp": True} if each["method"] == "totp" else {}),
            **({"provider": each["provider"]} if "provider" in each else {}),
        }
        for each in values
    ]
    proved = {factor for each in values for factor in each["factors"]}
    return {"auth_factors": factors, "is_mfa": len(proved) > 1}
