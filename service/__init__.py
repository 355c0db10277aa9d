"""The web: a hosted ledger over HTTP, and the verifier on this machine.

    server      granian's processes, and the log; here the ledger is opened
    front       takes requests off the wire on one event loop; appends wait there
    app         the one Flask application, put together from api, log, metrics and pages
    appending   an append in steps: who, what, when it is durable
    desk        the verifier page of ``tally desk``

They take requests, call what they were given, and answer; they judge nothing. May import
``ledger``, flask, werkzeug, granian, prometheus-client, structlog and the standard library; never
``cli``.
"""
