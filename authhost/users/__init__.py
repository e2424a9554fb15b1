"""Users as plugins and administrators see them: everything of one account, and changes without a login."""

from authhost.users.administration import Users
from authhost.users.changes import Changes
from authhost.users.snapshot import read_account

__all__ = ["Changes", "Users", "read_account"]
