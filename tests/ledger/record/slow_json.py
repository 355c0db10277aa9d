"""Strict JSON read character by character, as RFC 8259 draws it: slow, and easy to check.

What ``ledger.record.strict_json`` reads fast is compared with this.
"""

from ledger.record.strict_json import MAX_DEPTH, MAX_INTEGER, JsonValue

WHITE = " \t\n\r"
DIGITS = "0123456789"
WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class RefusedError(Exception):
    """The text is not in the dialect."""


def read(b: bytes) -> JsonValue:
    try:
        reader = Reader(b.decode("utf-8"))
    except UnicodeDecodeError:
        raise RefusedError from None
    value = reader.element(1)
    reader.need(reader.at == len(reader.text))
    return value


class Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def need(self, good: bool) -> None:
        if not good:
            raise RefusedError

    def next(self) -> str:
        """The next character, or nothing at the end."""
        return self.text[self.at : self.at + 1]

    def take(self, wanted: str) -> bool:
        """Step over ``wanted`` if it is next."""
        found = self.text.startswith(wanted, self.at)
        self.at += len(wanted) if found else 0
        return found

    def white(self) -> None:
        while self.next() and self.next() in WHITE:
            self.at += 1

    def element(self, depth: int) -> JsonValue:
        """A value with the white space around it."""
        self.white()
        value = self.value(depth)
        self.white()
        return value

    def value(self, depth: int) -> JsonValue:
        for word, meaning in WORDS.items():
            if self.take(word):
                return meaning
        if self.next() == '"':
            return self.string()
        if self.take("["):
            self.need(depth <= MAX_DEPTH)
            return self.array(depth)
        if self.take("{"):
            self.need(depth <= MAX_DEPTH)
            return self.object(depth)
        return self.integer()

    def array(self, depth: int) -> list[JsonValue]:
        self.white()
        if self.take("]"):
            return []
        items = [self.element(depth + 1)]
        while self.take(","):
            items.append(self.element(depth + 1))
        self.need(self.take("]"))
        return items

    def object(self, depth: int) -> dict[str, JsonValue]:
        members: dict[str, JsonValue] = {}
        self.white()
        if self.take("}"):
            return members
        while True:
            self.white()
            key = self.string()
            self.need(key not in members)
            self.white()
            self.need(self.take(":"))
            members[key] = self.element(depth + 1)
            if not self.take(","):
                break
        self.need(self.take("}"))
        return members

    def integer(self) -> int:
        begin = self.at
        self.take("-")
        if not self.take("0"):
            self.need(self.next() != "" and self.next() in DIGITS)
            while self.next() and self.next() in DIGITS:
                self.at += 1
        digits = self.text[begin : self.at]
        self.need(len(digits) < 20 and digits != "-0" and abs(int(digits)) <= MAX_INTEGER)
        return int(digits)

    def string(self) -> str:
        self.need(self.take('"'))
        read = ""
        while not self.take('"'):
            character = self.next()
            self.need(character >= " ")  # neither the end nor a control character
            self.at += 1
            read += character if character != "\\" else self.escape()
        return read

    def escape(self) -> str:
        kind = self.next()
        self.at += 1
        if kind in ESCAPES:
            return ESCAPES[kind]
        self.need(kind == "u")
        unit = self.code_unit()
        if 0xD800 <= unit < 0xDC00:  # RFC 8259 §7: half of a pair
            self.need(self.take("\\u"))
            low = self.code_unit()
            self.need(0xDC00 <= low < 0xE000)
            return chr(0x10000 + (unit - 0xD800) * 0x400 + low - 0xDC00)
        self.need(unit != 0 and not 0xDC00 <= unit < 0xE000)
        return chr(unit)

    def code_unit(self) -> int:
        digits = self.text[self.at : self.at + 4]
        self.need(len(digits) == 4 and set(digits) <= set(DIGITS + "abcdefABCDEF"))
        self.at += 4
        return int(digits, 16)
