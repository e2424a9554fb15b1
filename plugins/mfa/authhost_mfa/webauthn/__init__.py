"""Web Authentication (https://www.w3.org/TR/webauthn-3/): options, challenges, and verified responses.

Source of the rules: sections 7.1 (registration) and 7.2 (authentication). The functions store nothing but
used challenges. One use is::

    purpose = purpose_of_reauthentication(request.user.id, request.session.id)
    options = request_options(new_challenge(request, purpose), rp_id=rp_id_of(base_url), allowed=stored)
    ...  # a Field of the type public_key_get with these options; then, with what the form has sent:
    challenge = open_challenge(request, used_challenge_table, response, purpose)
    found = stored_by_id(credential_id_of(response))
    assertion = verify_authentication(response, challenge, rp_id, origins, found)
    use_challenge(request, used_challenge_table, challenge)
"""

from authhost_mfa.webauthn.authentication import verify_authentication
from authhost_mfa.webauthn.challenges import (
    CHALLENGE_SECONDS,
    delete_expired_challenges,
    new_challenge,
    open_challenge,
    purpose_of_enrolment,
    purpose_of_login,
    purpose_of_pending_login,
    purpose_of_reauthentication,
    purpose_of_registration,
    purpose_of_signup,
    use_challenge,
)
from authhost_mfa.webauthn.errors import (
    ChallengeExpired,
    ChallengeUsed,
    ClonedCredential,
    InvalidCredential,
    MissingCredential,
    UnknownCredential,
    WebAuthnRefused,
)
from authhost_mfa.webauthn.options import creation_options, new_user_handle, request_options
from authhost_mfa.webauthn.registration import verify_registration
from authhost_mfa.webauthn.relying_party import origins_of, rp_id_of
from authhost_mfa.webauthn.responses import credential_id_of
from authhost_mfa.webauthn.tables import add_used_challenge_table
from authhost_mfa.webauthn.values import Assertion, KnownCredential, NewCredential, StoredCredential

__all__ = [
    "CHALLENGE_SECONDS",
    "Assertion",
    "ChallengeExpired",
    "ChallengeUsed",
    "ClonedCredential",
    "InvalidCredential",
    "KnownCredential",
    "MissingCredential",
    "NewCredential",
    "StoredCredential",
    "UnknownCredential",
    "WebAuthnRefused",
    "add_used_challenge_table",
    "creation_options",
    "credential_id_of",
    "delete_expired_challenges",
    "new_challenge",
    "new_user_handle",
    "open_challenge",
    "origins_of",
    "purpose_of_enrolment",
    "purpose_of_login",
    "purpose_of_pending_login",
    "purpose_of_reauthentication",
    "purpose_of_registration",
    "purpose_of_signup",
    "request_options",
    "rp_id_of",
    "use_challenge",
    "verify_authentication",
    "verify_registration",
]
