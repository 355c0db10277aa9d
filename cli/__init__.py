"""The command line ``tally``: one file per family of commands, loaded when it is called.

``main`` is the only exit; ``compose`` joins holder to operator; ``output`` is how results and talk
reach the terminal. Nothing here decides what evidence means.
"""
