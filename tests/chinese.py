"""English left in a Chinese sentence: what no reader of Chinese should have to read."""

import re

_PHRASE = re.compile(r"[A-Za-z][a-z'-]+(?: [A-Za-z][a-z'-]+){2,}")
_QUOTED = re.compile("（(?:解析库|校验库|系统)原文：.*）", re.DOTALL)
"""What a library says of bytes it cannot read is quoted, and said to be."""


def english_in(text: str) -> list[str]:
    """The English phrases of more than two words in ``text``, but for those quoted."""
    return _PHRASE.findall(_QUOTED.sub("", text))
