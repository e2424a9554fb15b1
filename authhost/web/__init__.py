"""Pages and a JSON API for every framework: ``pip install authhost[web]``.

`Web` answers requests with the flows of a host. `authhost.web.asgi` and `authhost.web.wsgi`
connect it with servers, `authhost.web.fastapi`, `authhost.web.starlette` and
`authhost.web.flask` with frameworks.
"""

from authhost.web.http import WebRequest, WebResponse
from authhost.web.openapi import merged_document
from authhost.web.site import Web
from authhost.web.visit import Visit

__all__ = ["Visit", "Web", "WebRequest", "WebResponse", "merged_document"]
