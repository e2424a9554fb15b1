"""The request: one unit of work with the user who acts in it, and the first argument of every hook."""

from __future__ import annotations

from authhost.request.request import Request

__all__ = ["Request"]
