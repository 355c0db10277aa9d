"""The verdict end to end: what is proven, what is refuted, and what nobody could check."""

from dataclasses import replace

import pytest

from ledger.proof.bundle import INDEX, Bundle, Digest, make_index, parse_index
from ledger.proof.trust import Trust
from ledger.proof.verdict import STEPS, Finding, Outcome, headline, say
from ledger.proof.verify import REQUIRED, verify
from ledger.record.manifest import FileEntry, format_shown_lines, make_lines
from ledger.record.shown import ShownLine, lines_root, prove_line
from ledger.tlog.policy import parse_policy
from tests.ledger.proof.conftest import FILES
from tests.ledger.proof.test_trust import LOG, _witness_key
from tests.ledger.proof.world import (
    CHECKED,
    TRUST,
    World,
    codes,
    digest_of,
    judge,
    of_step,
    path_of,
    rebuilt,
    trust_in,
    untouched_index,
    with_records,
)


def test_a_whole_bundle_is_proven(bundle: Bundle) -> None:
    verdict = judge(bundle)
    assert (verdict.outcome, verdict.exit_code) == (Outcome.PROVEN, 0)
    assert verdict.first_fault is None
    unchecked = ("checkpoint.ledger", "checkpoint.ml-dsa", "revocation", "key")
    assert verdict.unchecked_steps == unchecked
    assert {f.step for f in verdict.findings if f.required} == REQUIRED
    assert [f.step for f in verdict.findings] == sorted(
        [f.step for f in verdict.findings], key=STEPS.index
    )
    assert len(verdict.records) == 3
    assert [one.opened for one in verdict.records] == [True, False, True]
    assert [one.title for one in verdict.records] == ["step 1", None, "final"]
    assert [one.seq for one in verdict.records] == [1, 2, 3]
    assert [one.index for one in verdict.records] == [1, 3, 5]
    assert len(verdict.tokens) == 5
    assert all(one.counted and one.development for one in verdict.tokens)


def test_development_tokens_prove_nothing_and_say_so(bundle: Bundle) -> None:
    verdict = judge(bundle)
    assert verdict.development
    assert not verdict.independent
    assert "development TSA: proves nothing" in headline(verdict)
    assert "不具证据意义" in headline(verdict, "zh")


def test_the_verdict_does_not_depend_on_the_order_of_the_files(bundle: Bundle) -> None:
    backwards = Bundle(
        dict(reversed(bundle.files.items())), dict(reversed(bundle.carriers.items()))
    )
    assert judge(backwards) == judge(bundle)


def test_the_check_time_is_reported_and_decides_nothing(bundle: Bundle) -> None:
    early = CHECKED.replace(year=1999)
    one = verify(bundle, TRUST, {}, checked_at=early, clock="c", tool="t")
    two = verify(bundle, TRUST, {}, checked_at=CHECKED, clock="c", tool="t")
    assert one.checked_at == early
    assert replace(one, checked_at=CHECKED) == two


def test_without_a_trust_file_nothing_is_proven(bundle: Bundle) -> None:
    verdict = judge(bundle, Trust())
    assert (verdict.outcome, verdict.exit_code) == (Outcome.UNCHECKED, 3)
    assert {"inclusion", "stamp", "time.not-after"} <= set(verdict.unchecked_steps)
    assert verdict.not_after is None
    assert not any(one.counted for one in verdict.tokens)


def test_each_missing_file_keeps_the_bundle_from_being_proven(bundle: Bundle) -> None:
    for path in bundle.files:
        verdict = judge(untouched_index(bundle, {path: None}), trust_in("dev-one", "dev-two", k=1))
        assert (path, verdict.outcome) == (path, Outcome.UNCHECKED)
    for path in bundle.carriers:
        left = {name: held for name, held in bundle.carriers.items() if name != path}
        assert judge(Bundle(bundle.files, left)).exit_code == 3


@pytest.mark.parametrize("kind", ["record", "proof", "checkpoint", "stamp", "certificate"])
def test_a_link_left_out_before_the_index_was_made_proves_less_or_nothing(
    bundle: Bundle, kind: str
) -> None:
    whole = judge(bundle)
    for path, _ in bundle.of_kind(kind):
        verdict = judge(rebuilt(bundle, {path: None}))
        if verdict.outcome is Outcome.PROVEN:  # the first record is covered twice
            assert kind in {"proof", "stamp"}
            for less, more in zip(verdict.records, whole.records, strict=True):
                assert less.not_after is not None
                assert more.not_after is not None
                assert less.not_after >= more.not_after
        else:
            assert verdict.outcome is Outcome.UNCHECKED, path


def test_without_its_index_a_bundle_is_not_looked_at(bundle: Bundle) -> None:
    verdict = judge(untouched_index(bundle, {INDEX: None}))
    assert [(f.step, f.code) for f in verdict.findings] == [("index", "no-index")]
    assert verdict.exit_code == 3


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"files":[],"records":[]}', b"[" * 99])
def test_a_malformed_index_is_refuted(bundle: Bundle, content: bytes) -> None:
    verdict = judge(untouched_index(bundle, {INDEX: content}))
    assert [(f.step, f.code) for f in verdict.findings] == [("index", "malformed")]
    assert verdict.exit_code == 1


def test_an_unknown_extra_file_is_refuted_by_its_name(bundle: Bundle) -> None:
    for path in ("junk.exe", "records/0123456789abcdef.sd-jwt", "material/roots.pem", "\ud800"):
        verdict = judge(untouched_index(bundle, {path: b"MZ"}))
        fault = verdict.first_fault
        assert fault is not None
        assert (fault.step, fault.code, fault.values["path"]) == ("index", "unlisted", path)
        # and everything else is still judged
        assert codes(verdict, "inclusion") == ["proven"] * 3


def test_a_file_about_a_record_that_is_not_listed_is_refuted(bundle: Bundle) -> None:
    for path in (
        "records/0123456789abcdef.sd-jwt",
        "manifests/0123456789abcdef.lines",
        "proofs/0123456789abcdef-3.tlog-proof",
    ):
        assert codes(judge(rebuilt(bundle, {path: b"x"})), "index") == ["unlisted"]


def test_an_unlisted_or_unsafe_carrier_is_refuted_and_never_raises(bundle: Bundle) -> None:
    record = path_of(bundle, "record")
    for path in ("carriers/x", "carriers/x/y", "carriers/../y", "checkpoints/0", record, INDEX):
        carriers = {**bundle.carriers, path: digest_of(b"")}
        assert codes(judge(Bundle(bundle.files, carriers)), "index") == ["unlisted"]


def test_a_carrier_held_in_memory_is_checked_like_any_other(bundle: Bundle) -> None:
    path = next(path for path in bundle.carriers if path.endswith("notes.txt"))
    left = {name: held for name, held in bundle.carriers.items() if name != path}
    for content, code in ((FILES["notes.txt"], "line"), (b"other", "no-match")):
        held = rebuilt(Bundle({**bundle.files, path: content}, left), {})
        assert code in codes(judge(held), "carrier")


def test_a_changed_file_is_refuted_at_the_index(small: Bundle) -> None:
    for path, content in small.files.items():
        verdict = judge(untouched_index(small, {path: content + b"\n"}))
        fault = verdict.first_fault
        assert fault is not None
        assert fault.step == "index", path


def test_a_bundle_with_no_records_is_never_proven() -> None:
    empty = make_index(Bundle({}, {}), {})
    for trust in (TRUST, Trust(), replace(TRUST, require=("index",)), trust_in(k=1)):
        verdict = judge(empty, trust)
        assert (verdict.outcome, verdict.exit_code) == (Outcome.UNCHECKED, 3)
        assert codes(verdict, "record.signature") == ["none"]
        assert codes(verdict, "checkpoint.ledger") == ["absent"]
        assert codes(verdict, "stamp") == ["absent"]


def test_a_bundle_whose_index_forgets_its_records_is_not_proven(bundle: Bundle) -> None:
    verdict = judge(with_records(bundle, {}), replace(TRUST, require=("index", "stamp")))
    assert verdict.exit_code == 1
    assert set(codes(verdict, "index")) == {"unlisted"}


@pytest.mark.parametrize("step", STEPS)
def test_what_the_trust_file_requires_decides(small: Bundle, step: str) -> None:
    verdict = judge(small, trust_in("dev-one", k=1, require=(step,)))
    found = of_step(verdict, step)
    assert found
    assert all(finding.required for finding in found)
    proven = all(finding.outcome is Outcome.PROVEN for finding in found)
    assert verdict.outcome is (Outcome.PROVEN if proven else Outcome.UNCHECKED)
    absent = {"consistency", "cosignatures", "evidence", "ageing"}
    assert ([finding.code for finding in found] == ["required"]) == (step in absent)


def test_a_policy_with_a_quorum_requires_cosignatures(bundle: Bundle) -> None:
    text = f"log {LOG}\nwitness w w.example+{_witness_key()}\nquorum w\n"
    verdict = judge(bundle, replace(TRUST, policy=parse_policy(text)))
    assert set(codes(verdict, "cosignatures")) == {"no-quorum"}
    assert verdict.exit_code == 3


# Carriers


def test_a_carrier_the_bundle_discloses_is_proven(bundle: Bundle) -> None:
    given = {"my copy.csv": digest_of(FILES["data/batch-12.csv"])}
    verdict = judge(bundle, carriers=given)
    assert verdict.outcome is Outcome.PROVEN
    assert verdict.carrier_checked
    assert "carrier existed" in headline(verdict)
    assert [f.values["name"] for f in of_step(verdict, "carrier")] == [
        "data/batch-12.csv",
        "notes.txt",
        "my copy.csv",
    ]


def test_a_file_that_may_be_withheld_in_its_folder_is_unchecked_not_refuted(
    bundle: Bundle,
) -> None:
    for content in (FILES["data/batch-13.csv"], b"never anchored"):
        verdict = judge(bundle, carriers={"batch-13.csv": digest_of(content)})
        assert "unknown" in codes(verdict, "carrier")
        assert verdict.exit_code == 3


def test_a_wrong_carrier_under_a_disclosed_name_is_refuted(bundle: Bundle) -> None:
    for content in (FILES["data/batch-12.csv"] + b"\n", FILES["data/batch-13.csv"], b""):
        verdict = judge(bundle, carriers={"batch-12.csv": digest_of(content)})
        fault = verdict.first_fault
        assert fault is not None
        assert (fault.step, fault.code) == ("carrier", "no-match")
        assert verdict.exit_code == 1


def test_a_carrier_of_another_size_than_its_line_is_refuted(bundle: Bundle) -> None:
    good = digest_of(FILES["notes.txt"])
    verdict = judge(bundle, carriers={"notes.txt": Digest(good.size + 1, good.sha256)})
    assert codes(verdict, "carrier")[-1] == "no-match"


def test_a_wrong_carrier_given_by_hand_does_not_hide_behind_a_good_one_inside(
    bundle: Bundle,
) -> None:
    verdict = judge(bundle, carriers={"notes.txt": digest_of(b"other")})
    assert sorted(codes(verdict, "carrier")) == ["line", "line", "no-match"]
    assert verdict.exit_code == 1


def test_a_wrong_carrier_inside_does_not_hide_behind_a_good_one_given_by_hand(
    bundle: Bundle,
) -> None:
    path = next(path for path in bundle.carriers if path.endswith("notes.txt"))
    wrong = rebuilt(bundle, {}, {path: digest_of(b"other")})
    verdict = judge(wrong, carriers={"notes.txt": digest_of(FILES["notes.txt"])})
    assert sorted(codes(verdict, "carrier")) == ["line", "line", "no-match"]
    assert verdict.exit_code == 1


def test_carriers_inside_under_each_others_names_are_refuted(bundle: Bundle) -> None:
    one, two = bundle.carriers
    swapped = rebuilt(bundle, {}, {one: bundle.carriers[two], two: bundle.carriers[one]})
    assert codes(judge(swapped), "carrier") == ["no-match", "no-match"]


def test_carriers_of_one_name_under_two_records_are_both_checked() -> None:
    world = World()
    for content in (b"one", b"two"):
        world.record(carrier=_whole(content))
    world.stamp()
    shown = world.bundle({0: ("carrier.sha256",), 1: ("carrier.sha256",)})
    first, second = (made.name for made in world.records)
    paths = [f"carriers/{name}/a.txt" for name in (first, second)]
    good = dict(zip(paths, (digest_of(b"one"), digest_of(b"two")), strict=True))
    assert codes(judge(rebuilt(shown, {}, good)), "carrier") == ["file", "file"]
    for wrong in ((b"two", b"two"), (b"one", b"one"), (b"two", b"one")):
        held = dict(zip(paths, map(digest_of, wrong), strict=True))
        assert "no-match" in codes(judge(rebuilt(shown, {}, held)), "carrier")


def test_a_carrier_inside_under_another_name_than_the_record_shows_is_refuted() -> None:
    world = World()
    world.record(carrier={**_whole(b"one"), "name": "a.txt"})
    world.stamp()
    shown = world.bundle({0: ("carrier.sha256", "carrier.name")})
    name = world.records[0].name
    for path, code in (("a.txt", "file"), ("b.txt", "no-match")):
        held = rebuilt(shown, {}, {f"carriers/{name}/{path}": digest_of(b"one")})
        assert codes(judge(held), "carrier") == [code]
    # given by hand it may have any name
    assert codes(judge(shown, carriers={"b.txt": digest_of(b"one")}), "carrier") == ["file"]


def test_a_carrier_with_a_good_digest_and_a_wrong_size_in_the_record_is_refuted() -> None:
    world = World()
    world.record(carrier={**_whole(b"one"), "size": 4})
    world.stamp()
    given = {"a": digest_of(b"one")}
    assert codes(judge(world.bundle({0: ("carrier.sha256",)}), carriers=given), "carrier") == [
        "file"
    ]
    shown = world.bundle({0: ("carrier.sha256", "carrier.size")})
    assert codes(judge(shown, carriers=given), "carrier") == ["no-match"]


def test_a_carrier_cannot_be_checked_where_no_digest_is_disclosed() -> None:
    world = World()
    world.record(files=FILES)
    world.stamp()
    for show in ({}, {0: ("kind",)}, {0: ("carrier.manifest",)}):
        verdict = judge(world.bundle(show), carriers={"a": digest_of(FILES["notes.txt"])})
        assert codes(verdict, "carrier") == ["not-disclosed"]
        assert verdict.exit_code == 3
        assert not verdict.carrier_checked


def test_without_a_carrier_the_headline_says_record(world: World) -> None:
    verdict = judge(world.bundle())
    assert verdict.outcome is Outcome.PROVEN
    assert "record existed" in headline(verdict)
    assert "记录的存在时间" in headline(verdict, "zh")


def test_lines_of_a_record_that_withholds_its_root_are_unchecked(world: World) -> None:
    verdict = judge(world.bundle({2: ("kind",)}, files={2: ("notes.txt",)}))
    assert codes(verdict, "manifest") == ["not-disclosed"]
    assert verdict.exit_code == 3


def test_lines_of_another_record_are_refuted(world: World) -> None:
    show = {1: ("carrier.manifest",), 2: ("carrier.manifest",)}
    both = world.bundle(show, files={1: ("notes.txt",), 2: ("notes.txt",)})
    first, second = (both.files[path] for path, _ in both.of_kind("lines"))
    paths = [path for path, _ in both.of_kind("lines")]
    swapped = rebuilt(both, {paths[0]: second, paths[1]: first})
    assert codes(judge(both), "manifest") == ["lines", "lines"]
    assert codes(judge(swapped), "manifest") == ["refuted", "refuted"]


def _whole(content: bytes) -> dict[str, str | int | bool | None]:
    digest = digest_of(content)
    return {"sha256": digest.sha256.hex(), "size": digest.size}


# Records


def test_a_record_listed_with_another_entry_is_refuted_half_by_half(bundle: Bundle) -> None:
    path = path_of(bundle, "record")
    name, entry = path[8:24], dict(_records(bundle))[path]
    for half, step in ((0, "entry.sha256"), (32, "entry.sm3")):
        wrong = bytearray(entry)
        wrong[half + 31] ^= 1
        records = {**dict(_records(bundle)), path: bytes(wrong)}
        verdict = judge(with_records(bundle, records))
        fault = verdict.first_fault
        assert fault is not None
        assert (fault.step, fault.record) == (step, name)


def test_a_record_under_another_name_is_refuted(bundle: Bundle) -> None:
    records = dict(_records(bundle))
    one, two = list(records)[:2]
    swapped = {**records, one: records[two], two: records[one]}
    verdict = judge(with_records(bundle, swapped))
    assert verdict.exit_code == 1
    twice = {**records, one: records[two]}
    assert judge(with_records(bundle, twice)).exit_code == 1


def test_two_records_swapped_between_their_paths_are_refuted(bundle: Bundle) -> None:
    one, two = path_of(bundle, "record", 0), path_of(bundle, "record", 1)
    swapped = rebuilt(bundle, {one: bundle.files[two], two: bundle.files[one]})
    assert codes(judge(swapped), "entry.sha256").count("mismatch") == 2


def _records(bundle: Bundle) -> tuple[tuple[str, bytes], ...]:
    return parse_index(bundle.files[INDEX]).records


def test_a_missing_record_is_counted_in_the_total(bundle: Bundle) -> None:
    verdict = judge(untouched_index(bundle, {path_of(bundle, "record"): None}))
    assert {f.values["total"] for f in of_step(verdict, "carrier") if "total" in f.values} <= {3}
    assert codes(verdict, "record.signature").count("absent") == 1
    assert verdict.exit_code == 3


def test_a_record_with_no_open_claim_at_all_is_still_judged() -> None:
    world = World()
    made = world.record()
    world.stamp()
    closed = rebuilt(
        world.bundle(), {f"records/{made.name}.sd-jwt": made.sdjwt.jwt.encode() + b"~"}
    )
    verdict = judge(closed)
    assert verdict.outcome is Outcome.PROVEN
    assert codes(verdict, "chain") == ["not-shown"]
    assert codes(verdict, "record.disclosures") == ["complete"]


def test_a_finding_of_no_step_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="unknown step"):
        Finding("nonsense", Outcome.PROVEN, "x")


@pytest.mark.parametrize("names", [("a.txt", "a.txt"), ("\u00e9.txt", "e\u0301.txt")])
def test_two_shown_lines_of_one_path_are_refuted(names: tuple[str, str]) -> None:
    world = World()
    entries = [FileEntry(name, 1, bytes(32), 0) for name in names]
    lines = [line for entry in entries for line in make_lines([entry], world.dice.randbytes)]
    root, count = lines_root(lines)
    made = world.record(carrier={"manifest": {"root": root.hex(), "count": count}})
    world.stamp()
    bundle = world.bundle({0: ["carrier.manifest"]})

    def showing(*indexes: int) -> Bundle:
        shown = [ShownLine(n, lines[n], prove_line(lines, n).path) for n in indexes]
        return rebuilt(bundle, {f"manifests/{made.name}.lines": format_shown_lines(shown)})

    assert codes(judge(showing(0)), "manifest") == ["lines"]
    verdict = judge(showing(0, 1))
    assert codes(verdict, "manifest") == ["refuted"]
    assert "one path" in say(of_step(verdict, "manifest")[0])
