"""``authhost init``: a commented configuration with a fresh secret."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

import click

from authhost.cli.lazy_host import CONFIG, LazyHost
from authhost.operations.console import json_option

TEMPLATE = """\
# The settings of authhost. The page "Settings" of the documentation explains all of them.
# A variable AUTHHOST_NAME of the environment replaces the setting `name`.

# Signs and encrypts. Keep it secret, and the same for all processes of this site.
# In production, set AUTHHOST_SECRET_KEY in the environment instead.
secret_key = {secret_key}

# The name of the site, in pages and e-mails.
site_name = {site_name}

# The address under which people open the site. Links in e-mails start with it.
# With https, all cookies are bound to this host; http is for development only.
base_url = {base_url}

# SQLite needs no server. The path is relative to this file.
database_url = "sqlite:///authhost.sqlite3"
# database_url = "postgresql+psycopg://site@db.example.org/site"

# Counts rate limits for all processes together.
# redis_url = "redis://127.0.0.1:6379/0"

# Whether an address must be confirmed: "none", "optional" or "mandatory".
email_verification = "optional"

# Whether the signup form asks for a username: "no", "optional" or "required".
# username_at_signup = "optional"

# How many proxies in front of the application add the client's address to X-Forwarded-For.
# trusted_proxies = 1

# Origins of other sites whose pages may use the JSON API, such as a single-page application.
# trusted_origins = ["https://app.example.org"]

# The paths after a login and after a logout. By default: the account page, and the login page.
# after_login = "/"
# after_logout = "/"

# The look of the pages.
# brand_color = "#0f766e"
# brand_logo = "/static/logo.svg"

# Plugins that must be there: without them the site does not start.
# required_plugins = ["audit", "email"]

# E-mail (pip install authhost-email). Without a transport, mails are written to a folder.
# [plugins.email]
# transport = "smtp"
# smtp_host = "mail.example.org"
# smtp_port = 587
# smtp_tls = "starttls"
# smtp_username = "accounts"
# from_address = "accounts@example.org"
# The password: AUTHHOST_PLUGINS__EMAIL__SMTP_PASSWORD in the environment.

# Login with a provider. `authhost providers list --all` shows the names.
# The secret: AUTHHOST_PROVIDERS__GOOGLE__CLIENT_SECRET in the environment.
# [providers.google]
# client_id = "….apps.googleusercontent.com"
"""
PRIVATE = 0o600
"""The mode of the file: only its owner may read the secret."""


@click.command("init")
@click.option(
    "--path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=CONFIG,
    show_default=True,
    help="The file to write.",
)
@click.option("--site-name", default="My site", show_default=True, help="The name of the site.")
@click.option(
    "--base-url", default="http://localhost:8000", show_default=True, help="The address of the site."
)
@click.option("--force", is_flag=True, help="Replace the file, and its secret, if it exists.")
@json_option
@click.pass_context
def init(ctx: click.Context, path: Path, site_name: str, base_url: str, force: bool, as_json: bool) -> None:
    """Write a commented authhost.toml with a fresh secret.

    Only its owner can read the file. A new secret makes the former one's links and encrypted
    values unusable, so an existing file is not replaced without --force.

    Examples:

      authhost init

      authhost init --site-name Teapots --base-url https://teapots.example.org
    """
    from authhost.settings import Settings

    secret_key = secrets.token_urlsafe(48)
    Settings(secret_key=secret_key, site_name=site_name, base_url=base_url)  # raises for a wrong value
    text = TEMPLATE.format(
        secret_key=_quoted(secret_key),
        site_name=_quoted(site_name),
        base_url=_quoted(base_url),
    )
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        descriptor = os.open(path, flags, PRIVATE)
    except FileExistsError:
        raise click.ClickException(f"{path} exists; --force replaces it, and its secret") from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
    with open(descriptor, "w", encoding="utf-8") as file:
        os.chmod(path, PRIVATE)
        file.write(text)
    console = LazyHost.of(ctx).console
    if as_json:
        console.print_rows([{"file": str(path)}], as_json=True)
        return
    option = "" if path == Path(CONFIG) else f" --config {path}"
    console.print(f"wrote {path}")
    console.print("next:")
    console.print(f"  authhost{option} db upgrade   # creates the database")
    console.print(f"  authhost{option} check        # finds unsafe settings")
    console.print(f"  authhost{option} serve        # opens the pages at {base_url}/account/")


def _quoted(text: str) -> str:
    """Return a basic string of TOML, which is written like one of JSON."""
    return json.dumps(text, ensure_ascii=False)
