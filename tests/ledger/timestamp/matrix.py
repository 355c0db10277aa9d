"""Tokens of which openssl and we say the same, and what we say: see test_openssl_matrix.py."""

from datetime import timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.ledger.timestamp.authority import BEGIN, STAMPING
from tests.ledger.timestamp.questions import (
    DAY,
    Case,
    aged,
    answered,
    below,
    chained,
    changed,
    cms,
    constraint,
    crl,
    extended,
    flipped,
    granted,
    middle,
    own,
    pinned_middle,
    reversed_attributes,
    self_signed,
    signer,
    substituted,
    timed,
    too_deep,
    ts,
    two_signers,
    under,
    under_leaf,
    unembedded,
)
from tests.ledger.timestamp.responder import OTHER_POLICY, make_root

SECOND = timedelta(seconds=1)
CODE = ExtendedKeyUsageOID.CODE_SIGNING
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
SUPERSEDED, CLOSED = x509.ReasonFlags.superseded, x509.ReasonFlags.cessation_of_operation
STOLEN = x509.ReasonFlags.key_compromise
NONCE = ("-sha256", "-cert")
PLAIN = (*NONCE, "-no_nonce")
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"0\0")
EXTENSION = {"extn_id": "1.2.3", "extn_value": b"0\0"}
RECEIPT = ("-receipt_request_all", "-receipt_request_to", "nobody")
BAD, NOT, OPEN = "refuted", "not counted", "revocation unchecked"

MADE_WELL = [
    Case("EC signer, certificate embedded", ts()),
    Case("RSA signer, certificate embedded", ts(signer="rsa")),
    Case("EC signer, certificate given beside the token", unembedded("ec", given=True)),
    Case("RSA signer, certificate given beside the token", unembedded("rsa", given=True)),
    *(Case(f"imprint {name}", ts(f"-{name}", "-cert")) for name in ("sha384", "sha512", "sm3")),
    *(Case(f"digest {name}, EC", ts(signer_digest=name)) for name in ("sha384", "sha512")),
    Case("digest sha512, RSA", ts(signer="rsa", signer_digest="sha512")),
    *(Case(f"ESSCertID {name}", ts(ess_cert_id_alg=name)) for name in ("sha1", "sha384", "sha512")),
    Case("ESSCertID of the whole chain", chained("middle", ess_cert_id_chain="yes")),
    Case("chain embedded", chained("middle")),
    Case("chain and root embedded", chained("middle", "root")),
    Case("certificates embedded in another order", chained("root", "middle")),
    Case("no accuracy", ts(accuracy="")),
    *(
        Case(f"accuracy {text}", ts(accuracy=text))
        for text in ("secs:1", "secs:0", "millisecs:1", "microsecs:999")
    ),
    Case("accuracy of 0 milliseconds", own(content={"accuracy": {"millis": 0}})),
    Case("genTime to the microsecond", ts(clock_precision_digits="6")),
    Case("genTime to the nanosecond", timed(b"00.123456789Z")),
    Case("genTime with a trailing zero", timed(b"00.50Z")),
    Case("ordering", ts(ordering="yes")),
    Case("tsa names the signer", ts(tsa_name="yes")),
    Case("bare token", ts(bare=True)),
    Case("nonce of the request", answered(*NONCE)),
    Case("nonce, but none asked for", answered(*NONCE, compared=PLAIN)),
    Case("negative nonce", own(content={"nonce": -5})),
    Case("policy of the request", answered(*PLAIN, "-tspolicy", OTHER_POLICY)),
    Case("status grantedWithMods", granted(1)),
    Case("made by openssl cms, EC", cms("-cades")),
    Case("made by openssl cms, RSA", cms("-cades", signer="rsa")),
    Case("made by openssl cms, indefinite lengths", cms("-cades", "-stream")),
    Case("signed receipt request among the attributes", cms("-cades", *RECEIPT)),
    Case("signature algorithm rsaEncryption", own("rsa", scheme="rsassa_pkcs1v15")),
    Case("signature algorithm sha256WithRSAEncryption", own("rsa", scheme="sha256_rsa")),
    Case("unknown TSTInfo extension", own(content={"extensions": [EXTENSION]})),
    Case("attributes out of order, signed so", lambda lab: reversed_attributes(lab, as_sent=True)),
    Case("no basic constraints", extended()),
    Case("unknown extension in the certificate", extended((UNKNOWN, False))),
    Case("key usage digitalSignature", signer(usage="sign")),
    Case("certificate begins at genTime", signer(begin=timedelta(0))),
    Case("certificate ends a second after genTime", signer(end=SECOND)),
    Case("certificate expired since genTime", aged(at_gen_time=True)),
    Case("intermediate given", middle()),
    Case("intermediate for time stamping", middle(purposes=STAMPING)),
    Case("intermediate for any purpose", middle(purposes=(ANY,))),
    Case(
        "intermediate pinned, -partial_chain", changed(pinned_middle, options=("-partial_chain",))
    ),
    Case("CRL of the day before, not on it", crl(-DAY)),
]

MADE_BADLY = [
    Case("no EKU", signer(purposes=None), BAD, "alone"),
    Case("EKU not critical", signer(critical=False), BAD, "not critical"),
    Case("EKU codeSigning", signer(purposes=(CODE,)), BAD, "alone"),
    Case("EKU timeStamping and codeSigning", signer(purposes=(*STAMPING, CODE)), BAD, "alone"),
    Case("EKU anyExtendedKeyUsage", signer(purposes=(ANY,)), BAD, "alone"),
    Case("CA as signer", signer(ca=True), BAD, "CA's"),
    Case("key usage with keyEncipherment", signer(usage="both"), BAD, "not signing alone"),
    Case("key usage keyEncipherment", signer(usage="encipher"), BAD, "not signing alone"),
    Case("no ESSCertID", cms(), BAD, "no signing-certificate"),
    Case("no signed attributes", cms("-noattr"), BAD, "no signed attributes"),
    Case("certificate substituted", substituted, BAD, "names another"),
    Case("two signers", two_signers, BAD, "2 signers"),
    Case("content type authData", cms("-cades", content_type="1.2.840.113549.1.9.16.1.2"), BAD),
    Case("signer's certificate nowhere", unembedded("ec", given=False), "unchecked"),
    Case("signature changed", flipped(lambda b: len(b) - 1), BAD, "signature does not match"),
    Case("genTime changed", flipped(lambda b: b.index(b"\x18\x0f") + 15), BAD, "message-digest"),
    Case("over other bytes", changed(ts(), message=b"other"), BAD, "imprint does not match"),
    Case("imprint cut short", own(content={"imprint": bytes(31)}), BAD, "31 bytes"),
    Case("another nonce", answered(*NONCE, compared=NONCE), BAD, "nonce"),
    Case("nonce missing", answered(*PLAIN, compared=NONCE), BAD, "nonce"),
    Case("another algorithm", answered(*PLAIN, compared=("-sha512", "-no_nonce")), BAD, "imprint"),
    Case("imprint algorithm refused", ts("-sha1", digests="sha256"), BAD, "bad_alg"),
    Case("policy refused", ts(*PLAIN, "-tspolicy", "1.2.3"), BAD, "unaccepted_policy"),
    *(Case(f"status {n} beside a token", granted(n), BAD, f"status {n}") for n in range(2, 6)),
    Case("TSTInfo version 2", own(content={"version": 2}), BAD, "version 2"),
    Case(
        "digest not announced",
        own(
            parts=lambda fields: {
                **fields,
                "digest_algorithms": [{"algorithm": "sha512"}],
            }
        ),
        BAD,
        "not announced",
    ),
    Case(
        "wrong message digest",
        own(
            attributes=lambda listed: [
                listed[0],
                {"type": "message_digest", "values": [bytes(32)]},
                listed[2],
            ]
        ),
        BAD,
        "message-digest",
    ),
    Case(
        "attributes out of order, signed in order",
        lambda lab: reversed_attributes(lab, as_sent=False),
        BAD,
        "signature",
    ),
    Case("expired at genTime", signer(begin=BEGIN, end=BEGIN + DAY), NOT, "expired"),
    Case("expired a second before genTime", signer(end=-SECOND), NOT, "expired"),
    Case("not yet valid at genTime", signer(begin=DAY), NOT, "not valid before"),
    Case(
        "another CA of the same name", under(lambda lab: make_root("Test Root"), pinned=False), NOT
    ),
    Case("another CA", under(lambda lab: make_root("Other Root"), pinned=False), NOT, "no path"),
    Case(
        "root expired at genTime",
        under(lambda lab: make_root("Old", end=lab.now - DAY), pinned=True),
        NOT,
        "expired",
    ),
    Case("signed by itself", lambda lab: self_signed(lab, pinned=False), NOT, "no path"),
    Case("intermediate not at hand", chained(), NOT, "no path"),
    Case("intermediate expired at genTime", middle(end=-DAY), NOT, "expired"),
    Case("intermediate without keyCertSign", middle(usage="sign"), NOT),
    Case("intermediate is an end entity", under_leaf, NOT),
    Case("path longer than its length constraint", too_deep, NOT),
    Case("name outside the CA's constraint", below(constraint()), NOT),
    Case("unknown critical extension in the certificate", extended((UNKNOWN, True)), NOT),
    Case("revoked before genTime", crl(-DAY, -2 * DAY, SUPERSEDED), NOT, "revoked"),
    Case("revoked, no reason given", crl(-DAY, -2 * DAY), NOT, "revoked"),
    Case(
        "revoked before genTime, CRL of the day after", crl(DAY, -DAY, SUPERSEDED), NOT, "revoked"
    ),
    Case("key stolen after genTime, CRL after that", crl(2 * DAY, DAY, STOLEN), NOT, "revoked"),
    Case("CRL out of date at genTime", crl(-9 * DAY, days=1), OPEN),
    Case("CRL of another CA of the same name", crl(-DAY, stranger=True), OPEN),
]
