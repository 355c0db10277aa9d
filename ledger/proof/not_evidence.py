"""What is not evidence: where a change leaves the verdict proven, and why it may.

Keys are names of fields (``ledger.proof.fields``), or of one mutation (``<field>/<operation>``, or
a rearrangement); values name the reason, whose words are in ``ledger/report/attack_words.json`` and
in docs/not-evidence.md. A reason excuses no verdict that says more than the one before: that a
change may only take away is asked apart (``ledger.proof.attack``).
"""

from collections.abc import Mapping

from ledger.proof.mutations import Mutation

_TOKEN: Mapping[str, str] = {
    "signature-algorithm": "unknown-algorithm",
    "frame": "lost-signer",
    "signer-id": "signer-name",
    "certificate": "spare-certificate",
    "revocation": "spare-revocation",
    "unsigned": "unsigned",
}

NOT_EVIDENCE: Mapping[str, str] = {
    "readme.content": "readme",
    "left-out/readme": "readme",
    "proof.extra": "extra",
    "stamp.status": "status",
    **{f"{kind}.{part}": why for kind in ("stamp", "not-before") for part, why in _TOKEN.items()},
    "certificate.content": "spare-certificate",
    "crl.list": "spare-revocation",
    "crl.algorithm": "spare-revocation",
    "crl.signature": "spare-revocation",
    "crl.frame": "spare-revocation",
    "ocsp.status": "spare-revocation",
    "ocsp.answer": "spare-revocation",
    "ocsp.frame": "spare-revocation",
    "cosignatures.signer": "unknown-witness",
    "cosignatures.key-id": "unknown-witness",
    "cosignatures.ed25519": "unknown-witness",
    "cosignatures.ml-dsa": "unknown-witness",
    "record.salt/cut": "withheld",
    "lines.index/cut": "withheld",
    "cosignatures.signer/cut": "left-out",
    "part-lines.index/cut": "withheld",
    "left-out/excerpt": "withheld",
    "all-left-out/excerpt": "withheld",
    "left-out/part-lines": "left-out",
    "all-left-out/part-lines": "left-out",
    "left-out/lines": "left-out",
    "left-out/proof": "left-out",
    "left-out/checkpoint": "left-out",
    "left-out/cosignatures": "left-out",
    "left-out/consistency": "left-out",
    "left-out/stamp": "left-out",
    "left-out/not-before": "left-out",
    "left-out/certificate": "left-out",
    "left-out/crl": "left-out",
    "left-out/ocsp": "left-out",
    "left-out/vkeys": "left-out",
    "carriers/left-out": "withheld",
    "all-left-out/lines": "left-out",
    "all-left-out/cosignatures": "left-out",
    "all-left-out/consistency": "left-out",
    "all-left-out/not-before": "left-out",
    "all-left-out/certificate": "left-out",
    "all-left-out/stamp": "left-out",
    "all-left-out/crl": "left-out",
    "all-left-out/ocsp": "left-out",
    "renamed/consistency": "left-out",
    "renamed/stamp": "left-out",
    "copied/stamp": "extra-file",
    "copied/consistency": "extra-file",
    "extra/consistency": "extra-file",
    "stamps/unknown-tsa-added": "unknown-tsa",
    "stamps/by-unknown-tsa": "unknown-tsa",
    "stamps/other-label": "label",
    "records/end-left-out": "withheld",
    "disclosures/withheld": "withheld",
    "disclosures/link-withheld": "withheld",
    "disclosures/reversed": "order",
}


def reason_for(mutation: Mutation) -> str | None:
    """Why a verdict may stay proven after this mutation; None if it may not."""
    field = mutation.name.partition("/")[0]
    return NOT_EVIDENCE.get(mutation.name) or NOT_EVIDENCE.get(field)
