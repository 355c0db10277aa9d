"""`tally timestamp`: third parties' tokens, every way to ask, every bad input."""

import hashlib
import json
import os
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import pem

from ledger.operator.devtsa import DevelopmentTsa
from ledger.proof.appraise import CHECKS
from ledger.timestamp.request import format_request
from tests.cli.conftest import Ran, Tally
from tests.ledger.timestamp.authority import Authority, make_content, make_token, respond

SHARED = Path(__file__).parents[3] / "shared" / "timestamps"
MESSAGE = b"message"
EXITS = {"valid": 0, "invalid": 1, "indeterminate": 3}

FIRST_FAULTS = {
    "sigstage-wrong-data.tsr": "imprint",
    "localtsa-other-ca.tsr": "chain",
    "TimeStampTokenWithInvalidSignature.p7s": "signature",
    "TimeStampTokenWithoutSigningCertificate.p7s": "signing-certificate",
    "TimeStampTokenWithInvalideContentType.p7s": "content-type",
    "TimeStampTokenWithValidAndInvalidSignerInfos.p7s": "signers",
    "TimeStampTokenWithoutSignedAttributes.p7s": "content-type",
    "TimeStampTokenWithSigningTimeBeforeExpected.p7s": "signature",
    "rejection.tsq": "status",
    "sigstore-rekor2-timestamp-payload-mismatch_fail.tsr": "imprint",
    "lab-bad_ca_leaf.tsr": "signer.end-entity",
    "lab-bad_eku_codesign.tsr": "signer.purpose",
    "lab-bad_eku_plus_codesign.tsr": "signer.purpose",
    "lab-bad_ess_substituted_cert.tsr": "signing-certificate",
    "lab-bad_expired_at_gentime.tsr": "chain",
    "lab-bad_imprint.tsr": "imprint",
    "lab-bad_noeku.tsr": "signer.purpose",
    "lab-bad_revoked.tsr": "revocation",
    "lab-bad_selfsigned_noeku.tsr": "signer.purpose",
    "lab-bad_status_rejection.tsr": "status",
}
"""What each bad token of the corpus fails first, in the order of the checks."""

NOT_COUNTED = {
    "lab-bad_sha1_imprint.tsr": ["weak"],
    "sigstore-rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail.tsr": ["no-path"],
}
"""What is too weak, or a stranger's: nothing in it is false, so it is not counted nor refuted."""


def entries() -> list[Any]:
    manifest = SHARED / "manifest.json"
    if not manifest.exists():
        reason = "the third-party tokens are not beside the project"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    listed = json.loads(manifest.read_bytes())
    tokens = [entry for entry in listed if entry["file"].startswith("tokens/")]
    return [pytest.param(entry, id=Path(entry["file"]).name) for entry in tokens]


def words_for(entry: dict[str, Any], folder: Path) -> list[object]:
    """The command line for an entry of the manifest; its data as a file."""
    words: list[object] = [SHARED / entry["file"]]
    for option, names in (
        ("--root", entry["trust_roots"]),
        ("--intermediate", entry["untrusted"]),
        ("--crl", entry["crls"]),
    ):
        for name in names:
            words += [option, SHARED / name]
    if "digest_hex" in entry:
        words += ["--digest", entry["digest_hex"]]
    elif "data_file" in entry:
        words += ["--data", SHARED / entry["data_file"]]
    elif "data_hex" in entry:
        stamped = folder / "stamped"
        stamped.write_bytes(bytes.fromhex(entry["data_hex"]))
        words += ["--data", stamped]
    return words


def has_data(entry: dict[str, Any]) -> bool:
    return bool({"digest_hex", "data_file", "data_hex"} & entry.keys())


@pytest.mark.parametrize("entry", entries())
def test_token_of_third_parties_gets_the_verdict_its_manifest_expects(
    bare: Tally, entry: dict[str, Any]
) -> None:
    words = words_for(entry, bare.work)
    left = NOT_COUNTED.get(Path(entry["file"]).name, [])
    if not has_data(entry):
        alone = bare("timestamp", "verify", *words, "--json")
        assert alone.code == (3 if entry["expected"] == "valid" or left else 1)
        assert check(alone.json, "imprint")["code"] == "no-data"
        shown = bare.json("timestamp", "show", words[0])
        words += ["--digest", shown["token"]["imprint"]["value"]]
    ran = bare("timestamp", "verify", *words, "--json")
    assert ran.code == (3 if left else EXITS[entry["expected"]]), entry["reason"]
    said = ran.json
    assert said["exit_code"] == ran.code
    assert tuple(one["name"] for one in said["checks"]) == CHECKS
    refuted = [one["name"] for one in said["checks"] if one["outcome"] == "refuted"]
    assert refuted[:1] == [FIRST_FAULTS.get(Path(entry["file"]).name)] * (ran.code == 1)
    if not refuted:
        codes = [one["code"] for one in said["checks"]]
        assert [code for code in codes if code in {"weak", "no-path"}] == left
    if ran.code == 0:
        verifiable = entry["openssl_ts_verifiable"]
        assert said["openssl"]["verifiable"] == verifiable == bool(said["openssl"]["commands"])
        assert {one["name"] for one in said["checks"] if one["outcome"] == "unchecked"} <= {
            *("status", "nonce", "request", "revocation", "trust-file")
        }


@pytest.mark.parametrize("entry", entries())
@pytest.mark.parametrize("language", ["en", "zh"])
def test_token_of_third_parties_is_told_and_written_as_a_page(
    bare: Tally, entry: dict[str, Any], language: str
) -> None:
    words = [*words_for(entry, bare.work), "--lang", language, "--html", "page.html"]
    ran = bare("timestamp", "verify", *words)
    headline = ran.out.rstrip("\n").split("\n")[-1]
    assert headline.startswith(
        {
            "en": ("PROVEN", "REFUTED", "", "NOT PROVEN"),
            "zh": ("核验一致", "核验不一致", "", "未核验完成"),
        }[language][ran.code]
    )
    assert "Content-Security-Policy" in (bare.work / "page.html").read_text("utf-8")


@pytest.mark.parametrize("entry", entries())
def test_token_of_third_parties_is_shown_whatever_its_faults(
    bare: Tally, entry: dict[str, Any]
) -> None:
    said = bare.json("timestamp", "show", SHARED / entry["file"])
    assert said["checked"] is False
    assert said["token"]["present"] == (Path(entry["file"]).name != "rejection.tsq")
    assert bare("timestamp", "show", SHARED / entry["file"], "--lang", "zh").code == 0


@pytest.mark.parametrize("entry", entries())
def test_the_openssl_lines_do_what_they_say(bare: Tally, entry: dict[str, Any]) -> None:
    if entry["expected"] != "valid" or not has_data(entry) or not entry["openssl_ts_verifiable"]:
        return
    words = [copy_of(word, bare.work) for word in words_for(entry, bare.work)]
    said = bare.json("timestamp", "verify", *words)
    for line in said["openssl"]["commands"]:
        done = subprocess.run(
            ["sh", "-c", line], cwd=bare.work, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (line, done.stderr)
    assert "Verification: OK" in done.stdout
    assert shlex.split(line)[:3] == ["openssl", "ts", "-verify"]


def copy_of(word: object, folder: Path) -> object:
    """A file of the corpus copied to folder: the openssl lines write beside what they read."""
    if not isinstance(word, Path) or word.parent == folder:
        return word
    copied = folder / word.name
    copied.write_bytes(word.read_bytes())
    return copied


class Case:
    """A token of our own authority, with every file that belongs to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = Authority()
        self.middle = self.root.child("Middle")
        self.signer = self.middle.signer()
        self.write("message", MESSAGE)
        self.write("root.der", self.root.der)
        self.write("middle.der", self.middle.der)
        both = (self.root.der, self.middle.der)
        pems = b"".join(pem.armor("CERTIFICATE", der) for der in both)
        self.write("both.pem", b"two of them\n" + pems)
        self.write("token.tsr", respond(make_token(self.signer)))
        self.write("bare.tst", make_token(self.signer))
        imprint = hashlib.sha256(MESSAGE).digest()
        self.write("request.tsq", format_request(imprint, 99))
        self.write("other.tsq", format_request(imprint, 98))
        self.write("signer.crl", self.middle.crl())
        self.write("middle.crl", self.root.crl())
        crls = b"".join(pem.armor("X509 CRL", one.crl()) for one in (self.root, self.middle))
        self.write("crls.pem", crls)
        self.write("signer.ocsp", self.middle.ocsp(self.signer.certificate))

    def write(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)


ROOT = ["--root", "root.der", "--intermediate", "middle.der"]


@pytest.fixture
def case(bare: Tally) -> Case:
    return Case(bare.work)


def verify(tally: Tally, *words: str, data: str = "message") -> Ran:
    return tally("timestamp", "verify", *words, "--data", data, "--json")


def check(said: Any, name: str) -> Any:
    return next(one for one in said["checks"] if one["name"] == name)


def outcome(said: Any, name: str) -> tuple[str, str]:
    one = check(said, name)
    return one["outcome"], one["code"]


def test_good_token_is_proven_with_its_time_and_everything_it_says(bare: Tally, case: Case) -> None:
    ran = verify(bare, "token.tsr", *ROOT)
    said = ran.json
    assert (ran.code, said["outcome"]) == (0, "proven")
    assert said["not_after"] == "2026-03-01T12:00:01.500000Z"
    assert said["displayed"]["not_after"] == "2026-03-01 12:00:02 UTC"
    assert said["headline"]["en"].startswith("PROVEN: these bytes existed no later than 2026-03-01")
    token = said["token"]
    assert (token["serial"], token["nonce"]) == ("4711", "63")
    assert token["imprint"] == {"algorithm": "sha256", "value": sha256(MESSAGE)}
    assert token["accuracy_seconds"] == 1.5
    roles = [(one["role"], one["subject"], one["issuer"]) for one in said["chain"]]
    assert roles == [
        ("signer", "CN=Test TSA", "CN=Middle"),
        ("intermediate", "CN=Middle", "CN=Test Root"),
        ("anchor", "CN=Test Root", "CN=Test Root"),
    ]
    assert said["chain"][2]["sha256"] == sha256(case.root.der)
    assert said["chain"][0]["serial"] == str(case.signer.serial)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_keys_of_the_json_are_the_documented_ones(bare: Tally, case: Case) -> None:
    said = verify(bare, "token.tsr", *ROOT).json
    assert " ".join(said) == (
        "outcome exit_code headline development tsa not_after not_before displayed unchecked checks"
        " token file against accuracy_counted_seconds chain openssl trust_sha256 checked_at tool"
    )
    assert " ".join(said["checks"][0]) == (
        "name outcome code required values label sentence proves"
    )
    assert " ".join(said["token"]) == (
        "form status failures present readable gen_time accuracy_seconds serial serial_hex policy"
        " imprint nonce signature_algorithm digest_algorithm signing_certificate_versions"
        " tsa_name_matches development openssl_verifiable sha256 certificates embedded_crls"
        " embedded_ocsps"
    )
    assert " ".join(said["chain"][0]) == (
        "role sha256 subject issuer serial serial_hex not_before not_after key signature_algorithm"
        " ca"
    )
    shown = bare.json("timestamp", "show", "token.tsr")
    assert shown["token"] == said["token"]
    assert list(shown) == ["checked", "token", "file", "faults"]


def test_one_pem_file_may_hold_root_and_intermediate(bare: Tally, case: Case) -> None:
    assert verify(bare, "token.tsr", "--root", "both.pem").code == 0


def test_bare_token_and_digests_in_both_spellings_are_taken(bare: Tally, case: Case) -> None:
    for digest in (sha256(MESSAGE), f"sha256:{sha256(MESSAGE).upper()}"):
        ran = bare("timestamp", "verify", "bare.tst", *ROOT, "--digest", digest, "--json")
        assert ran.code == 0
        assert outcome(ran.json, "status") == ("unchecked", "bare")
        assert " -token_in -digest " in ran.json["openssl"]["commands"][-1]


def test_without_data_a_token_cannot_be_judged_by_itself(bare: Tally, case: Case) -> None:
    ran = bare("timestamp", "verify", "token.tsr", *ROOT)
    assert ran.code == 3
    assert "cannot be judged by itself: give --data or --digest" in ran.out.split("\n")[-2]
    assert "hint: --data FILE or --digest HEX" in ran.err


def test_openssl_lines_that_cannot_be_given_are_not_announced(bare: Tally, case: Case) -> None:
    more = "openssl can check this token; for the lines give --data or --digest, and the root"
    assert more in bare("timestamp", "verify", "token.tsr", *ROOT, "--html", "page.html").out
    assert more in (bare.work / "page.html").read_text("utf-8")
    trust_file(case, case.root.der)
    # The root is there, but in no file by itself that openssl could be told to believe.
    words = ["timestamp", "verify", "token.tsr", "--data", "message", "--trust", "trust.toml"]
    ran = bare(*words, "--intermediate", "both.pem")
    assert (ran.code, more in ran.out, "ROOT-" in ran.out) == (0, True, False)
    ran = bare(*words, "--intermediate", "root.der", "--intermediate", "middle.der")
    assert (ran.code, more in ran.out, "-CAfile root.der.pem" in ran.out) == (0, False, True)


def test_without_root_nothing_is_trusted(bare: Tally, case: Case) -> None:
    ran = verify(bare, "token.tsr")
    assert ran.code == 3
    assert outcome(ran.json, "chain") == ("unchecked", "no-anchor")
    assert outcome(ran.json, "signature") == ("proven", "proven")
    assert "hint: --root CERT or --trust FILE" in ran.err


def test_other_data_is_refuted_and_another_root_does_not_count_it(bare: Tally, case: Case) -> None:
    case.write("another", b"another")
    case.write("stranger.der", Authority("Stranger").der)
    assert verify(bare, "token.tsr", *ROOT, data="another").code == 1
    ran = verify(bare, "token.tsr", "--root", "stranger.der", "--intermediate", "middle.der")
    assert (ran.code, outcome(ran.json, "chain")) == (3, ("unchecked", "no-path"))


def test_a_genuine_token_is_not_refuted_for_a_certificate_that_is_not_at_hand(
    bare: Tally, case: Case
) -> None:
    case.write(
        "token.tsr", respond(make_token(case.signer, certificates=(case.signer.certificate,)))
    )
    ran = verify(bare, "token.tsr", "--root", "root.der")
    assert (ran.code, outcome(ran.json, "chain")) == (3, ("unchecked", "no-path"))
    assert "hint: --intermediate CERT" in ran.err
    trust_file(case, case.root.der)
    ran = verify(bare, "token.tsr", "--trust", "trust.toml", "--intermediate", "middle.der")
    assert (ran.code, outcome(ran.json, "chain")) == (3, ("unchecked", "no-path"))
    assert "hint: --intermediate CERT" in ran.err
    assert verify(bare, "token.tsr", *TRUST).code == 0


def test_signer_not_embedded_is_taken_from_the_intermediates(bare: Tally, case: Case) -> None:
    case.write("token.tsr", respond(make_token(case.signer, certificates=())))
    case.write("signer.der", case.signer.certificate)
    ran = verify(bare, "token.tsr", *ROOT)
    assert (ran.code, outcome(ran.json, "signature")) == (3, ("unchecked", "no-certificate"))
    assert verify(bare, "token.tsr", *ROOT, "--intermediate", "signer.der").code == 0


def test_request_is_compared_when_it_is_at_hand(bare: Tally, case: Case) -> None:
    said = verify(bare, "token.tsr", *ROOT, "--request", "request.tsq").json
    assert outcome(said, "nonce") == outcome(said, "request") == ("proven", "proven")
    ran = verify(bare, "token.tsr", *ROOT, "--request", "other.tsq")
    assert (ran.code, outcome(ran.json, "nonce")[0]) == (1, "refuted")
    case.write("other.tsq", format_request(bytes(32), 99))
    assert outcome(verify(bare, "token.tsr", "--request", "other.tsq").json, "request") == (
        "refuted",
        "refuted",
    )


@pytest.mark.parametrize(
    ("material", "code", "revocation"),
    [
        ([], 3, ("unchecked", "no-material")),
        (["--crl", "signer.crl"], 3, ("unchecked", "partly")),
        (["--crl", "signer.crl", "--crl", "middle.crl"], 0, ("proven", "proven")),
        (["--crl", "crls.pem"], 0, ("proven", "proven")),
        (["--crl", "middle.crl", "--ocsp", "signer.ocsp"], 0, ("proven", "proven")),
    ],
)
def test_revocation_is_required_only_when_asked(
    bare: Tally, case: Case, material: list[str], code: int, revocation: tuple[str, str]
) -> None:
    ran = verify(bare, "token.tsr", *ROOT, *material)
    assert (ran.code, outcome(ran.json, "revocation")) == (0, revocation)
    assert verify(bare, "token.tsr", *ROOT, *material, "--require-revocation").code == code


def test_revoked_signer_is_refuted(bare: Tally, case: Case) -> None:
    before = datetime(2026, 2, 1, tzinfo=UTC)
    case.write("signer.crl", case.middle.crl({case.signer.serial: (before, None)}))
    ran = verify(bare, "token.tsr", *ROOT, "--crl", "signer.crl")
    assert (ran.code, outcome(ran.json, "revocation")[0]) == (1, "refuted")
    assert "revoked at 2026-02-01" in check(ran.json, "revocation")["values"]["reason"]


def test_sm2_is_unchecked(bare: Tally, case: Case) -> None:
    sm2 = "1.2.156.10197.1.501"
    case.write("token.tsr", make_token(case.signer, scheme=sm2, digest="sha256"))
    ran = verify(bare, "token.tsr", *ROOT)
    # A digest that is not the scheme's is a fault of form; with SM3 the scheme is left unchecked.
    assert ran.code == 1
    imprint = hashlib.new("sm3", MESSAGE).digest()
    content = make_content(algorithm="1.2.156.10197.1.401", imprint=imprint)
    case.write("token.tsr", sm3_token(case, content))
    ran = verify(bare, "token.tsr", *ROOT)
    assert ran.code == 3
    assert outcome(ran.json, "signature") == outcome(ran.json, "strength") == ("unchecked", "sm2")
    assert outcome(ran.json, "imprint") == ("proven", "proven")
    assert ran.json["openssl"] == {"verifiable": False, "commands": []}
    case.write("another", b"another")
    assert verify(bare, "token.tsr", *ROOT, data="another").code == 1


def sm3_token(case: Case, content: bytes) -> bytes:
    """A token that says it is signed with SM2 over SM3."""
    sm3 = "1.2.156.10197.1.401"

    def attributes(listed: list[Any]) -> list[Any]:
        digest = hashlib.new("sm3", content).digest()
        return [listed[0], {"type": "message_digest", "values": [digest]}, listed[2]]

    def parts(fields: dict[str, Any]) -> dict[str, Any]:
        fields["digest_algorithms"] = [{"algorithm": sm3}]
        fields["signer_infos"][0]["digest_algorithm"] = {"algorithm": sm3}
        fields["signer_infos"][0]["signature_algorithm"] = {"algorithm": "1.2.156.10197.1.501"}
        return fields

    return make_token(case.signer, content, attributes=attributes, parts=parts)


def trust_file(case: Case, anchor: bytes, *lines: str) -> None:
    text = f'[[tsa]]\nname = "one"\nanchor = "{sha256(anchor)}"\n' + "\n".join(lines)
    case.write("trust.toml", text.encode())


TRUST = ["--trust", "trust.toml", "--intermediate", "both.pem"]


def test_trust_file_judges_instead_of_a_root(bare: Tally, case: Case) -> None:
    trust_file(case, case.root.der)
    ran = verify(bare, "token.tsr", *TRUST)
    assert (ran.code, ran.json["tsa"]) == (0, "one")
    assert outcome(ran.json, "trust-file") == ("proven", "proven")
    assert ran.json["trust_sha256"] == sha256((bare.work / "trust.toml").read_bytes())
    trust_file(case, Authority("Stranger").der)
    assert verify(bare, "token.tsr", *TRUST).code == 3


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("valid_to = 2026-02-28T00:00:00Z", "time after the trusted window"),
        ("valid_from = 2026-03-02T00:00:00Z", "time before the trusted window"),
        ('policy_oid = "1.2.3"', "policy 1.3.6.1.4.1.99999.1, want 1.2.3"),
        (f'signer_spki = "{"0" * 64}"', "signer key is not the pinned one"),
        ('[[weak]]\nalgorithm = "ecdsa"\nfrom = 2026-01-01T00:00:00Z', "weak: ecdsa"),
    ],
)
def test_limits_of_the_trust_file_count(bare: Tally, case: Case, line: str, reason: str) -> None:
    trust_file(case, case.root.der, line)
    ran = verify(bare, "token.tsr", *TRUST)
    weak = "weak" in reason
    wanted = (3, "unchecked") if weak else (1, "refuted")
    assert (ran.code, outcome(ran.json, "trust-file")[0]) == wanted
    assert reason.removeprefix("weak: ") in check(ran.json, "trust-file")["values"]["reason"]
    assert outcome(ran.json, "chain") == ("proven", "proven")


def test_accuracy_and_required_revocation_of_the_trust_file_count(bare: Tally, case: Case) -> None:
    case.write("token.tsr", respond(make_token(case.signer, make_content(accuracy=None))))
    trust_file(case, case.root.der, "accuracy_default = 60")
    said = verify(bare, "token.tsr", *TRUST).json
    assert said["not_after"] == "2026-03-01T12:01:00Z"
    assert (said["token"]["accuracy_seconds"], said["accuracy_counted_seconds"]) == (None, 60.0)
    text = (bare.work / "trust.toml").read_bytes()
    case.write("trust.toml", b'require = ["revocation"]\n' + text)
    assert verify(bare, "token.tsr", *TRUST).code == 3


def test_development_tsa_says_so_everywhere(bare: Tally, case: Case) -> None:
    tsa = DevelopmentTsa.create("one", lambda: datetime(2026, 1, 2, tzinfo=UTC))
    imprint = hashlib.sha256(MESSAGE).digest()
    case.write("token.tsr", tsa.answer(format_request(imprint, 99)))
    case.write("root.der", tsa.root)
    options = ["--root", "root.der", "--data", "message"]
    ran = bare("timestamp", "verify", "token.tsr", *options, "--html", "page.html")
    assert ran.code == 0
    assert ran.out.rstrip().endswith("[development TSA: proves nothing]")
    assert "development TSA: proves nothing" in ran.err
    assert "Development TSA: proves nothing." in (bare.work / "page.html").read_text("utf-8")
    assert bare.json("timestamp", "verify", "token.tsr", *options)["development"] is True
    assert "Development TSA: proves nothing." in bare("timestamp", "show", "token.tsr").out
    trust_file(case, tsa.root)
    again = verify(bare, "token.tsr", "--trust", "trust.toml", "--intermediate", "root.der")
    assert again.code == 1


BAD: list[tuple[list[str], int, str, str]] = [
    ([], 2, "E001", "no command was given"),
    (["nosuch"], 2, "E001", "no such command"),
    (["verify"], 2, "E001", "missing argument"),
    (["show"], 2, "E001", "missing argument"),
    (["verify", "none", "--data", "message"], 2, "E003", "no such file: none"),
    (["show", "none"], 2, "E003", "no such file: none"),
    (["show", "."], 2, "E003", ". is a folder"),
    (["show", "x" * 300], 2, "E003", "no such file"),
    (["show", "pipe"], 2, "E002", "pipe is not a plain file"),
    (["show", "message"], 2, "E002", "message: "),
    (["show", "empty"], 2, "E002", "has 0 bytes"),
    (["show", "big"], 2, "E002", "more than 262144 bytes"),
    (["show", "root.der"], 2, "E002", "root.der: timestamp response"),
    (["show", "request.tsq"], 2, "E002", "neither a timestamp response nor"),
    (["show", "both.pem"], 2, "E002", "both.pem: "),
    (["show", "cut.tsr"], 2, "E002", "cut short"),
    (["verify", "token.tsr", "--data", "none"], 2, "E003", "no such file: none"),
    (["verify", "token.tsr", "--data", "."], 2, "E003", "is a folder"),
    (["verify", "token.tsr", "--data", "pipe"], 2, "E002", "not a plain file"),
    (["verify", "token.tsr", "--digest", "xyz"], 2, "E002", "want hex digits"),
    (["verify", "token.tsr", "--digest="], 2, "E002", "want hex digits"),
    (["verify", "token.tsr", "--digest", "00" * 20], 2, "E002", "20 bytes, want 32 (sha256)"),
    (["verify", "token.tsr", "--digest", "sm3:" + "00" * 32], 2, "E002", "the digest is sm3"),
    (["verify", "token.tsr", "--digest", "00", "--data", "x"], 2, "E001", "do not go together"),
    (["verify", "token.tsr", "--root", "x", "--trust", "y"], 2, "E001", "do not go together"),
    (["verify", "token.tsr", "--root", "none"], 2, "E003", "no such file: none"),
    (["verify", "token.tsr", "--root", "message"], 2, "E002", "message: "),
    (["verify", "token.tsr", "--root", "crls.pem"], 2, "E002", "holds X509 CRL, want CERTIFICATE"),
    (["verify", "token.tsr", "--root", "cut.pem"], 2, "E002", "a PEM block is cut short"),
    (["verify", "token.tsr", "--root", "odd.pem"], 2, "E002", "a PEM block is not base64"),
    (["verify", "token.tsr", "--intermediate", "empty"], 2, "E002", "empty: neither PEM nor DER"),
    (["verify", "token.tsr", "--crl", "root.der"], 2, "E002", "root.der: CRL"),
    (["verify", "token.tsr", "--ocsp", "signer.crl"], 2, "E002", "signer.crl: OCSP response"),
    (["verify", "token.tsr", "--request", "token.tsr"], 2, "E002", "token.tsr: timestamp request"),
    (["verify", "token.tsr", "--trust", "message"], 2, "E002", "message: trust file"),
    (["verify", "token.tsr", "--trust", "none"], 2, "E003", "no such file: none"),
    (["verify", "token.tsr", "--trust", "pipe"], 2, "E002", "not a plain file"),
    (["verify", "token.tsr", "--html", "message"], 2, "E001", "message exists already"),
    (["verify", "token.tsr", "--lang", "fr"], 2, "E001", "'fr' is not one of"),
]


@pytest.mark.parametrize(("words", "code", "name", "text"), BAD)
def test_bad_input_is_refused_with_its_code_and_file(
    bare: Tally, case: Case, words: list[str], code: int, name: str, text: str
) -> None:
    spoil(case)
    ran = bare("timestamp", *words)
    assert ran.code == code, ran.err
    assert f"[TALLY-{name}]" in ran.err
    assert text in ran.err
    assert ran.out == ""
    assert bare("timestamp", *words, "--json").json["error"]["code"] == f"TALLY-{name}"


def spoil(case: Case) -> None:
    token = (case.folder / "token.tsr").read_bytes()
    both = (case.folder / "both.pem").read_bytes()
    case.write("empty", b"")
    case.write("big", bytes(262_145))
    case.write("cut.tsr", token[:-1])
    case.write("cut.pem", both[:-30])
    case.write("odd.pem", both.replace(b"MII", b"=II", 1))
    os.mkfifo(case.folder / "pipe")


def test_unreadable_trust_in_the_middle_of_a_token_is_refuted_not_bad_input(
    bare: Tally, case: Case
) -> None:
    token = bytearray((case.folder / "token.tsr").read_bytes())
    start = token.index(b"20260301120000Z")
    token[start] = ord("x")
    case.write("token.tsr", bytes(token))
    ran = verify(bare, "token.tsr", *ROOT)
    assert (ran.code, outcome(ran.json, "format")) == (1, ("refuted", "refuted"))
    assert ran.json["token"]["readable"] is False


def test_page_is_not_overwritten_without_force(bare: Tally, case: Case) -> None:
    case.write("page.html", b"mine")
    words = ["timestamp", "verify", "token.tsr", *ROOT, "--data", "message", "--html", "page.html"]
    assert bare(*words).code == 2
    assert (bare.work / "page.html").read_bytes() == b"mine"
    assert bare(*words, "--force").code == 0
