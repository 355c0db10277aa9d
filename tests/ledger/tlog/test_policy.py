from hashlib import sha256
from itertools import combinations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.tlog.note import (
    COSIGNATURE_ED25519,
    COSIGNATURE_ML_DSA_44,
    ED25519,
    NoteKey,
    format_vkey,
)
from ledger.tlog.policy import (
    MAX_POLICY_CHARACTERS,
    Group,
    LogKey,
    Policy,
    Witness,
    format_policy,
    parse_policy,
    quorum_met,
)


def ed(name: str, type_: int = COSIGNATURE_ED25519) -> NoteKey:
    private = Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())
    return NoteKey(name, type_, private.public_key().public_bytes_raw())


def ml(name: str) -> NoteKey:
    return NoteKey(name, COSIGNATURE_ML_DSA_44, sha256(name.encode()).digest() * 41)


LOG = ed("example.com/log", ED25519)
V = {name: format_vkey(ed(name)) for name in ("X1", "X2", "X3", "Y1", "Y2", "Y3")}
EXAMPLE = f"""# The specification's example.
log {format_vkey(LOG)}

witness X1 {V["X1"]}
\t witness  X2\t{V["X2"]} https://x2.example/ \t
witness X3 {V["X3"]}
  # indented
group X-witnesses 2 X1 X2 X3

witness Y1 {V["Y1"]}
witness Y2 {V["Y2"]}
witness Y3 {V["Y3"]}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def test_the_specifications_example_is_read() -> None:
    policy = parse_policy(EXAMPLE)
    assert policy.logs == (LogKey(LOG),)
    assert [witness.name for witness in policy.witnesses] == list(V)
    assert policy.witnesses[1].url == "https://x2.example/"
    assert policy.groups == (
        Group("X-witnesses", 2, ("X1", "X2", "X3")),
        Group("Y-witnesses", 1, ("Y1", "Y2", "Y3")),
        Group("X-and-Y", 2, ("X-witnesses", "Y-witnesses")),
    )
    assert policy.quorum == "X-and-Y"


def test_the_specifications_example_is_met_exactly_by_two_x_and_one_y() -> None:
    policy = parse_policy(EXAMPLE)
    for count in range(7):
        for names in combinations(V, count):
            x = sum(name[0] == "X" for name in names)
            assert quorum_met(policy, names) == (x >= 2 and count - x >= 1)


def test_no_quorum_is_met_by_nobody_and_one_witness_only_by_itself() -> None:
    head = f"log {format_vkey(LOG)}\nwitness X1 {V['X1']}\nwitness X2 {V['X2']}\n"
    none = parse_policy(head + "quorum none\n")
    assert quorum_met(none, [])
    assert quorum_met(none, ["X1"])
    one = parse_policy(head + "quorum X1\n")
    assert not quorum_met(one, [])
    assert not quorum_met(one, ["X2"])
    assert quorum_met(one, {"X1", "X2"})


def test_naming_a_group_or_a_stranger_as_a_cosigner_is_a_mistake_of_the_caller() -> None:
    for name in ("X-witnesses", "none", "example.com/log", "Z"):
        with pytest.raises(ValueError, match="is not a witness"):
            quorum_met(parse_policy(EXAMPLE), [name])


def test_two_log_lines_of_one_name_and_two_types_are_one_log() -> None:
    keys = (LOG, ml(LOG.name))
    policy = parse_policy("".join(f"log {format_vkey(key)}\n" for key in keys) + "quorum none\n")
    assert {log.key.name for log in policy.logs} == {LOG.name}
    assert [log.key.type for log in policy.logs] == [ED25519, COSIGNATURE_ML_DSA_44]


def test_a_policy_of_the_recommended_complexity_is_read() -> None:
    lines = [f"log {format_vkey(ml(f'log{i}'))}" for i in range(32)]
    lines += [f"witness w{i} {format_vkey(ml(f'w{i}'))}" for i in range(32)]
    lines += ["group g0 any w0"] + [f"group g{i} all g{i - 1} w{i}" for i in range(1, 32)]
    policy = parse_policy("\n".join([*lines, "quorum g31", ""]))
    assert (len(policy.logs), len(policy.witnesses), len(policy.groups)) == (32, 32, 32)
    everybody = [f"w{i}" for i in range(32)]
    assert quorum_met(policy, everybody)
    assert not quorum_met(policy, everybody[1:])


def test_names_are_opaque_and_may_be_any_printable_word() -> None:
    name = "K\u212a证人\u00a0#+—"
    policy = parse_policy(f"witness {name} {V['X1']}\nquorum {name}\n# 备注\n")
    assert quorum_met(policy, [name])
    assert not quorum_met(policy, [])


X1 = f"witness X1 {V['X1']}\n"
X2 = f"witness X2 {V['X2']}\n"
NONE = "quorum none\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not end in a newline"),
        ("quorum none", "does not end in a newline"),
        ("\n", "no quorum line"),
        (X1, "no quorum line"),
        (NONE + NONE, "line 2: a second quorum"),
        ("quorum\n", "'quorum' line is not understood"),
        ("quorum none none\n", "'quorum' line is not understood"),
        ("quorum X1\n" + X1, "line 1: 'X1' is not defined on a line above"),
        (X1 + "quorum x1\n", "'x1' is not defined"),
        ("Quorum none\n", "'Quorum' line is not understood"),
        ("time 5\n" + NONE, "'time' line is not understood"),
        ("log\n" + NONE, "'log' line is not understood"),
        (f"log {format_vkey(LOG)} url more\n" + NONE, "'log' line is not understood"),
        (f"log {format_vkey(LOG)}x\n" + NONE, "line 1: vkey"),
        (f"log {V['X1']}\n" + NONE, "0x04 is not for a log"),
        (f"log {format_vkey(LOG)}\n" * 2 + NONE, "is there twice"),
        (
            f"log {format_vkey(LOG)}\nlog {format_vkey(NoteKey('b', ED25519, LOG.public_key))}\n"
            + NONE,
            "the key of log 'b' is there twice",
        ),
        ("witness X1\n" + NONE, "'witness' line is not understood"),
        (f"witness {V['X1']}\n" + NONE, "'witness' line is not understood"),
        (X1[:-1] + " url more\n" + NONE, "'witness' line is not understood"),
        (f"witness W {format_vkey(LOG)}\n" + NONE, "0x01 is not for a witness"),
        (X1 + X1 + NONE, "'X1' is already defined"),
        (X1 + X1.replace("X1 ", "X9 ", 1) + NONE, "is there twice"),
        (X1.replace("X1 ", "none ", 1) + NONE, "'none' is already defined"),
        (
            f"log {format_vkey(LOG)}\n"
            f"witness W {format_vkey(NoteKey('w', COSIGNATURE_ED25519, LOG.public_key))}\n" + NONE,
            "the key of witness 'w' is there twice",
        ),
        ("group g any\n" + NONE, "'group' line is not understood"),
        ("group g\n" + NONE, "'group' line is not understood"),
        (X1 + "group g any X2\n" + X2 + NONE, "line 2: 'X2' is not defined"),
        (X1 + "group g any g\n" + NONE, "'g' is not defined"),
        (X1 + "group g any none\n" + NONE, "'none' is not defined"),
        (X1 + "group none any X1\n" + NONE, "'none' is already defined"),
        (X1 + "group X1 any X1\n" + NONE, "'X1' is already defined"),
        (X1 + "group g any X1 X1\n" + NONE, "'X1' is a member twice"),
        (X1 + "group g any X1\ngroup h any X1\n" + NONE, "'X1' is a member twice"),
        (X1 + X2 + "group g any X1\ngroup h any g X2\ngroup i any g\n" + NONE, "'g' is a member"),
        (X1 + "group g 0 X1\n" + NONE, "threshold of group 'g' is 0, want 1 to 1"),
        (X1 + "group g 2 X1\n" + NONE, "threshold of group 'g' is 2, want 1 to 1"),
        (X1 + "group g 01 X1\n" + NONE, "threshold is '01'"),
        (X1 + "group g -1 X1\n" + NONE, "threshold is '-1'"),
        (X1 + "group g Any X1\n" + NONE, "threshold is 'Any'"),
        ("quorum none\r\n", "control character"),
        ("quorum\x0bnone\n", "control character"),
        ("quorum none\x00\n", "control character"),
        ("quorum none # \x7f\n", "control character"),
        ("quorum none\n# \ud800\n", "control character"),
        ("quorum none # said\n", "'quorum' line is not understood"),
        ("quorum\u00a0none\n", "line is not understood"),
        ("quorum none\u2028log\n", "is not defined"),
        ("#" * MAX_POLICY_CHARACTERS + "\n", "longer than"),
    ],
)
def test_bad_policies_are_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        parse_policy(text)


def test_impossible_policies_are_a_mistake_of_the_caller() -> None:
    a, b = Witness("a", ed("a")), Witness("b", ed("b"))
    for make in (
        lambda: Policy((), (a, a), (), "none"),
        lambda: Policy((), (a, Witness("c", a.key)), (), "none"),
        lambda: Policy((), (Witness("two words", a.key),), (), "none"),
        lambda: Policy((), (Witness("", a.key),), (), "none"),
        lambda: Policy((), (Witness("a", a.key, "two words"),), (), "none"),
        lambda: Policy((LogKey(LOG, "new\nline"),), (), (), "none"),
        lambda: Policy((LogKey(a.key),), (), (), "none"),
        lambda: Policy((), (a,), (Group("g", 0, ("a",)),), "none"),
        lambda: Policy((), (a,), (Group("g", 1, ()),), "none"),
        lambda: Policy((), (a, b), (Group("g", 1, ("h",)), Group("h", 1, ("b",))), "none"),
        lambda: Policy((), (a,), (), "b"),
        lambda: Policy((), (), (), ""),
    ):
        with pytest.raises(ValueError, match=r"defined|twice|one word|not for|threshold"):
            make()


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Policies of up to six witnesses in groups, each name a member once at most."""
    witnesses = [Witness(f"w{i}", ed(f"w{i}")) for i in range(draw(st.integers(0, 6)))]
    free = [witness.name for witness in witnesses]
    groups: list[Group] = []
    while free and draw(st.booleans()):
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        free = [name for name in free if name not in members]
        groups.append(Group(f"g{len(groups)}", draw(st.integers(1, len(members))), tuple(members)))
        free.append(groups[-1].name)
    names = ["none", *(witness.name for witness in witnesses), *(group.name for group in groups)]
    logs = (LogKey(LOG, draw(st.sampled_from([None, "https://log.example/"]))),)
    return Policy(logs, tuple(witnesses), tuple(groups), draw(st.sampled_from(names)))


@given(policies())
def test_policies_are_read_as_they_are_written(policy: Policy) -> None:
    assert parse_policy(format_policy(policy)) == policy


@given(policies(), st.data())
def test_the_quorum_is_what_its_definition_says(policy: Policy, draws: st.DataObject) -> None:
    names = {w.name for w in policy.witnesses if draws.draw(st.booleans())}
    groups = {group.name: group for group in policy.groups}

    def witnessed(name: str) -> bool:
        if name not in groups:
            return name in names
        group = groups[name]
        return sum(witnessed(member) for member in group.members) >= group.threshold

    assert quorum_met(policy, names) == (policy.quorum == "none" or witnessed(policy.quorum))


@given(st.text(alphabet="quormne \t\n#x1", max_size=30))
def test_any_text_is_a_policy_or_malformed(text: str) -> None:
    try:
        policy = parse_policy(text)
    except MalformedError:
        return
    assert policy == parse_policy(format_policy(policy))
