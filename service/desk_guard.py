"""Who may talk to a page that listens on this machine: only a browser on it, from that page."""

from collections.abc import Callable, Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.wrappers import Response


def only_from_here(app: WSGIApplication, port: int) -> WSGIApplication:
    """``app`` for requests whose Host is this machine at ``port`` and whose Origin is its page.

    Any other gets 403 and no detail. Host stops a foreign name that was made to point at 127.0.0.1
    (DNS rebinding), Origin a foreign page that posts here.
    """
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    def guarded(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        host, origin = environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN")
        if host in hosts and origin in {None, f"http://{host}"}:
            return app(environ, start)
        refuse: Callable[..., Iterable[bytes]] = Response("403\n", 403, mimetype="text/plain")
        return refuse(environ, start)

    return guarded
