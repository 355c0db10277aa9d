"""Tokens of which openssl and we say different things, and why: each a row of the document.

docs/timestamp-differences.md shows the names and reasons as they stand here.
"""

from datetime import timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.ledger.timestamp.authority import STAMPING
from tests.ledger.timestamp.questions import (
    DAY,
    Case,
    aged,
    answered,
    below,
    cms,
    crl,
    extended,
    middle,
    own,
    patched,
    pinned_middle,
    pinned_signer,
    same_name,
    self_signed,
    sha1_certificate,
    signer,
    somebody,
    timed,
    trailing,
    ts,
)
from tests.ledger.timestamp.responder import OTHER_POLICY

CODE = ExtendedKeyUsageOID.CODE_SIGNING
SUPERSEDED, CLOSED = x509.ReasonFlags.superseded, x509.ReasonFlags.cessation_of_operation
PLAIN = ("-sha256", "-cert", "-no_nonce")
PSS = ("-cades", "-keyopt", "rsa_padding_mode:pss")
PSS_32 = (*PSS, "-keyopt", "rsa_pss_saltlen:32")
KEY_ID = (x509.SubjectKeyIdentifier(b"12345678"), False)
EXTENSION = {"extn_id": "1.2.3", "extn_value": b"0\0"}
ECDSA_SHA256 = bytes.fromhex("06082a8648ce3d040302")
BAD, NOT, OPEN = "refuted", "not counted", "unchecked"

UNKNOWN_DIGEST = (
    "not among our algorithms, so nothing is shown false; openssl computes every digest it has"
)
SHORT_CURVE = "below our floor of 256 bits; at 112 bits of strength it passes `-auth_level 2`"
NO_LEVEL = "openssl asks for no strength unless given `-auth_level 2`; with it, it refuses too"
NO_LEVEL_DIGEST = "below our floor; `-auth_level 2` does not look at a token's own digests"
UNSIGNED = (
    "nothing signs this field and openssl does not look at it; we take the standard's value only"
)
SECONDS = "RFC 3161 §2.4.2: YYYYMMDDhhmmss[.f]Z; openssl prints the time, it does not read it"
RANGE = "RFC 3161 §2.4.2: 1 to 999 (we allow 0); openssl does not look"
BOUND = "more than a token needs; a bound keeps what we hold small"
UNREADABLE = "openssl ts reads tokens with its PKCS#7 code, which has no such"
AFTER = "openssl refuses a CRL issued after `-attime`; we ask any CRL about genTime"

WE_REFUSE = [
    (Case("imprint md5", ts("-md5", "-cert"), NOT, "weak: md5"), NO_LEVEL_DIGEST),
    (Case("imprint sha1", ts("-sha1", "-cert"), NOT, "weak"), NO_LEVEL_DIGEST),
    (Case("imprint sha224", ts("-sha224", "-cert"), OPEN, "imprint algorithm"), UNKNOWN_DIGEST),
    (Case("imprint sha3-256", ts("-sha3-256", "-cert"), OPEN, "imprint algorithm"), UNKNOWN_DIGEST),
    (
        Case("digest md5, RSA", ts(signer="rsa", signer_digest="md5"), NOT, "weak: md5"),
        NO_LEVEL_DIGEST,
    ),
    (
        Case("digest sha1, RSA", ts(signer="rsa", signer_digest="sha1"), NOT, "weak"),
        NO_LEVEL_DIGEST,
    ),
    (Case("digest sha1, EC", ts(signer_digest="sha1"), NOT, "weak"), NO_LEVEL_DIGEST),
    (Case("digest sha224, EC", ts(signer_digest="sha224"), OPEN, "digest"), UNKNOWN_DIGEST),
    (
        Case("digest sha3-256, RSA", ts(signer="rsa", signer_digest="sha3-256"), OPEN, "digest"),
        UNKNOWN_DIGEST,
    ),
    (Case("RSA key of 1024 bits", ts(signer="rsa_1024"), NOT, "weak"), NO_LEVEL),
    (
        Case("EC key of 224 bits", ts(signer="p224"), NOT, "weak"),
        SHORT_CURVE,
    ),
    (Case("CA with an RSA key of 1024 bits", below(key="rsa_1024"), NOT, "weak: rsa"), NO_LEVEL),
    (Case("CA with an EC key of 224 bits", below(key="p224"), NOT, "weak: ell"), SHORT_CURVE),
    (Case("certificate signed over SHA-1", sha1_certificate, NOT, "weak: sha1"), NO_LEVEL),
    (
        Case("EKU timeStamping twice", signer(purposes=STAMPING * 2), BAD, "alone"),
        "RFC 3161 §2.3: one purpose; openssl keeps purposes as flags, so two of one kind are one",
    ),
    (
        Case("intermediate for codeSigning only", middle(purposes=(CODE,)), NOT, "intermediate"),
        "for a CA openssl asks only whether it is one, not what it is for",
    ),
    (
        Case(
            "explicit policy required, none there",
            below((x509.PolicyConstraints(0, None), True)),
            NOT,
            "policies",
        ),
        "RFC 5280 §6.1; openssl processes policies only with `-policy_check`",
    ),
    (
        Case("signer pinned, signed by itself", lambda lab: self_signed(lab, pinned=True), NOT),
        "an anchor vouches for others: with us a signer is never its own anchor",
    ),
    (
        Case("signer pinned, -partial_chain", pinned_signer, NOT),
        "an anchor vouches for others: with us a signer is never its own anchor",
    ),
    (
        Case("a byte after the response", trailing(b"\0"), BAD, "followed by 1"),
        "openssl stops reading where the response ends",
    ),
    (
        Case(
            "SignedData version 1",
            patched(b"\x02\x01\x03\x31", b"\x02\x01\x01\x31"),
            BAD,
            "version 1",
        ),
        UNSIGNED,
    ),
    (
        Case(
            "SignerInfo version 3 with issuer and serial",
            patched(b"\x02\x01\x01\x30", b"\x02\x01\x03\x30", last=True),
            BAD,
            "version 3",
        ),
        UNSIGNED,
    ),
    (
        Case(
            "signature algorithm of another digest",
            patched(ECDSA_SHA256, ECDSA_SHA256[:-1] + b"\x03", last=True),
            BAD,
            "sha384",
        ),
        UNSIGNED,
    ),
    (
        Case(
            "signature algorithm nobody knows",
            patched(ECDSA_SHA256, ECDSA_SHA256[:-1] + b"\x7f", last=True),
            OPEN,
            "signature algorithm",
        ),
        UNSIGNED,
    ),
    (
        Case(
            "content-type attribute missing",
            own(attributes=lambda listed: listed[1:]),
            BAD,
            "content-type",
        ),
        "RFC 5652 §11.1 demands it; openssl does not look for it",
    ),
    (
        Case(
            "content-type attribute names other content",
            own(
                attributes=lambda listed: [
                    {"type": "content_type", "values": ["data"]},
                    *listed[1:],
                ]
            ),
            BAD,
            "content-type",
        ),
        "RFC 5652 §11.1: it names the content's type; openssl does not compare it",
    ),
    (
        Case(
            "message-digest attribute twice",
            own(attributes=lambda listed: [*listed, listed[1]]),
            BAD,
            "twice",
        ),
        "RFC 5652 §11.2: not more than once; openssl does not count",
    ),
    (
        Case(
            "unknown critical TSTInfo extension",
            own(content={"extensions": [{**EXTENSION, "critical": True}]}),
            BAD,
            "critical",
        ),
        "who does not understand it has to refuse (RFC 5280 §4.2); openssl does not look",
    ),
    (
        Case(
            "accuracy of 1000 milliseconds",
            own(content={"accuracy": {"millis": 1000}}),
            BAD,
            "accuracy",
        ),
        RANGE,
    ),
    (
        Case(
            "accuracy of 1000 microseconds",
            own(content={"accuracy": {"micros": 1000}}),
            BAD,
            "accuracy",
        ),
        RANGE,
    ),
    (
        Case("accuracy of -1 seconds", own(content={"accuracy": {"seconds": -1}}), BAD, "accuracy"),
        "a negative accuracy means nothing; openssl does not look",
    ),
    (
        Case(
            "accuracy of 30000 years",
            own(content={"accuracy": {"seconds": 10**12}}),
            BAD,
            "accuracy",
        ),
        BOUND,
    ),
    (Case("nonce of 66 bytes", own(content={"nonce": 1 << 520}), BAD, "nonce"), BOUND),
    (
        Case("serial number of 33 bytes", own(content={"serial_number": 1 << 260}), BAD, "serial"),
        BOUND,
    ),
    (Case("genTime without seconds", timed(b"Z"), BAD, "genTime"), SECONDS),
    (Case("genTime without Z", timed(b"00"), BAD, "genTime"), SECONDS),
    (Case("genTime with an offset", timed(b"00+0000"), BAD, "genTime"), SECONDS),
    (Case("genTime with a comma", timed(b"00,5Z"), BAD, "genTime"), SECONDS),
    (Case("genTime to a tenth of a nanosecond", timed(b"00.1234567891Z"), BAD, "genTime"), SECONDS),
    (Case("genTime in second 60", timed(b"60Z"), BAD), SECONDS),
]

WE_ACCEPT = [
    (Case("RSA-PSS", cms(*PSS_32, signer="rsa")), f"{UNREADABLE} scheme"),
    (Case("RSA-PSS, the longest salt", cms(*PSS, signer="rsa")), f"{UNREADABLE} scheme"),
    (Case("Ed25519", own("ed25519", scheme="ed25519", digest="sha512")), f"{UNREADABLE} scheme"),
    (
        Case("signer named by key identifier", extended(KEY_ID, options=("-keyid",))),
        f"{UNREADABLE} form (RFC 5652 §5.3, version 3)",
    ),
    (
        Case("tsa names somebody else", own(content={"tsa": somebody()})),
        "RFC 3161 §2.4.2 wants one of the signer's names; nothing is read from it here",
    ),
    (
        Case(
            "another policy than asked for",
            answered(*PLAIN, compared=(*PLAIN, "-tspolicy", OTHER_POLICY)),
        ),
        "compared with the trust file's `policy_oid`, in the verdict, not with a request",
    ),
    (
        Case("certificate ends at genTime", signer(end=timedelta(0))),
        "RFC 5280 §4.1.2.5: through notAfter, inclusive; openssl stops a second earlier",
    ),
    (
        Case("certificate expired since genTime, no -attime", aged(at_gen_time=False)),
        "openssl then judges at the present time: always give `-attime` the genTime",
    ),
    (
        Case("two pinned roots of one name", same_name),
        "openssl tries the first of that name only (these have no key identifiers)",
    ),
    (
        Case("intermediate pinned", pinned_middle),
        "any pinned certificate is an anchor; openssl needs `-partial_chain` for that",
    ),
    (Case("CRL of the day after, not on it", crl(DAY)), AFTER),
    (Case("operation ended after genTime, CRL after that", crl(2 * DAY, DAY, CLOSED)), AFTER),
]

ABOUT_THE_QUESTION = frozenset(case.name for case, _ in WE_ACCEPT[4:]) - {"tsa names somebody else"}
"""Accepted by us alone for what stands beside the token, not for what the token is."""

DIFFERENCES = {case.name: reason for case, reason in WE_REFUSE + WE_ACCEPT}
