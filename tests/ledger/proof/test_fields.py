"""Every byte of every file has a field, and every field its place."""

from itertools import pairwise

import pytest

from ledger.errors import MalformedError
from ledger.proof.bundle import Bundle, place_of
from ledger.proof.fields import fields_of
from tests.ledger.proof.everything import everything
from tests.ledger.timestamp.authority import Authority, make_token

WANTED = {
    "record": "header payload signature salt name value",
    "lines": "index salt path mtime sha256 size hash",
    "part-lines": "index salt piece offset sha256 size hash",
    "excerpt": "content",
    "proof": "index extra hash checkpoint-origin checkpoint-size checkpoint-root checkpoint-signer"
    " checkpoint-key-id checkpoint-ed25519 checkpoint-ml-dsa",
    "checkpoint": "origin size root signer key-id ed25519 ml-dsa",
    "cosignatures": "signer key-id ed25519",
    "consistency": "hash",
    "stamp": "status content-type version digests info-version policy imprint serial gen-time"
    " accuracy ordering nonce extensions signer-certificate certificate revocation signer-version"
    " signer-id signer-digest attribute-content-type attribute-message-digest"
    " attribute-signing-time attribute-signing-certificate signature-algorithm signature unsigned",
    "not-before": "policy imprint serial gen-time accuracy nonce signer-certificate signature",
    "certificate": "content",
    "crl": "list algorithm signature",
    "ocsp": "status answer",
    "vkeys": "name key-id key",
    "readme": "content",
    "sums": "digest path",
    "index": "entry path sha256 size v",
}


@pytest.fixture(scope="module")
def rich() -> Bundle:
    return everything()


def test_the_fields_of_a_file_cover_it_without_a_gap(rich: Bundle) -> None:
    for path, content in rich.files.items():
        fields = fields_of(path, content)
        assert fields[0].start == 0
        assert fields[-1].stop == len(content)
        assert all(left.stop == right.start for left, right in pairwise(fields))
        assert all(field.start < field.stop for field in fields)
        assert {field.name.split(".")[0] for field in fields} == {place_of(path).kind}


def test_every_part_of_every_kind_is_found(rich: Bundle) -> None:
    found = {field.name for path, held in rich.files.items() for field in fields_of(path, held)}
    wanted = {f"{kind}.{part}" for kind, parts in WANTED.items() for part in parts.split()}
    assert wanted <= found
    assert {place_of(path).kind for path in rich.files} == set(WANTED)


def test_a_field_holds_what_its_name_says(rich: Bundle) -> None:
    (path,) = [path for path in rich.files if "own-" in path]
    content = rich.files[path]
    fields = {field.name: content[field.start : field.stop] for field in fields_of(path, content)}
    assert fields["stamp.status"] == bytes.fromhex("3003020100")
    assert fields["stamp.serial"] == bytes.fromhex("02021267")
    assert fields["stamp.gen-time"][2:].startswith(b"2026")
    assert fields["stamp.ordering"] == bytes.fromhex("0101ff")
    lines, held = next((path, held) for path, held in rich.files.items() if "manifests" in path)
    named = [held[field.start : field.stop] for field in fields_of(lines, held)]
    assert named[0] == b"tallystick/manifest-lines/v1\n"
    assert named[1] == b"0 "


@pytest.mark.parametrize("kind", sorted(set(WANTED) - {"readme", "excerpt"}))
def test_what_is_not_in_its_format_is_one_field_or_all_frame(rich: Bundle, kind: str) -> None:
    path = next(path for path in rich.files if place_of(path).kind == kind)
    for content in (b"\x00", b"~", b"0" * 70, b"\x30\x80", b"\xff" * 9):
        fields = fields_of(path, content)
        assert fields[0].start == 0
        assert fields[-1].stop == len(content)
    assert fields_of(path, b"") == ()


def test_every_truncation_still_has_fields(rich: Bundle) -> None:
    for path, content in rich.files.items():
        for length in range(1, len(content), 37):
            fields = fields_of(path, content[:length])
            assert sum(field.stop - field.start for field in fields) == length


def test_a_token_in_pieces_has_its_content_as_one_field() -> None:
    token = make_token(Authority("A").child("B").signer())
    assert "stamp.gen-time" in {f.name for f in fields_of("stamps/1/a-00000000.tsr", token)}
    # BER: an explicit tag of unknown length around the same.
    assert fields_of("stamps/1/a-00000000.tsr", token[:-1])[0].name == "stamp.content"


def test_a_path_that_no_bundle_has_is_refused() -> None:
    with pytest.raises(MalformedError):
        fields_of("notes.txt", b"")
