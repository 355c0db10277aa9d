import base64
import json
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError, VerificationError
from ledger.tlog.checkpoint import check_signatures
from ledger.tlog.note import (
    COSIGNATURE_ED25519,
    COSIGNATURE_ML_DSA_44,
    ED25519,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    MAX_VKEY_CHARACTERS,
    NoteKey,
    NoteSignature,
    SignedNote,
    format_note,
    format_vkey,
    parse_note,
    parse_vkey,
)
from tests.ledger.tlog.mutations import one_byte_changes, require_one_to_one, truncations

VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
PUBLIC = parse_vkey(VKEY).public_key
LINE = NoteSignature("example.com/log", b"\x01\x02\x03\x04", b"signature")
NOTE = SignedNote("first\n\nthird — ä\n", (LINE, NoteSignature("ключ", b"\0\0\0\0", b"x")))
CONTENT = (
    "first\n\nthird — ä\n\n— example.com/log AQIDBHNpZ25hdHVyZQ==\n— ключ AAAAAHg=\n"
).encode()


# Notes


def test_a_note_is_written_and_read() -> None:
    assert format_note(NOTE) == CONTENT
    assert parse_note(CONTENT) == NOTE


def test_cut_or_changed_notes_are_other_notes_or_none() -> None:
    cut = require_one_to_one(truncations(CONTENT), parse_note, format_note, never=NOTE)
    assert cut == 1  # the one that ends after the first signature line
    require_one_to_one(one_byte_changes(CONTENT), parse_note, format_note, never=NOTE)


@given(st.binary(max_size=60))
def test_any_bytes_are_one_note_or_none(content: bytes) -> None:
    require_one_to_one(iter([content]), parse_note, format_note)
    signed = content + b"\n\n" + CONTENT.rpartition(b"\n\n")[2]
    require_one_to_one(iter([signed]), parse_note, format_note)


TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(32))))
)


@given(st.lists(TEXT, max_size=5), st.binary(min_size=1, max_size=90))
def test_every_text_of_lines_survives(lines: list[str], signature: bytes) -> None:
    note = SignedNote(
        "".join(f"{line}\n" for line in lines) or "\n",
        (NoteSignature("name", b"1234", signature),),
    )
    assert parse_note(format_note(note)) == note


@pytest.mark.parametrize(
    "block",
    [
        "",
        "\n",
        "— name AAAAAHg=",
        "— name AAAAAHg=\n\n",
        "— name AAAAAHg=\nname AAAAAHg=\n",
        "- name AAAAAHg=\n",
        "—name AAAAAHg=\n",
        "—  name AAAAAHg=\n",
        "—\u00a0name AAAAAHg=\n",
        "— name  AAAAAHg=\n",
        "— name\tAAAAAHg=\n",
        "— name AAAAAHg= \n",
        "— name AAAAAHg=\r\n",
        "— na me AAAAAHg=\n",
        "— na+me AAAAAHg=\n",
        "— na\u2003me AAAAAHg=\n",
        "— na\u3000me AAAAAHg=\n",
        "— na\u0085me AAAAAHg=\n",
        "—  AAAAAHg=\n",
        "— name \n",
        "— name\n",
        "— name AAAAAA==\n",
        "— name AAAA\n",
        "— name AAAAAHg\n",
        "— name AAAAAHh=\n",
        "— name AAAAA-_=\n",
    ],
)
def test_bad_signature_blocks_are_refused(block: str) -> None:
    with pytest.raises(MalformedError):
        parse_note(f"text\n\n{block}".encode())


@pytest.mark.parametrize("code", [*range(0x0A), *range(0x0B, 0x20)])
def test_every_control_character_is_refused(code: int) -> None:
    content = CONTENT.replace(b"first", b"fi" + bytes([code]) + b"rst")
    with pytest.raises(MalformedError, match="control character"):
        parse_note(content)


@pytest.mark.parametrize(
    "raw", [b"\xff", b"\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"]
)
def test_bytes_that_are_not_utf8_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError, match="not UTF-8"):
        parse_note(raw + CONTENT)


def test_a_hundred_signatures_are_read_and_no_more() -> None:
    note = SignedNote("text\n", (LINE,) * MAX_SIGNATURES)
    assert parse_note(format_note(note)) == note
    with pytest.raises(MalformedError, match="note has 101 signatures, want at most 100"):
        parse_note(format_note(note) + format_note(note).splitlines(keepends=True)[-1])


def test_a_note_of_the_largest_size_is_read_and_no_larger_one() -> None:
    line = format_note(SignedNote("\n", (LINE,)))
    content = b"x" * (MAX_NOTE_BYTES - len(line)) + line
    assert format_note(parse_note(content)) == content
    with pytest.raises(MalformedError, match="want at most 1048576"):
        parse_note(b"x" + content)


def test_notes_that_cannot_be_written_are_a_mistake_of_the_caller() -> None:
    for text, lines in [
        ("no newline", (LINE,)),
        ("", (LINE,)),
        ("text\r\n", (LINE,)),
        ("\ud800\n", (LINE,)),
        ("text\n", ()),
        ("text\n", (LINE,) * 101),
    ]:
        with pytest.raises(ValueError, match="note"):
            SignedNote(text, lines)
    for name in ("", "a b", "a+b", "a\nb", "a\u00a0b", "\ud800"):
        with pytest.raises(ValueError, match="key name"):
            NoteSignature(name, b"1234", b"x")
        with pytest.raises(ValueError, match="key name"):
            NoteKey(name, ED25519, PUBLIC)
    for key_id, signature in [(b"123", b"x"), (b"12345", b"x"), (b"1234", b"")]:
        with pytest.raises(ValueError, match="key ID of 4 bytes"):
            NoteSignature("name", key_id, signature)


# Verifier keys


@pytest.mark.parametrize(
    ("type_", "public"),
    [(ED25519, PUBLIC), (COSIGNATURE_ED25519, PUBLIC), (COSIGNATURE_ML_DSA_44, bytes(1312))],
)
def test_vkeys_are_written_and_read(type_: int, public: bytes) -> None:
    key = NoteKey("example.com/ключ", type_, public)
    assert parse_vkey(format_vkey(key)) == key
    want = sha256("example.com/ключ\n".encode() + bytes([type_]) + public).digest()[:4]
    assert key.key_id == want


def test_the_specifications_vkey_is_read() -> None:
    key = parse_vkey(VKEY)
    assert (key.name, key.type, key.key_id.hex()) == ("example.com/foo", ED25519, "530d903a")
    assert format_vkey(key) == VKEY


def test_cut_or_changed_vkeys_are_refused() -> None:
    def parse(content: bytes) -> NoteKey:
        return parse_vkey(content.decode("latin-1"))

    for changed in (truncations(VKEY.encode()), one_byte_changes(VKEY.encode())):
        assert require_one_to_one(changed, parse, lambda key: format_vkey(key).encode()) == 0


@given(st.text(max_size=40))
def test_any_text_is_one_vkey_or_none(text: str) -> None:
    for candidate in (text, f"{text}+530d903a+{VKEY[25:]}", VKEY + text):
        with suppress(MalformedError):
            assert format_vkey(parse_vkey(candidate)) == candidate


def vkey(name: str, encoded: bytes) -> str:
    """A vkey with the right key ID, whatever its parts."""
    key_id = sha256(name.encode() + b"\n" + encoded).digest()[:4].hex()
    return f"{name}+{key_id}+{base64.b64encode(encoded).decode()}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (vkey("n", b""), "no signature type"),
        (vkey("n", b"\x01"), "public key has 0 bytes"),
        (vkey("n", b"\x01" + PUBLIC[:-1]), "has 31 bytes, want 32"),
        (vkey("n", b"\x04" + PUBLIC + b"x"), "has 33 bytes, want 32"),
        (vkey("n", b"\x06" + PUBLIC), "has 32 bytes, want 1312"),
        (vkey("n", b"\x00" + PUBLIC), "signature type is 0x00"),
        (vkey("n", b"\x02" + PUBLIC), "signature type is 0x02"),
        (vkey("n", b"\x05" + PUBLIC), "signature type is 0x05"),
        (vkey("n", b"\xff" + PUBLIC), "signature type is 0xff"),
        (vkey("", b"\x01" + PUBLIC), "key name is empty"),
        (vkey("a b", b"\x01" + PUBLIC), "key name"),
        (vkey("n" * 256, b"\x01" + PUBLIC), "longer than 255 bytes"),
        (vkey("ж" * 128, b"\x01" + PUBLIC), "longer than 255 bytes"),
        (vkey("n", b"\x01" + PUBLIC).replace("n+", "m+"), "has key ID .*, want"),
        (VKEY.replace("530d903a", "530D903A"), "hex digits"),
        (VKEY.replace("+", " "), "is not <name>"),
        (vkey("n", b"\x01" + b"\x01" + bytes(31)), "small order"),
        (vkey("n", b"\x04" + b"\xff" * 32), "not canonical"),
        ("n" * (MAX_VKEY_CHARACTERS + 1), "characters, want at most"),
    ],
)
def test_bad_vkeys_are_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        parse_vkey(text)


def test_the_longest_vkey_fits_the_limit() -> None:
    text = format_vkey(NoteKey("n" * 255, COSIGNATURE_ML_DSA_44, bytes(1312)))
    assert len(text) == MAX_VKEY_CHARACTERS
    assert format_vkey(parse_vkey(text)) == text


# Third parties' cases


def test_all_note_cases_come_out_as_stated(vectors: Path) -> None:
    known = json.loads((vectors / "signed-note/note_cases.json").read_text())
    for case in known["cases"]:
        keys = [parse_vkey(text) for text in case["vkeys"]]
        try:
            good = check_signatures(parse_note(case["note"].encode()), keys)
        except (MalformedError, VerificationError):
            good = ()
        assert [key.name for key in good] == case.get("verified", []), case["name"]
        assert bool(good) == case["ok"], case["name"]
    assert len(known["cases"]) == 12


def test_all_bad_vkeys_are_refused(vectors: Path) -> None:
    known = json.loads((vectors / "signed-note/note_cases.json").read_text())
    for case in known["bad_vkeys"]:
        with pytest.raises(MalformedError):
            parse_vkey(case["vkey"])
    assert len(known["bad_vkeys"]) == 2


def test_the_witness_conversations_notes_come_out_as_stated(vectors: Path) -> None:
    file = vectors / "tlog-cosignature/witness_add_checkpoint_conversation.json"
    known = json.loads(file.read_text())
    public = bytes.fromhex(known["log_pubkey_hex"])
    came_out = []
    for step in known["conversation"]:
        _, _, note = step["request_body"].partition("\n\n")
        name = note.partition("\n")[0]
        try:
            good = check_signatures(parse_note(note.encode()), [NoteKey(name, ED25519, public)])
            came_out.append("signed" if good else "unknown")
        except MalformedError:
            came_out.append("malformed")
    # The second, answered 403 there, has a signature whose base64 is not canonical (…x6gx=): here
    # it is no note at all. The third names another log, so its line is by an unknown key.
    assert came_out == ["signed", "malformed", "unknown"] + ["signed"] * 6
