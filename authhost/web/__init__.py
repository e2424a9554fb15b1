"""Pages and a JSON API for every framework: ``pip install authhost[web]``.

`Web` answers requests with the flows of a host. `authhost.web.asgi` and `authhost.web.wsgi`
connect it with servers, `authhost.web.fastapi`, `authhost.web.starlette` and
`authhost.web.flask` with frameworks.
"""

try:
    from authhost.web.http import WebRequest, WebResponse
    from authhost.web.openapi import merged_document
    from authhost.web.site import Web
    from authhost.web.visit import Visit
except ModuleNotFoundError as error:
    name = str(error.name).partition(".")[0]
    if name == "authhost":
        raise
    message = f"authhost.web needs {name}; run `pip install 'authhost[web]'`"
    raise ModuleNotFoundError(message, name=name) from error

__all__ = ["Visit", "Web", "WebRequest", "WebResponse", "merged_document"]
