"""The pages of the confirmation of an address, and of the addresses of an account."""

from __future__ import annotations

from authhost_hookspecs import Link, Page, Row, Section

from authhost.account.confirmation import awaited_address, needs_password, removes_all_logins
from authhost.errors import InvalidInput, InvalidKey
from authhost.web.links import link_id
from authhost.web.visit import Visit


def confirm(visit: Visit) -> Page:
    """The button that confirms, after the link of an e-mail; otherwise what a pending login waits for."""
    _ = visit.gettext
    key = visit.cookie(visit.web.cookies.confirm_key)
    if key and not isinstance(visit.error, InvalidKey):
        return _button(visit, key)
    address = awaited_address(visit.request)
    if address is None:
        return Page(
            "confirm_email_nothing",
            _("Confirm your address"),
            (_("There is nothing to confirm in this browser. Open the link of the e-mail, or log in."),),
            links=(Link(_("Log in"), "/login"),),
        )
    change = visit.form("/confirm-email/change", _("Use this address"), title=_("Is the address wrong?"))
    return Page(
        "confirm_email_waiting",
        _("Confirm your address"),
        (
            _("An e-mail is on its way to %(email)s. Open the link in it to continue.", email=address.email),
            _("Look for it in the spam folder, too."),
        ),
        forms=(visit.form("/confirm-email/send", _("Send the e-mail again")), change),
        links=(Link(_("Log in to another account"), "/login"),),
    )


def _button(visit: Visit, key: str) -> Page:
    _ = visit.gettext
    try:
        asks = needs_password(visit.request, key)
        removes = not asks and removes_all_logins(visit.request, key)
    except InvalidInput:
        asks = removes = False
    link = link_id(key)
    form = visit.form("/confirm-email", _("Confirm my address"), link=link)
    if not asks and not visit.error:
        form = visit.button("/confirm-email", form.submit, {"link": link})
    text = [_("Confirm that this address is yours.")]
    if removes:
        text.append(
            _(
                "If you signed up in another browser, open the link there, or log in here first. "
                "Otherwise every way to log in to this account is removed, and you set a password."
            )
        )
    return Page("confirm_email", _("Confirm your address"), tuple(text), forms=(form,))


def emails(visit: Visit) -> Page:
    _ = visit.gettext
    found = visit.web.host.account.list_emails(visit.request)
    rows = []
    for each in found:
        labels = [_("Primary")] if each.primary else []
        labels.append(_("Confirmed") if each.verified else _("Not confirmed"))
        forms = []
        if not each.verified:
            forms.append(
                visit.button("/confirm-email/send", _("Send the confirmation again"), {"email": each.email})
            )
        if not each.primary:
            if each.verified or not any(other.verified for other in found):
                forms.append(visit.button("/emails/primary", _("Make primary"), {"email": each.email}))
            forms.append(visit.button("/emails/remove", _("Remove"), {"email": each.email}, danger=True))
        rows.append(Row(each.email, labels=tuple(labels), forms=tuple(forms)))
    add = visit.form("/emails/add", _("Add address"), title=_("Add an address"))
    return Page(
        "emails",
        _("E-mail addresses"),
        sections=(Section(_("Your addresses"), rows=tuple(rows)),),
        forms=(add,),
        links=(Link(_("Back to the account"), "/"),),
    )
