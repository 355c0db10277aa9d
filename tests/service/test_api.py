"""The interface for holders: what is appended is there, and everything wrong is told as what."""

import hashlib
import json
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from ledger.operator.grant import ADMIN
from ledger.operator.store.protocol import Attachment
from ledger.record.rfc4648 import encode_base64url
from ledger.timestamp.token import check_imprint, parse_token
from ledger.tlog.checkpoint import Checkpoint, check_signatures, parse_checkpoint
from ledger.tlog.merkle import (
    ConsistencyProof,
    InclusionProof,
    check_consistency,
    check_inclusion,
    leaf_hash,
)
from ledger.tlog.note import parse_note, parse_vkey
from ledger.tlog.proof import parse_proof_file
from service.appending import MAX_BODY_BYTES, MAX_ENTRIES
from service.log import IMMUTABLE
from tests.hosting import ORIGIN, entries
from tests.service.conftest import Service

JSON = "application/json"


def as_json(given: list[bytes]) -> bytes:
    return json.dumps({"entries": [encode_base64url(one) for one in given]}).encode()


def opened(service: Service, signed_file: str) -> Checkpoint:
    """The checkpoint in a file, signed by both keys that the service says it has."""
    keys = [parse_vkey(vkey) for vkey in service.client.get("/v1/ledger").json["vkeys"]]
    note = parse_note(signed_file.encode())
    assert len(check_signatures(note, keys)) == 2
    return parse_checkpoint(note.text)


def refused(answer: TestResponse, status: int, code: str) -> None:
    """A problem of this code, with the headers of everything and nothing of the machine."""
    assert (answer.status_code, answer.json["code"], answer.json["status"]) == (
        status,
        code,
        status,
    )
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "/home" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("form", ["octets", "json"])
def test_entries_get_their_indexes_under_a_checkpoint_that_covers_them(
    service: Service, form: str
) -> None:
    given = entries(5)
    for start in (0, 3):
        part = given[start : start + 3]
        body = b"".join(part) if form == "octets" else as_json(part)
        kind = "application/octet-stream" if form == "octets" else JSON
        answer = service.post(body, kind)
        assert answer.status_code == 200
        assert answer.json["indexes"] == list(range(start, start + len(part)))
        assert answer.json["origin"] == ORIGIN
        assert opened(service, answer.json["checkpoint"]).size == start + len(part)
        assert answer.headers["Cache-Control"] == "no-store"
    assert service.hosted.store.entries(0, 5) == tuple(given)


def test_what_is_sent_again_by_whomever_has_its_first_index(service: Service) -> None:
    first, other = entries(2)
    service.post(first + other)
    stranger = f"Bearer {service.new_token()}"
    answer = service.post(first + entries(1, 7)[0] + first, authorization=stranger)
    assert answer.json["indexes"] == [0, 2, 0]
    assert service.hosted.store.head().size == 3


def test_a_thousand_entries_are_taken_and_no_more(service: Service) -> None:
    given = entries(MAX_ENTRIES + 1)
    assert len(as_json(given[:-1])) < MAX_BODY_BYTES
    assert service.post(as_json(given[:-1]), JSON).json["indexes"] == list(range(MAX_ENTRIES))
    refused(service.post(b"".join(given)), 400, "malformed")
    refused(service.post(as_json(given), JSON), 400, "malformed")


ENTRY = encode_base64url(entries(1)[0])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"entries":[]}',
        b'{"entries":{}}',
        b'{"entries":"x"}',
        b'{"entries":[1]}',
        b'{"entries":[null]}',
        b'{"entries":[""]}',
        b'{"entries":["' + ENTRY[:-1].encode() + b'"]}',
        b'{"entries":["' + ENTRY[:-1].encode() + b'_"]}',
        b'{"entries":["' + ENTRY[:-1].encode() + b'="]}',
        b'{"entries":["' + ENTRY.encode() + b'"],"entries":["' + ENTRY.encode() + b'"]}',
        b'{"entries":["' + ENTRY.encode() + b'"],"x":1}',
        b'{"\\u0065ntries":["' + ENTRY.encode() + b'"],"entries":[]}',
        b'\xef\xbb\xbf{"entries":["' + ENTRY.encode() + b'"]}',
        b'{"entries":["' + ENTRY.encode() + b'"]}x',
        b'{"entries":["' + ENTRY.encode() + b'", 1e5]}',
        b'{"entries":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"\xff\xfe",
    ],
)
def test_json_that_is_not_exactly_the_form_is_refused(service: Service, body: bytes) -> None:
    refused(service.post(body, JSON), 400, "malformed")
    assert service.hosted.store.head().size == 0


@pytest.mark.parametrize("size", [0, 1, 63, 65, 127])
def test_octets_that_are_no_entries_are_refused(service: Service, size: int) -> None:
    refused(service.post(bytes(size)), 400, "malformed")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/zip", "multipart/form-data"])
def test_no_other_media_type_is_taken(service: Service, kind: str) -> None:
    refused(service.post(entries(1)[0], kind), 415, "media-type")


def test_a_body_over_the_limit_is_refused(service: Service) -> None:
    refused(service.post(bytes(MAX_BODY_BYTES + 64)), 413, "too-large")


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer tally_00000000_" + "A" * 43,
        "Bearer " + "x" * 10_000,
        "Basic dGFsbHk6dGFsbHk=",
        "Bearer tally_zzzzzzzz_é",
    ],
)
def test_without_a_good_token_nothing_is_taken_and_nothing_told(
    service: Service, authorization: str
) -> None:
    answer = service.post(entries(1)[0], authorization=authorization)
    refused(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json["detail"] == "no good token"


def test_a_token_that_ended_or_is_for_something_else_is_refused(service: Service) -> None:
    admin, short = (
        service.new_token(ADMIN),
        service.hosted.access.new("lab", expires=service.clock() + timedelta(hours=1)),
    )
    refused(service.post(entries(1)[0], authorization=f"Bearer {admin}"), 403, "forbidden")
    assert service.post(entries(1)[0], authorization=f"Bearer {short}").status_code == 200
    service.clock.time += timedelta(hours=2)
    refused(service.post(entries(1)[0], authorization=f"Bearer {short}"), 401, "unauthorized")
    service.hosted.access.revoke(service.token.split("_")[1])
    refused(service.post(entries(1)[0]), 401, "unauthorized")


def test_quota_and_rate_are_told_and_nobody_else_pays_for_them(service: Service) -> None:
    poor = f"Bearer {service.new_token(quota=3)}"
    first = service.post(b"".join(entries(2)), authorization=poor)
    assert first.headers["Tally-Quota-Left"] == "1"
    over = service.post(b"".join(entries(2, 5)), authorization=poor)
    refused(over, 429, "limit")
    assert int(over.headers["Retry-After"]) > 0
    slow = f"Bearer {service.new_token(rate=1)}"
    answers = [service.post(entries(1)[0], authorization=slow).status_code for _ in range(4)]
    assert answers[:2] == [200, 200]
    assert answers[-1] == 429
    assert service.post(entries(1)[0]).status_code == 200


def test_a_receipt_waits_for_its_stamp_and_then_proves(service: Service) -> None:
    given = entries(3)
    service.post(b"".join(given))
    path = f"/v1/receipts/{encode_base64url(given[1])}"
    waiting = service.client.get(path)
    assert waiting.status_code == 202
    assert int(waiting.headers["Retry-After"]) > 0
    assert {one["tsa"] for one in waiting.json["waiting_for"]} == {"development-1", "development-2"}
    service.hosted.schedule.round()
    receipt = service.client.get(path).json
    assert (receipt["index"], receipt["waiting_for"]) == (1, [])
    proof = parse_proof_file(receipt["proof"].encode())
    checkpoint = opened(service, receipt["checkpoint"])
    assert proof.checkpoint.decode() == receipt["checkpoint"]
    check_inclusion(
        InclusionProof(proof.index, checkpoint.size, proof.path),
        leaf_hash(given[1]),
        checkpoint.head,
    )
    assert {stamp["tsa"] for stamp in receipt["stamps"]} == {"development-1", "development-2"}
    for stamp in receipt["stamps"]:
        token = parse_token(b64decode(stamp["response"]))
        check_imprint(token, hashlib.sha256(receipt["checkpoint"].encode()).digest())


def test_receipts_of_what_is_not_there_or_no_entry_are_refused(service: Service) -> None:
    service.post(entries(1)[0])
    refused(service.client.get(f"/v1/receipts/{encode_base64url(bytes(64))}"), 404, "not-found")
    for text in ("x", "A" * 85, "A" * 85 + "_", "A" * 87, "é" * 86):
        refused(service.client.get(f"/v1/receipts/{text}"), 400, "malformed")


def test_consistency_is_proven_between_all_sizes(service: Service) -> None:
    heads = {}
    for number in range(1, 6):
        answer = service.post(entries(1, number)[0])
        checkpoint = opened(service, answer.json["checkpoint"])
        heads[checkpoint.size] = checkpoint.head
    for old, new in [(old, new) for new in heads for old in heads if old <= new]:
        answer = service.client.get(f"/v1/consistency?from={old}&to={new}")
        hashes = tuple(b64decode(one) for one in answer.json["hashes"])
        check_consistency(ConsistencyProof(old, new, hashes), heads[old], heads[new])


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("from=1", 400),
        ("from=0&to=1", 400),
        ("from=2&to=1", 400),
        ("from=1&to=-1", 400),
        ("from=01&to=1", 400),
        ("from=1&to=1e3", 400),
        ("from=1&to=9999999999999999999999", 400),
        ("from=1&to=٢", 400),
        ("from=1&to=9223372036854775806", 404),
    ],
)
def test_sizes_that_no_tree_has_are_refused(service: Service, query: str, status: int) -> None:
    service.post(entries(1)[0])
    assert service.client.get(f"/v1/consistency?{query}").status_code == status


def test_stamps_are_listed_by_tree_and_page_by_page(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.api.MAX_STAMPS", 3)
    service.hosted.schedule.round()  # the first cover of a new ledger
    for number in range(5):
        service.post(entries(1, number)[0])
        service.hosted.schedule.round()
    found, start = [], 0
    while start is not None:
        answer = service.client.get(f"/v1/stamps?from={start}").json
        found += [(one["size"], one["tsa"]) for one in answer["stamps"]]
        start = answer["next"]
    names = ("development-1", "development-2")
    assert sorted(found) == [(size, name) for size in range(1, 7) for name in names]
    one = service.client.get("/v1/stamps/4").json
    assert [stamp["size"] for stamp in one["stamps"]] == [4, 4]
    assert one["waiting_for"] == []
    assert opened(service, one["checkpoint"]).size == 4
    refused(service.client.get("/v1/stamps/7"), 404, "not-found")


def test_certificates_for_later_are_given(service: Service) -> None:
    roots = set(service.hosted.ledger.certificates())
    for number, kind in enumerate(("ocsp", "crl", "crl")):
        # Whatever it is: who asks judges it.
        service.hosted.store.attach(Attachment(number, kind, "one", bytes([number]) * 300))
    listed = service.client.get("/v1/material").json["material"]
    kinds = Counter(one["kind"] for one in listed)
    assert kinds == {"certificate": len(roots), "crl": 2, "ocsp": 1}
    given = {one["sha256"]: service.client.get(f"/v1/material/{one['sha256']}") for one in listed}
    for sha256, answer in given.items():
        assert hashlib.sha256(answer.data).hexdigest() == sha256
        assert answer.headers["Cache-Control"] == IMMUTABLE
    assert {answer.data for answer in given.values()} >= roots
    refused(service.client.get(f"/v1/material/{'0' * 64}"), 404, "not-found")
    refused(service.client.get(f"/v1/material/{'A' * 64}"), 400, "malformed")


def test_a_checkpoint_of_each_signed_size_is_kept(service: Service) -> None:
    for size in (2, 4):
        sent = service.post(b"".join(entries(2, size))).json["checkpoint"]
        assert service.client.get(f"/v1/checkpoints/{size}").text == sent
    refused(service.client.get("/v1/checkpoints/3"), 404, "not-found")
    refused(service.client.get("/v1/checkpoints/03"), 400, "malformed")


def test_nothing_but_entries_can_be_sent(service: Service) -> None:
    rules = service.client.application.url_map.iter_rules()
    writing = {rule.rule for rule in rules if rule.methods - {"GET", "HEAD", "OPTIONS"}}
    assert writing == {"/v1/entries"}
    refused(service.client.put("/v1/entries"), 405, "method-not-allowed")


def test_what_is_read_is_open_to_any_page_and_appending_is_not(service: Service) -> None:
    service.post(entries(1)[0])
    for path in ("/v1/ledger", "/v1/checkpoints/1", "/checkpoint", "/tile/0/000.p/1"):
        assert service.client.get(path).headers["Access-Control-Allow-Origin"] == "*"
    asked = service.client.options("/v1/entries", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in asked.headers
    assert "Access-Control-Allow-Origin" not in service.post(entries(1)[0]).headers


def test_a_closed_ledger_is_read_and_takes_nothing(
    open_service: Callable[[], Service],
) -> None:
    first = open_service()
    first.post(entries(1)[0])
    first.hosted.close()
    first.hosted.guard_path.unlink()
    service = open_service()
    refused(service.post(entries(1, 1)[0]), 503, "closed")
    assert opened(service, service.client.get("/checkpoint").text).size == 1
    ready = service.client.get("/readyz")
    assert (ready.status_code, ready.json["reasons"]) == (503, ["the ledger is closed"])
    assert service.client.get("/healthz").status_code == 200
    assert "tally_guard_ok 0.0" in service.metrics_text()


def test_a_full_disk_is_told_and_the_quota_given_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    poor = f"Bearer {service.new_token(quota=1)}"
    with monkeypatch.context() as patch:
        patch.setattr("ledger.operator.hosted.free_bytes", lambda _: 1 << 20)
        full = service.post(entries(1)[0], authorization=poor)
        refused(full, 503, "unavailable")
        assert int(full.headers["Retry-After"]) > 0
        assert service.client.get("/readyz").json["reasons"] == ["the disk is nearly full"]
        assert service.client.get("/checkpoint").status_code == 200
    assert service.post(entries(1)[0], authorization=poor).status_code == 200


def test_an_append_that_failed_by_a_fault_of_ours_costs_no_quota(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("nobody foresaw it")

    poor = f"Bearer {service.new_token(quota=1)}"
    with monkeypatch.context() as patch:
        patch.setattr(service.hosted.ledger, "append", fail)
        assert service.post(entries(1)[0], authorization=poor).status_code == 500
    assert service.post(entries(1)[0], authorization=poor).status_code == 200


def test_faults_nobody_foresaw_are_logged_and_not_told(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(service.hosted.ledger, "checkpoint", lambda: fail(None))
    answer = service.client.get("/checkpoint")
    refused(answer, 500, "damaged")
    assert "secret" not in answer.text
    assert "the secret of the house" in "".join(capsys.readouterr())
