"""The step ``key``: whose key, by trust file or enrolment, and before or after a revocation."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.proof.verdict import Finding, Outcome, Verdict
from ledger.record.record import parse_record
from ledger.record.sdjwt import SigningKey, format_sdjwt
from ledger.record.strict_json import JsonValue
from tests.ledger.proof.world import TRUST, Made, World, codes, judge, of_step

PERSON, CHAIN_KEY, OTHER = (
    Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (11, 12, 13)
)
P256 = ec.derive_private_key(14, ec.SECP256R1())
KEYS, NOTES, ELSE = "aa" * 16, "bb" * 16, "cc" * 16
SHOWN = ("kind", "key", "refs", "not_before")


@dataclass
class Team:
    """A world with several chains and keys; ``made`` in order."""

    world: World = field(default_factory=World)
    heads: dict[str, Made] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    shown: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world.append()
        self.world.stamp()

    def sign(
        self,
        key: SigningKey,
        chain: str,
        claims: Mapping[str, JsonValue] | None = None,
        *,
        show: tuple[str, ...] | None = SHOWN,
        append: bool = True,
    ) -> Made:
        """A record of ``chain``, opened in ``show``; withheld if None."""
        seq = self.lengths.get(chain, 0) + 1
        prev = self.heads[chain].entry.hex() if chain in self.heads else None
        self.world.author = key  # type: ignore[assignment]  # P-256 signs as well
        link = {"chain": chain, "seq": seq, "prev": prev}
        made = self.world.record(claims, link=link, append=append)
        self.heads[chain], self.lengths[chain] = made, seq
        if show is not None:
            have = parse_record(format_sdjwt(made.sdjwt)).claims.keys()
            self.shown[len(self.world.records) - 1] = tuple(set(show) & have)
        return made

    def enrol(self, by: SigningKey, key: SigningKey, chain: str = KEYS, **how: bool) -> Made:
        claims: dict[str, JsonValue] = {"kind": "key-enrolment", "key": thumbprint(key)}
        return self.sign(by, chain, claims, **how)

    def revoke(self, by: SigningKey, key: SigningKey, chain: str = KEYS) -> Made:
        return self.sign(by, chain, {"kind": "key-revocation", "key": thumbprint(key)})

    def accept(self, key: SigningKey, enrolment: Made, chain: str = NOTES) -> Made:
        """The first record of a chain: it names the enrolment of its key."""
        refs: JsonValue = [{"rel": "enrolledBy", "entry": enrolment.entry.hex()}]
        return self.sign(key, chain, {"refs": refs})

    def stamp(self) -> None:
        """An hour later, by both TSAs."""
        self.world.stamp()

    def judge(self, *named: tuple[SigningKey, str], **more: object) -> Verdict:
        authors = tuple((thumbprint(key), name) for key, name in named)
        trust = replace(TRUST, authors=authors, **more)  # type: ignore[arg-type]
        return judge(self.world.bundle(self.shown), trust)


def thumbprint(key: SigningKey) -> str:
    world = World()
    world.author = key  # type: ignore[assignment]
    return parse_record(format_sdjwt(world.record().sdjwt)).thumbprint


def found(verdict: Verdict, key: SigningKey) -> list[Finding]:
    """The findings on one key."""
    return [f for f in of_step(verdict, "key") if f.values["thumbprint"] == thumbprint(key)]


def said(verdict: Verdict, key: SigningKey) -> list[str]:
    return [finding.code for finding in found(verdict, key)]


LI = (PERSON, "Li Wei")


def enrolled(team: Team, key: SigningKey = CHAIN_KEY) -> Team:
    """The person's key enrols a chain's key, which says so in its first record; stamped."""
    team.accept(key, team.enrol(PERSON, key))
    team.stamp()
    return team


def test_a_key_that_nobody_names_is_unchecked_once_whatever_it_signed() -> None:
    team = Team()
    team.sign(CHAIN_KEY, NOTES)
    team.sign(CHAIN_KEY, NOTES)
    team.stamp()
    (finding,) = of_step(team.judge(), "key")
    assert (finding.outcome, finding.code, finding.record) == (Outcome.UNCHECKED, "unknown", None)
    assert finding.values["count"] == 2
    assert team.judge().exit_code == 0
    assert team.judge(require=("key",)).exit_code == 3


def test_a_withheld_record_asks_for_no_key() -> None:
    team = Team()
    team.sign(OTHER, NOTES, show=None)
    team.sign(CHAIN_KEY, NOTES)
    team.stamp()
    assert said(team.judge(), OTHER) == []


def test_an_author_the_trust_file_names_is_named() -> None:
    team = Team()
    team.sign(CHAIN_KEY, NOTES)
    team.stamp()
    verdict = team.judge((CHAIN_KEY, "Li \u202eWei"))
    assert codes(verdict, "key") == ["named", "revocation-unknown"]
    assert verdict.outcome is Outcome.PROVEN


def test_a_key_enrolled_by_one_that_the_trust_file_names_has_its_name() -> None:
    for key in (CHAIN_KEY, P256):
        verdict = enrolled(Team(), key).judge(LI, require=("key",))
        assert said(verdict, key) == ["enrolled", "no-revocation"]
        assert found(verdict, key)[0].values["name"] == "Li Wei"
        assert found(verdict, key)[0].values["number"] == 1
        assert said(verdict, PERSON) == ["named", "no-revocation"]
        assert verdict.exit_code == 0


def test_a_key_enrolled_by_a_stranger_is_unchecked() -> None:
    verdict = enrolled(Team()).judge((OTHER, "Wang Fang"))
    assert said(verdict, CHAIN_KEY) == ["enrolled-by-unknown", "no-revocation"]
    assert said(verdict, PERSON) == ["unknown", "no-revocation"]
    assert verdict.exit_code == 0


def test_an_enrolment_that_the_key_does_not_name_back_binds_nobody() -> None:
    team = Team()
    team.enrol(PERSON, CHAIN_KEY)
    team.sign(CHAIN_KEY, NOTES)
    team.stamp()
    assert said(team.judge(LI), CHAIN_KEY) == ["enrolled-one-way", "no-revocation"]


def test_a_key_that_names_another_enrolment_is_not_the_first_comers() -> None:
    team = Team()
    mine = team.enrol(PERSON, CHAIN_KEY)
    team.enrol(OTHER, CHAIN_KEY, ELSE)
    team.accept(CHAIN_KEY, mine)
    team.stamp()
    assert said(team.judge((OTHER, "Thief")), CHAIN_KEY)[0] == "enrolled-by-unknown"
    both = team.judge(LI, (OTHER, "Thief"))
    assert found(both, CHAIN_KEY)[0].values["name"] == "Li Wei"
    lone = Team()
    lone.enrol(OTHER, CHAIN_KEY, ELSE)
    lone.accept(CHAIN_KEY, mine)
    lone.stamp()
    assert said(lone.judge((OTHER, "Thief")), CHAIN_KEY)[0] == "enrolled-elsewhere"


def test_a_key_that_enrols_itself_is_enrolled_by_nobody() -> None:
    team = Team()
    team.accept(CHAIN_KEY, team.enrol(CHAIN_KEY, CHAIN_KEY))
    team.stamp()
    assert said(team.judge(LI), CHAIN_KEY)[0] == "unknown"


def test_an_enrolment_that_nobody_vouches_for_is_not_in_a_ledger() -> None:
    team = enrolled(Team())
    verdict = team.judge(LI, k=3)
    assert said(verdict, CHAIN_KEY) == ["enrolment-not-in-ledger"]


def test_an_enrolment_that_withholds_its_key_says_nothing() -> None:
    team = Team()
    enrolment = team.enrol(PERSON, CHAIN_KEY, show=("kind",))  # type: ignore[arg-type]
    team.accept(CHAIN_KEY, enrolment)
    team.stamp()
    verdict = team.judge(LI)
    assert said(verdict, CHAIN_KEY) == ["unknown"]
    assert said(verdict, PERSON) == ["named", "revocation-unknown"]


def test_a_key_chain_with_a_withheld_record_may_hide_a_revocation() -> None:
    team = enrolled(Team())
    team.sign(PERSON, KEYS, show=None)
    team.stamp()
    assert said(team.judge(LI), CHAIN_KEY) == ["enrolled", "revocation-unknown"]


def test_a_key_chain_is_no_part_of_the_time_that_is_asked() -> None:
    team = enrolled(Team())
    before = team.judge(LI).not_after
    team.enrol(PERSON, OTHER)
    team.stamp()
    assert team.judge(LI).not_after == before


def test_records_stamped_before_a_revocation_was_signed_stand() -> None:
    team = enrolled(Team())
    team.stamp()  # the revocation names a later round than the record's
    team.revoke(PERSON, CHAIN_KEY)
    team.stamp()
    verdict = team.judge(LI)
    assert said(verdict, CHAIN_KEY) == ["enrolled", "before-revocation"]
    assert verdict.exit_code == 0


def test_a_record_signed_after_a_stamped_revocation_is_refuted() -> None:
    team = enrolled(Team())
    team.stamp()  # the revocation names a later round than the record's
    team.revoke(PERSON, CHAIN_KEY)
    team.stamp()
    team.stamp()
    late = team.sign(CHAIN_KEY, NOTES)
    team.stamp()
    verdict = team.judge(LI)
    assert said(verdict, CHAIN_KEY) == ["enrolled", "before-revocation", "after-revocation"]
    assert verdict.exit_code == 1
    assert verdict.first_fault is not None
    assert verdict.first_fault.record == late.name


def test_a_record_between_the_bounds_of_a_revocation_is_not_shown_to_be_before() -> None:
    team = enrolled(Team())
    team.stamp()  # the revocation names a later round than the record's
    team.sign(CHAIN_KEY, NOTES)
    team.revoke(PERSON, CHAIN_KEY)
    team.stamp()
    verdict = team.judge(LI, require=("key",))
    assert said(verdict, CHAIN_KEY) == ["enrolled", "before-revocation", "not-before-revocation"]
    assert verdict.exit_code == 3


def test_a_revocation_that_nobody_stamped_leaves_it_open() -> None:
    team = enrolled(Team())
    late = team.revoke(PERSON, CHAIN_KEY)
    team.world.records[team.world.records.index(late)] = replace(late, tokens=())
    team.world.publish()
    assert "not-before-revocation" in said(team.judge(LI), CHAIN_KEY)


def test_in_one_chain_the_place_decides() -> None:
    team = Team()
    early = team.sign(CHAIN_KEY, NOTES)
    revocation = team.revoke(CHAIN_KEY, CHAIN_KEY, NOTES)
    late = team.sign(CHAIN_KEY, NOTES)
    team.stamp()
    on = {f.record: f.code for f in found(team.judge(), CHAIN_KEY) if f.record}
    assert on == {
        early.name: "before-revocation",
        revocation.name: "before-revocation",
        late.name: "after-revocation",
    }


def test_a_stranger_cannot_revoke() -> None:
    team = enrolled(Team())
    team.revoke(OTHER, CHAIN_KEY, ELSE)
    team.stamp()
    team.sign(CHAIN_KEY, NOTES)
    team.stamp()
    verdict = team.judge(LI)
    assert said(verdict, CHAIN_KEY) == ["enrolled", "revoked-by-other", "revoked-by-other"]
    assert verdict.exit_code == 0


def test_another_key_of_the_same_name_revokes() -> None:
    team = enrolled(Team())
    team.stamp()  # the revocation names a later round than the record's
    team.revoke(OTHER, CHAIN_KEY, ELSE)
    team.stamp()
    team.stamp()
    team.sign(CHAIN_KEY, NOTES)
    team.stamp()
    verdict = team.judge(LI, (OTHER, "Li Wei"))
    assert said(verdict, CHAIN_KEY) == ["enrolled", "before-revocation", "after-revocation"]


def test_what_a_revoked_person_enrols_later_is_refuted_and_names_nobody() -> None:
    team = Team()
    team.revoke(PERSON, PERSON)
    team.accept(CHAIN_KEY, team.enrol(PERSON, CHAIN_KEY))
    team.stamp()
    verdict = team.judge(LI)
    assert said(verdict, CHAIN_KEY)[0] == "enroller-revoked"
    assert said(verdict, PERSON) == ["named", "before-revocation", "after-revocation"]
    assert verdict.exit_code == 1
