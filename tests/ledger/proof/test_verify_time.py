"""The verdict on time: which tokens count, for whom, and what bounds they give."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asn1crypto import cms, core, crl
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.proof.bundle import Bundle
from ledger.proof.stamps import MAX_CERTIFICATES, format_certificate
from ledger.proof.trust import Trust, TrustedTsa, WeakFrom
from ledger.proof.verdict import Outcome, Verdict, headline
from ledger.timestamp.token import DEVELOPMENT_POLICY, parse_token
from tests.ledger.proof.world import (
    HOUR,
    START,
    TRUST,
    Respond,
    World,
    codes,
    judge,
    of_step,
    path_of,
    rebuilt,
    trust_in,
    untouched_index,
)
from tests.ledger.timestamp.authority import (
    GEN_TIME,
    POLICY,
    SM2_WITH_SM3,
    SM3,
    Authority,
    Signer,
    make_content,
    make_token,
    respond,
)

SECOND = timedelta(seconds=1)
FAR = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
OPEN = {"begin": datetime(1950, 1, 1, tzinfo=UTC), "end": FAR}


def authority(common_name: str) -> tuple[Authority, Signer]:
    root = Authority(common_name)
    return root, root.signer(common_name=f"{common_name} signer")


ONE, ONE_SIGNER = authority("Root One")
TWO, TWO_SIGNER = authority("Root Two")


def answer(signer: Signer, moment: datetime = GEN_TIME, **options: Any) -> Respond:
    """A TSA's answer: ``fields`` are of the TSTInfo, other options of the token."""
    fields = {"accuracy": {"seconds": 1}, "gen_time": moment, **options.pop("fields", {})}

    def over(signed_file: bytes) -> bytes:
        return respond(make_token(signer, make_content(signed_file, **fields), **options))

    return over


def stamped(answers: Mapping[str, Respond], *roots: Authority) -> Bundle:
    """One record, stamped so, with the certificates of the roots."""
    world = World(names=())
    world.append()
    world.record()
    world.stamp(by=answers)
    return with_certificates(world.bundle(), *(root.der for root in roots))


def with_certificates(shown: Bundle, *certificates: bytes) -> Bundle:
    return rebuilt(shown, dict(format_certificate(der) for der in certificates))


def believing(k: int = 2, **tsas: Authority | TrustedTsa) -> Trust:
    """A trust file of these TSAs, by name; an Authority is pinned without limits."""
    return Trust(tuple(pinned(tsa, name) for name, tsa in tsas.items()), k, sha256="00" * 32)


def pinned(tsa: Authority | TrustedTsa, name: str, **limits: Any) -> TrustedTsa:
    if isinstance(tsa, TrustedTsa):
        return tsa
    return TrustedTsa(name, hashlib.sha256(tsa.der).digest(), **limits)


def reasons(verdict: Verdict) -> list[str]:
    """Why stamps are not counted."""
    found = of_step(verdict, "stamp")
    assert all(finding.outcome is not Outcome.REFUTED for finding in found)
    return [str(f.values["reason"]) for f in found if f.code == "not-counted"]


BOTH = {"one": answer(ONE_SIGNER), "two": answer(TWO_SIGNER, GEN_TIME + HOUR)}


@pytest.fixture(scope="module")
def both() -> Bundle:
    """Stamped by two TSAs that are not for development, an hour apart."""
    return stamped(BOTH, ONE, TWO)


# Who counts


def test_two_independent_tsas_prove_the_time_without_trusting_the_operator(both: Bundle) -> None:
    verdict = judge(both, believing(one=ONE, two=TWO))
    assert verdict.outcome is Outcome.PROVEN
    assert verdict.independent
    assert not verdict.development
    assert verdict.first_not_after == GEN_TIME + SECOND
    assert verdict.not_after == GEN_TIME + HOUR + SECOND
    assert headline(verdict).startswith("PROVEN without trusting the operator: record existed")
    assert "无需信任运营者" in headline(verdict, "zh")


def test_a_tsa_the_trust_file_does_not_name_is_not_counted(both: Bundle) -> None:
    two = judge(both, believing(one=ONE))
    assert reasons(two) == ["no path to a pinned anchor"]
    assert codes(two, "time.not-after") == ["too-few"]
    assert two.exit_code == 3
    one = judge(both, believing(1, one=ONE))
    assert one.outcome is Outcome.PROVEN
    assert one.not_after == GEN_TIME + SECOND


def test_more_tsas_wanted_than_there_are_is_never_proven(both: Bundle) -> None:
    verdict = judge(both, believing(3, one=ONE, two=TWO))
    assert codes(verdict, "time.not-after") == ["too-few"]
    assert verdict.exit_code == 3


def test_the_name_in_a_path_says_nothing_about_whose_token_it_is() -> None:
    shown = stamped({"two": answer(ONE_SIGNER), "one": answer(TWO_SIGNER)}, ONE, TWO)
    verdict = judge(shown, believing(one=ONE, two=TWO))
    assert sorted(token.tsa for token in verdict.tokens) == ["one", "two"]
    same = stamped({"two": answer(ONE_SIGNER), "one": answer(ONE_SIGNER)}, ONE, TWO)
    assert codes(judge(same, believing(one=ONE, two=TWO)), "time.not-after") == ["too-few"]


def test_one_signer_key_under_two_anchors_counts_once() -> None:
    twin = TWO.signer(key=ONE_SIGNER.key)
    shown = stamped({"one": answer(ONE_SIGNER), "two": answer(twin)}, ONE, TWO)
    verdict = judge(shown, believing(one=ONE, two=TWO))
    assert codes(verdict, "stamp") == ["counted", "counted"]
    assert codes(verdict, "time.not-after") == ["too-few"]
    third = {"one": answer(ONE_SIGNER), "two": answer(twin, GEN_TIME + SECOND)}
    shown = stamped({**third, "two-b": answer(TWO_SIGNER, GEN_TIME + HOUR)}, ONE, TWO)
    verdict = judge(shown, believing(one=ONE, two=TWO))
    assert verdict.not_after == GEN_TIME + HOUR + SECOND


def test_two_signers_under_one_anchor_count_once() -> None:
    shown = stamped({"one": answer(ONE_SIGNER), "two": answer(ONE.signer())}, ONE)
    assert codes(judge(shown, believing(one=ONE)), "time.not-after") == ["too-few"]


def test_development_tokens_count_only_where_the_trust_file_says_development(
    bundle: Bundle,
) -> None:
    verdict = judge(bundle, trust_in("dev-one", "dev-two", development=False))
    assert set(reasons(verdict)) == {"development TSA: proves nothing"}
    assert verdict.exit_code == 3
    assert not any(token.counted for token in verdict.tokens)
    half = trust_in("dev-one", "dev-two")
    half = replace(half, tsas=(half.tsas[0], replace(half.tsas[1], development=False)))
    assert judge(bundle, half).exit_code == 3
    assert judge(bundle, replace(half, k=1)).development


def test_an_anchor_marked_development_is_one_whatever_its_tokens_say(both: Bundle) -> None:
    marked = pinned(TWO, "two", development=True)
    verdict = judge(both, believing(one=ONE, two=marked))
    assert verdict.outcome is Outcome.PROVEN
    assert verdict.development
    assert not verdict.independent
    assert judge(both, believing(1, one=ONE, two=marked)).independent


def test_the_policy_of_development_tsas_never_counts_under_another_anchor() -> None:
    shown = stamped({"one": answer(ONE_SIGNER, fields={"policy": DEVELOPMENT_POLICY})}, ONE)
    assert reasons(judge(shown, believing(1, one=ONE))) == ["development TSA: proves nothing"]


# The trust file's limits


def spki(signer: Signer) -> bytes:
    key = x509.load_der_x509_certificate(signer.certificate).public_key()
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"policy_oid": "1.2.3"}, f"policy {POLICY}, want 1.2.3"),
        ({"signer_spki": bytes(32)}, "signer key is not the pinned one"),
        ({"signer_spki": spki(TWO_SIGNER)}, "signer key is not the pinned one"),
        ({"valid_from": GEN_TIME + SECOND}, "time before the trusted window of one"),
        ({"valid_to": GEN_TIME - SECOND}, "time after the trusted window of one"),
        ({"policy_oid": POLICY, "signer_spki": spki(ONE_SIGNER)}, None),
        ({"valid_from": GEN_TIME, "valid_to": GEN_TIME}, None),
    ],
)
def test_the_trust_files_limits_on_a_tsa_hold(
    both: Bundle, limits: dict[str, Any], why: str | None
) -> None:
    verdict = judge(both, believing(1, one=pinned(ONE, "one", **limits)))
    assert reasons(verdict) == [*([why] if why else []), "no path to a pinned anchor"]
    assert verdict.exit_code == (3 if why else 0)


@pytest.mark.parametrize(
    ("algorithm", "counts"),
    [("sha256", False), ("ecdsa", False), ("sha1", True), ("rsa", True), ("sm3", True)],
)
def test_weak_algorithms_do_not_count_from_their_day_on(
    both: Bundle, algorithm: str, counts: bool
) -> None:
    trust = believing(1, one=ONE)
    on_the_day = replace(trust, weak=(WeakFrom(algorithm, GEN_TIME),))
    assert judge(both, on_the_day).exit_code == (0 if counts else 3)
    after = replace(trust, weak=(WeakFrom(algorithm, GEN_TIME + SECOND),))
    assert judge(both, after).exit_code == 0


def test_a_weak_signature_above_the_signer_does_not_count_either() -> None:
    signer = ONE.signer(key=ed25519.Ed25519PrivateKey.generate())
    over = answer(signer, digest="sha512", scheme="ed25519", fields={})
    shown = stamped({"one": over}, ONE)
    trust = believing(1, one=ONE)
    assert judge(shown, trust).exit_code == 0
    weak = replace(trust, weak=(WeakFrom("ecdsa", GEN_TIME),))
    assert reasons(judge(shown, weak)) == ["weak: ecdsa by the trust file"]


def test_todays_floor_holds_without_a_word_in_the_trust_file() -> None:
    weak = answer(ONE_SIGNER, fields={"algorithm": "sha1"})
    assert reasons(judge(stamped({"one": weak}, ONE), believing(1, one=ONE))) == [
        "weak: sha1 imprint"
    ]


def test_a_pinned_certificate_inside_a_token_keeps_its_limits() -> None:
    middle = ONE.child("Middle")
    signer = middle.signer()
    embedded = answer(signer, certificates=(signer.certificate, middle.der))
    shown = stamped({"one": embedded}, ONE)
    root = pinned(ONE, "root")
    assert judge(shown, believing(1, root=root)).exit_code == 0
    ended = pinned(middle, "middle", valid_to=GEN_TIME - SECOND)
    verdict = judge(shown, believing(1, root=root, middle=ended))
    assert reasons(verdict) == ["time after the trusted window of middle"]


def test_an_anchor_that_only_a_token_embeds_is_enough() -> None:
    over = answer(ONE_SIGNER, certificates=(ONE_SIGNER.certificate, ONE.der))
    assert judge(stamped({"one": over}), believing(1, one=ONE)).exit_code == 0


def test_a_crl_inside_a_token_that_says_revoked_is_heard() -> None:
    def listed(revoked: Any) -> Respond:
        embedded = crl.CertificateList.load(ONE.crl(revoked))
        choice = cms.RevocationInfoChoice("crl", embedded)
        return answer(ONE_SIGNER, parts=lambda fields: {**fields, "crls": [choice]})

    reason = x509.ReasonFlags.key_compromise
    compromised = listed({ONE_SIGNER.serial: (GEN_TIME + HOUR, reason)})
    verdict = judge(stamped({"one": compromised}, ONE), believing(1, one=ONE))
    assert reasons(verdict)[0].startswith("revoked at")
    good = judge(stamped({"one": listed(None)}, ONE), believing(1, one=ONE))
    assert codes(good, "revocation") == ["good"]
    assert good.outcome is Outcome.PROVEN


# Good, forged, malformed, unknown


def _stamp_of(shown: Bundle, number: int = 0) -> tuple[str, bytes]:
    path = path_of(shown, "stamp", number)
    return path, shown.files[path]


def _renamed(path: str, content: bytes) -> str:
    return f"{path[: path.rindex('-')]}-{hashlib.sha256(content).hexdigest()[:8]}.tsr"


def replaced(shown: Bundle, content: bytes) -> Bundle:
    """The first stamp's bytes replaced, its name made to fit."""
    path, _ = _stamp_of(shown)
    return rebuilt(shown, {path: None, _renamed(path, content): content})


@pytest.mark.parametrize("content", [b"", b"0", b"\x30\x00", b"\x30\x80\0\0", bytes(2000)])
def test_a_malformed_token_is_refuted_even_if_others_prove(both: Bundle, content: bytes) -> None:
    verdict = judge(replaced(both, content), believing(1, one=ONE, two=TWO))
    assert "malformed" in codes(verdict, "stamp")
    assert verdict.exit_code == 1


def test_a_forged_token_is_refuted_even_if_others_prove(both: Bundle) -> None:
    _, content = _stamp_of(both)
    forged = content[:-1] + bytes([content[-1] ^ 1])
    verdict = judge(replaced(both, forged), believing(1, one=ONE, two=TWO))
    assert set(codes(verdict, "stamp")) & {"forged", "malformed"}
    assert verdict.exit_code == 1


def test_a_token_over_another_file_is_refuted(both: Bundle) -> None:
    other = answer(ONE_SIGNER)(b"other bytes")
    verdict = judge(replaced(both, other), believing(1, one=ONE, two=TWO))
    assert "forged" in codes(verdict, "stamp")
    assert verdict.exit_code == 1


def test_a_rejection_with_a_token_beside_it_is_refuted(both: Bundle) -> None:
    token = parse_token(_stamp_of(both)[1]).raw
    for status, code in ((0, 0), (1, 0), (2, 1), (3, 1)):
        verdict = judge(replaced(both, respond(token, status)), believing(1, one=ONE, two=TWO))
        assert verdict.exit_code == code


def test_a_stamp_whose_name_is_not_its_hash_is_refuted(both: Bundle) -> None:
    path, content = _stamp_of(both)
    other = f"{path[: path.rindex('-')]}-00000000.tsr"
    verdict = judge(rebuilt(both, {path: None, other: content}), believing(1, one=ONE, two=TWO))
    assert "malformed" in codes(verdict, "stamp")


def test_a_stamp_moved_to_another_checkpoint_is_refuted(bundle: Bundle) -> None:
    path = next(path for path, _ in bundle.of_kind("stamp") if path.startswith("stamps/3/"))
    moved = rebuilt(
        bundle, {path: None, path.replace("stamps/3/", "stamps/6/"): bundle.files[path]}
    )
    assert "forged" in codes(judge(moved), "stamp")


def test_a_stamp_over_a_checkpoint_that_is_not_there_is_not_counted(bundle: Bundle) -> None:
    path, content = _stamp_of(bundle)
    extra = path.replace(path.split("/")[1], "77", 1)
    verdict = judge(rebuilt(bundle, {extra: content}))
    assert reasons(verdict) == ["checkpoints/77 cannot be used"]
    assert verdict.outcome is Outcome.PROVEN


def _changed_info(**changes: Any) -> Any:
    def parts(fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "signer_infos": [{**fields["signer_infos"][0], **changes}]}

    return parts


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"fields": {"algorithm": "sha224"}}, "imprint algorithm"),
        ({"fields": {"algorithm": "md5"}}, "weak: md5 imprint"),
        (
            {"parts": _changed_info(signature_algorithm={"algorithm": "1.2.3.4"})},
            "signature algorithm 1.2.3.4",
        ),
        ({"certificates": ()}, "signer's certificate is not at hand"),
    ],
)
def test_what_nobody_here_can_check_is_not_counted_but_not_refuted(
    options: dict[str, Any], why: str
) -> None:
    shown = stamped({"one": answer(ONE_SIGNER, **options), "two": answer(TWO_SIGNER)}, ONE, TWO)
    verdict = judge(shown, believing(1, one=ONE, two=TWO))
    assert why in reasons(verdict)[0]
    assert not reasons(verdict)[0].startswith("unchecked")
    assert verdict.outcome is Outcome.PROVEN
    assert judge(shown, believing(2, one=ONE, two=TWO)).exit_code == 3


def test_a_token_nobody_can_check_over_other_bytes_is_still_refuted(both: Bundle) -> None:
    unknown = _changed_info(signature_algorithm={"algorithm": "1.2.3.4"})
    wrong = answer(ONE_SIGNER, parts=unknown)(b"other bytes")
    assert judge(replaced(both, wrong), believing(1, two=TWO)).exit_code == 1


def test_an_sm2_token_is_not_counted_but_not_refuted() -> None:
    sm2 = answer(ONE_SIGNER, digest=SM3, scheme=SM2_WITH_SM3)
    shown = stamped({"one": sm2, "two": answer(TWO_SIGNER)}, ONE, TWO)
    verdict = judge(shown, believing(1, one=ONE, two=TWO))
    assert "sm2" in reasons(verdict)[0]
    assert verdict.outcome is Outcome.PROVEN


def test_a_signers_certificate_may_come_beside_the_token() -> None:
    shown = stamped({"one": answer(ONE_SIGNER, certificates=())}, ONE)
    assert judge(shown, believing(1, one=ONE)).exit_code == 3
    complete = with_certificates(shown, ONE_SIGNER.certificate)
    assert judge(complete, believing(1, one=ONE)).exit_code == 0


def test_an_odd_key_in_a_signers_certificate_never_raises() -> None:
    for curve in (ec.SECP256K1(), ec.BrainpoolP256R1(), ec.SECP521R1()):
        signer = ONE.signer(key=ec.generate_private_key(curve))
        verdict = judge(stamped({"one": answer(signer)}, ONE), believing(1, one=ONE))
        assert verdict.exit_code in {0, 3}


# Certificates beside the tokens


def _pem(shown: Bundle) -> tuple[str, bytes]:
    path = path_of(shown, "certificate")
    return path, shown.files[path]


def test_a_certificate_that_is_not_exactly_ours_is_refuted(both: Bundle) -> None:
    path, content = _pem(both)
    other = f"material/{'0' * 16}.pem"
    for changed in (
        {path: b""},
        {path: content + content},
        {path: content[:-1]},
        {path: content.replace(b"\n", b"\r\n")},
        {path: b"junk\n" + content},
        {path: content.replace(b"A", b"!", 1)},
        {path: content.replace(b"\nMI", b"\nMI\n", 1)},
        {other: content},
    ):
        verdict = judge(rebuilt(both, changed), believing(one=ONE, two=TWO))
        assert "malformed" in codes(verdict, "stamp")
        assert verdict.exit_code == 1


def test_junk_that_calls_itself_a_certificate_changes_nothing(both: Bundle) -> None:
    shown = with_certificates(both, b"junk", b"\x30\x03\x02\x01\x01", ONE.der[:-1])
    assert judge(shown, believing(one=ONE, two=TWO)).outcome is Outcome.PROVEN


def test_too_many_certificates_are_refused_before_they_cost_time(both: Bundle) -> None:
    many = [number.to_bytes(4) for number in range(MAX_CERTIFICATES + 1)]
    verdict = judge(with_certificates(both, *many), believing(one=ONE, two=TWO))
    assert "malformed" in codes(verdict, "stamp")


def test_a_certificate_of_the_bundle_is_never_a_root_by_itself(both: Bundle) -> None:
    assert judge(both, Trust(k=1)).exit_code == 3


def test_a_root_the_verifier_holds_itself_counts_if_it_is_pinned() -> None:
    shown = stamped({"one": answer(ONE_SIGNER)})
    trust = believing(1, one=ONE)
    assert judge(shown, trust).exit_code == 3
    assert judge(shown, replace(trust, roots=(TWO.der, ONE.der))).exit_code == 0
    assert judge(shown, Trust(k=1, roots=(ONE.der,))).exit_code == 3


# Bounds


def test_the_accuracy_is_added_and_the_trust_files_default_used_where_there_is_none() -> None:
    for fields, extra in (
        ({"accuracy": {"seconds": 2, "millis": 500}}, timedelta(seconds=2.5)),
        ({"accuracy": None}, timedelta(seconds=30)),
        ({"accuracy": {"seconds": 0}}, timedelta(0)),
    ):
        shown = stamped({"one": answer(ONE_SIGNER, fields=fields)}, ONE)
        tsa = pinned(ONE, "one", accuracy_default=timedelta(seconds=30))
        assert judge(shown, believing(1, one=tsa)).not_after == GEN_TIME + extra


@pytest.mark.parametrize(
    "fields",
    [
        {"accuracy": {"seconds": -1}},
        {"accuracy": {"seconds": 10**9}},
        {"accuracy": {"seconds": 10**30}},
        {"gen_time": core.GeneralizedTime(contents=b"99991231235959.9999999Z")},
        {"gen_time": core.GeneralizedTime(contents=b"00000101000000Z")},
        {"gen_time": core.GeneralizedTime(contents=b"20261301000000Z")},
    ],
)
def test_impossible_times_are_malformed(fields: dict[str, Any]) -> None:
    shown = stamped({"one": answer(ONE_SIGNER, fields=fields)}, ONE)
    verdict = judge(shown, believing(1, one=ONE))
    assert codes(verdict, "stamp") == ["malformed"]


@pytest.mark.parametrize(
    "text", [b"99991231235959Z", b"99991231235959.5Z", b"00010101000000Z", b"19691231235959Z"]
)
def test_times_at_the_ends_of_the_calendar_are_not_counted_and_never_raise(text: bytes) -> None:
    root = Authority("Old Root")
    root.certificate = root._sign("Old Root", root.key.public_key(), ca=True, **OPEN)
    signer = root.signer(**OPEN)
    moment = core.GeneralizedTime(contents=text)
    shown = stamped({"one": answer(signer, fields={"gen_time": moment})}, root)
    verdict = judge(shown, believing(1, one=root))
    assert reasons(verdict) == ["its time is out of range"]
    assert verdict.exit_code == 3


def test_the_smallest_time_of_each_tsa_counts_and_the_k_th_of_them_is_the_bound() -> None:
    world = World(names=())
    world.record()
    late = {"one": answer(ONE_SIGNER, GEN_TIME + 9 * HOUR)}
    world.stamp(by=late)
    world.append()
    early = {
        "one": answer(ONE_SIGNER, GEN_TIME + 2 * HOUR),
        "two": answer(TWO_SIGNER, GEN_TIME + 3 * HOUR),
    }
    world.stamp(by=early)
    shown = with_certificates(world.bundle(sizes=(1, 2)), ONE.der, TWO.der)
    verdict = judge(shown, believing(one=ONE, two=TWO))
    assert verdict.first_not_after == GEN_TIME + 2 * HOUR + SECOND
    assert verdict.not_after == GEN_TIME + 3 * HOUR + SECOND


def test_a_stamp_over_a_checkpoint_that_does_not_include_the_record_gives_no_bound() -> None:
    world = World()
    world.append()
    world.stamp()
    world.record()
    world.publish()
    shown = world.bundle(sizes=(2,))
    early = [(size, name, held) for size, name, held in world.stamps if size == 1]
    changes = {
        f"stamps/1/{name}-{hashlib.sha256(held).hexdigest()[:8]}.tsr": held
        for _, name, held in early
    }
    verdict = judge(rebuilt(shown, {**changes, "checkpoints/1": world.signed[1]}))
    assert codes(verdict, "stamp") == ["development", "development"]
    assert codes(verdict, "time.not-after") == ["too-few"]
    assert codes(verdict, "inclusion") == ["not-authenticated"]


def test_bounds_pass_along_the_chain(world: World) -> None:
    verdict = judge(world.bundle({0: ()}))
    first, second, third = verdict.records
    # The cover's stamps came at +1 and +2 hours; dev-one's at +3 covers the first record, and both
    # at +4 and +5 all three.
    assert first.not_after == START + 5 * HOUR + SECOND
    assert {one.not_after for one in verdict.records} == {START + 5 * HOUR + SECOND}
    assert {one.not_before for one in (first, second, third)} == {START + HOUR - SECOND}
    assert codes(verdict, "time.not-before") == ["proven", "chain", "chain"]


def test_a_later_record_bounds_an_earlier_one_that_was_stamped_later() -> None:
    world = World()
    world.record()
    world.record()
    world.stamp()
    shown = world.bundle()
    # Of the first record only a proof under a much later checkpoint is shown.
    world.append()
    world.clock.time += 100 * HOUR
    world.stamp()
    late = world.bundle(sizes=(3,))
    first = world.records[0].name
    files = {path: held for path, held in late.files.items() if not path.startswith("proofs/")}
    files |= {path: held for path, held in late.files.items() if first in path}
    own = {path: held for path, held in shown.files.items() if first not in path}
    merged = rebuilt(Bundle({**files, **own}, {}), {})
    verdict = judge(merged)
    assert codes(verdict, "time.not-after") == ["chain", "proven"]
    assert verdict.records[0].not_after == START + 2 * HOUR + SECOND


def test_a_fork_passes_no_bounds() -> None:
    world = World()
    world.record(link={"chain": "0" * 32, "seq": 1, "prev": None})
    world.record(link={"chain": "0" * 32, "seq": 1, "prev": None})
    world.stamp()
    verdict = judge(world.bundle())
    assert codes(verdict, "time.not-after") == ["proven", "proven"]
    assert verdict.exit_code == 1


# Lower bounds


def test_a_lower_bound_needs_k_tsas_too(bundle: Bundle, world: World) -> None:
    two = judge(bundle).records[0].not_before
    one = judge(bundle, replace(TRUST, k=1)).records[0].not_before
    assert two == START + HOUR - SECOND
    assert one == START + 2 * HOUR - SECOND
    assert judge(bundle).not_before == two
    three = judge(bundle, replace(TRUST, k=3))
    assert codes(three, "time.not-before") == ["too-few", "none"]


def test_a_lower_bound_whose_token_is_missing_or_not_believed_is_not_there(
    bundle: Bundle,
) -> None:
    path = path_of(bundle, "not-before")
    missing = judge(untouched_index(bundle, {path: None}))
    assert codes(missing, "time.not-before")[0] == "too-few"
    trust = trust_in("dev-one")
    unknown = judge(bundle, trust)
    assert "not-counted" in codes(unknown, "time.not-before")
    assert unknown.records[0].not_before is None


def test_a_token_no_record_names_is_no_lower_bound() -> None:
    world = World()
    world.append()
    world.stamp()
    tokens = world.newest()
    world.record(not_before=())
    world.stamp()
    extra = {f"stamps/not-before/{hashlib.sha256(one).hexdigest()}.tst": one for one in tokens}
    verdict = judge(rebuilt(world.bundle({0: ("kind",)}), extra))
    assert codes(verdict, "time.not-before") == ["none"]


def test_a_malformed_forged_or_misnamed_lower_bound_is_refuted(bundle: Bundle) -> None:
    path = path_of(bundle, "not-before")
    content = bundle.files[path]
    forged = content[:-1] + bytes([content[-1] ^ 1])
    for held in (b"", b"junk", forged):
        named = f"stamps/not-before/{hashlib.sha256(held).hexdigest()}.tst"
        for changes in ({path: held}, {named: held}):
            verdict = judge(rebuilt(bundle, changes))
            fault = verdict.first_fault
            assert fault is not None
            assert fault.step == "time.not-before"
            assert verdict.exit_code == 1


def test_times_that_contradict_each_other_prove_nothing() -> None:
    world = World()
    world.append()
    world.stamp()
    world.clock.time = START - 12 * HOUR  # both TSAs now say that it is earlier
    world.record()
    world.record(not_before=())
    world.stamp()
    verdict = judge(world.bundle({0: (), 1: ()}))
    assert codes(verdict, "time.not-after") == ["contradiction", "contradiction"]
    assert codes(verdict, "time.not-before") == ["contradiction", "contradiction"]
    assert verdict.exit_code == 3
    assert verdict.not_after is None
    assert all(one.not_after is one.not_before is None for one in verdict.records)


def test_what_rests_on_a_development_tsa_through_the_chain_is_not_independent() -> None:
    world = World(names=("dev-one",))
    world.record()
    world.record()
    real = {"one": answer(ONE_SIGNER, START + 50 * HOUR)}
    world.stamp("dev-one")
    world.stamp(by=real)
    shown = with_certificates(world.bundle(), ONE.der)
    trust = trust_in("dev-one", k=1)
    trust = replace(trust, tsas=(*trust.tsas, pinned(ONE, "one")))
    verdict = judge(shown, trust)
    assert verdict.outcome is Outcome.PROVEN
    assert not verdict.independent
    alone = judge(shown, believing(1, one=ONE))
    assert alone.independent
