"""Flask pages and nothing else: what a browser sees of the house.

Lives here: ``desk``, the verifier on this machine (``tally desk``), its words, templates and static
files. They take requests, call what they were given, and answer; they judge nothing. May import
``ledger``, flask, werkzeug and the standard library; never ``cli``.
"""
