"""Every check by name: the same judgement as the strict checks, and what each fault is called."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.timestamp.examine import CHECKS, Asked, Check, Examination, examine
from ledger.timestamp.opened import open_token
from ledger.timestamp.path import check_path
from ledger.timestamp.request import DIGEST_BYTES, format_request, parse_request
from ledger.timestamp.token import check_strength, check_token, parse_token
from tests.ledger.timestamp.authority import (
    STAMPING,
    Authority,
    Signer,
    make_content,
    make_token,
    respond,
    signature_algorithm,
)
from tests.ledger.timestamp.test_corpus import FOLDER, entries, read, wanted_imprint

IMPRINT = hashlib.sha256(b"message").digest()
ROOT = Authority()
SIGNER = ROOT.signer()
NEVER_ASKED = {"status", "nonce", "request", "revocation"}


def look(b: bytes, **asked: Any) -> Examination:
    return examine(open_token(b), Asked(**{"imprint": IMPRINT, "anchors": [ROOT.der], **asked}))


def named(examination: Examination, name: str) -> Check:
    return next(check for check in examination.checks if check.name == name)


def refuted(examination: Examination) -> list[str]:
    return [check.name for check in examination.checks if check.outcome == "refuted"]


def weakly(examination: Examination) -> list[str]:
    """The checks that are only too weak, where none is refuted."""
    assert not refuted(examination)
    return [check.name for check in examination.checks if check.code == "weak"]


def holds(examination: Examination) -> bool:
    """Whether every check is proven but those nobody gave anything for."""
    return all(
        check.outcome == "proven" or (check.name in NEVER_ASKED and check.outcome == "unchecked")
        for check in examination.checks
    )


def strictly(b: bytes, imprint: bytes | None, anchors: Any, others: Any, crls: Any = ()) -> bool:
    try:
        token = parse_token(b)
        signer = check_token(token, imprint=imprint, certificates=others)
        check_strength(token, signer)
        known = [*token.certificates, *others]
        check_path(
            signer, known, anchors, token.gen_time, [*crls, *token.signed.crls], token.signed.ocsps
        )
    except (MalformedError, VerificationError):
        return False
    return True


@pytest.mark.parametrize("entry", entries())
def test_corpus_and_its_spoiled_copies_hold_exactly_where_the_strict_checks_do(
    entry: dict[str, Any],
) -> None:
    roots, others, crls = map(read, (entry["trust_roots"], entry["untrusted"], entry["crls"]))
    response = (FOLDER / entry["file"]).read_bytes()
    draw = random.Random(entry["file"])
    for number in range(20):
        spoiled = bytearray(response)
        if number:
            spoiled[draw.randrange(len(spoiled))] ^= 1 << draw.randrange(8)
        try:
            opened = open_token(bytes(spoiled))
        except MalformedError:
            assert not strictly(bytes(spoiled), None, roots, others, crls)
            continue
        token = opened.token
        imprint = IMPRINT
        if token is not None and token.imprint_algorithm in DIGEST_BYTES:
            imprint = wanted_imprint(entry, token) or token.imprint
        asked = Asked(imprint, None, others, roots, crls)
        wanted = strictly(bytes(spoiled), imprint, roots, others, crls)
        assert holds(examine(opened, asked)) == wanted


def test_good_token_holds_in_every_check_and_in_their_order() -> None:
    crls, request = [ROOT.crl()], parse_request(format_request(IMPRINT, 99))
    examination = look(respond(make_token(SIGNER)), crls=crls, request=request)
    assert tuple(check.name for check in examination.checks) == CHECKS
    assert {check.outcome for check in examination.checks} == {"proven"}
    assert examination.signer == SIGNER.certificate
    assert examination.path is not None


def without(number: int) -> Callable[[list[Any]], list[Any]]:
    return lambda listed: [*listed[:number], *listed[number + 1 :]]


def other_content_type(fields: dict[str, Any]) -> dict[str, Any]:
    capsule = fields["encap_content_info"]
    return {**fields, "encap_content_info": {**capsule, "content_type": "data"}}


def two_signers(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "signer_infos": fields["signer_infos"] * 2}


FAULTS: list[tuple[dict[str, Any], list[str]]] = [
    ({"attributes": without(0)}, ["content-type"]),
    ({"attributes": without(1)}, ["signed-attributes"]),
    ({"attributes": without(2)}, ["signing-certificate"]),
    ({"attributes": lambda _: None}, ["signed-attributes"]),
    ({"parts": two_signers}, ["signers"]),
    ({"certificates": (ROOT.der,)}, ["signing-certificate"]),
    ({"content": make_content(b"other")}, ["imprint"]),
    ({"content": make_content(version=2)}, ["format"]),
    ({"content": make_content(imprint=bytes(31))}, ["imprint.algorithm", "imprint"]),
    ({"content": make_content(algorithm="sha1")}, ["imprint"]),
]


@pytest.mark.parametrize(("made", "names"), FAULTS)
def test_each_fault_is_called_by_the_check_it_fails(made: dict[str, Any], names: list[str]) -> None:
    b = make_token(SIGNER, **made)
    assert refuted(look(b)) == names
    with pytest.raises(LedgerError):
        check_strength(parse_token(b), check_token(parse_token(b), imprint=IMPRINT))


def test_another_content_type_is_named_and_what_depends_on_it_is_still_asked() -> None:
    examination = look(make_token(SIGNER, parts=other_content_type))
    assert refuted(examination)[0] in {"content-type", "format"}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"ca": True}, "signer.end-entity"),
        ({"purposes": None}, "signer.purpose"),
        ({"critical": False}, "signer.purpose"),
        ({"purposes": (*STAMPING, ExtendedKeyUsageOID.CODE_SIGNING)}, "signer.purpose"),
        ({"usage": "both"}, "signer.purpose"),
    ],
)
def test_a_signer_not_for_time_stamping_is_named(options: dict[str, Any], name: str) -> None:
    assert refuted(look(make_token(ROOT.signer(**options))))[0] == name


def test_without_a_path_to_a_root_that_is_believed_the_chain_is_unchecked() -> None:
    """A certificate may be missing: nothing was shown false, and nothing true."""
    for anchors in ([Authority("Other").der], [], [SIGNER.certificate]):
        examination = look(make_token(SIGNER), anchors=anchors)
        assert (named(examination, "chain").outcome, named(examination, "chain").code) == (
            "unchecked",
            "no-path",
        )
        assert not refuted(examination)
    # One of that name is there, and it is another's: that is no certificate that is missing.
    assert refuted(look(make_token(SIGNER), anchors=[Authority().der])) == ["chain"]


def test_weak_keys_are_named() -> None:
    weak = ROOT.signer(rsa.generate_private_key(65537, 1024))
    assert weakly(look(make_token(weak, scheme="rsassa_pkcs1v15"))) == ["strength"]
    small = Authority("Small", rsa.generate_private_key(65537, 1024))
    above = look(make_token(small.signer()), anchors=[small.der])
    assert weakly(above) == ["chain"]
    assert named(above, "chain").values == {"reason": "rsa key of 1024 bits in the chain"}


def test_wrong_signature_and_wrong_digest_are_told_apart() -> None:
    other = Signer(ROOT.signer().key, SIGNER.certificate)
    assert refuted(look(make_token(other))) == ["signature"]

    def spoiled(listed: list[Any]) -> list[Any]:
        return [listed[0], {"type": "message_digest", "values": [bytes(32)]}, listed[2]]

    assert refuted(look(make_token(SIGNER, attributes=spoiled))) == ["message-digest"]


def test_what_cannot_be_asked_is_unchecked_and_says_why() -> None:
    examination = look(make_token(SIGNER, certificates=()), imprint=None, anchors=None)
    codes = {check.name: check.code for check in examination.checks}
    assert codes["status"] == "bare"
    assert codes["imprint"] == "no-data"
    assert codes["nonce"] == codes["request"] == "no-request"
    for name in ("signing-certificate", "signature", "signer.purpose", "strength", "chain"):
        assert codes[name] == "no-certificate"
    assert codes["revocation"] == "not-reached"
    assert not refuted(examination)
    assert named(look(make_token(SIGNER), anchors=None), "chain").code == "no-anchor"
    request = replace(parse_request(format_request(IMPRINT, 1)), nonce=None)
    assert named(look(make_token(SIGNER), request=request), "nonce").code == "no-nonce"


def test_algorithms_nobody_here_knows_are_unchecked_not_refuted() -> None:
    imprint = make_content(algorithm="sha224")
    examination = look(make_token(SIGNER, imprint), imprint=None)
    assert named(examination, "imprint.algorithm").code == "unknown-algorithm"
    assert named(examination, "imprint").code == "unknown-algorithm"

    def unknown(fields: dict[str, Any]) -> dict[str, Any]:
        fields["signer_infos"][0]["signature_algorithm"] = signature_algorithm("1.2.3.4", "sha256")
        return fields

    examination = look(make_token(SIGNER, parts=unknown))
    assert named(examination, "signature").code == "unknown-algorithm"
    assert named(examination, "strength").values == {"algorithm": "1.2.3.4"}
    assert not refuted(examination)


def test_rejection_is_refuted_and_without_a_token_nothing_else_is_asked() -> None:
    examination = look(respond(None, 2))
    assert refuted(examination) == ["status"]
    assert {check.code for check in examination.checks} == {"refuted", "no-token"}
    assert refuted(look(respond(make_token(SIGNER), 2))) == ["status"]
    assert refuted(look(respond(None, 0))) == ["status"]


@pytest.mark.parametrize("b", [b"", b"0", b"0\x00", b"junk", SIGNER.certificate, ROOT.crl()])
def test_what_is_no_token_is_malformed(b: bytes) -> None:
    with pytest.raises(MalformedError):
        open_token(b)


GOOD = respond(make_token(SIGNER))


@given(st.data())
def test_spliced_tokens_raise_only_malformed_and_hold_only_if_strictly_good(
    data: st.DataObject,
) -> None:
    b = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(b) - 1))
        stop = data.draw(st.integers(start, min(len(b), start + 8)))
        b[start:stop] = data.draw(st.binary(max_size=8))
    try:
        opened = open_token(bytes(b))
    except MalformedError:
        return
    held = holds(examine(opened, Asked(IMPRINT, anchors=[ROOT.der], crls=[ROOT.crl()])))
    assert held == strictly(bytes(b), IMPRINT, [ROOT.der], [])
