"""Verdict to text, JSON, HTML and pictures. Beside the roles, since appraisers have no vault.

Takes a ``Verdict`` and gives bytes or text; opens nothing, decides nothing.
"""
