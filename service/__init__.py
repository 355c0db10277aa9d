"""Flask pages and nothing else: what a browser sees of the house.

Lives here: ``desk``, the verifier on this machine (``tally desk``), and ``pages``, what a hosted
ledger shows to people, with their words, templates and static files; ``web`` is what all pages
have alike. They take requests, call what they were given, and answer; they judge nothing. May
import ``ledger``, flask, werkzeug and the standard library; never ``cli``.
"""
