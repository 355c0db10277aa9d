"""Makers of the questions in matrix.py: each returns what makes one, given the lab.

``ts``: by `openssl ts -reply`; ``cms``: by `openssl cms -sign` over its TSTInfo; ``own``: by
authority.make_token, for what openssl does not make.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from asn1crypto import cms as asn1_cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.timestamp.der import split
from tests.ledger.timestamp.authority import (
    BEGIN,
    DER,
    STAMPING,
    Authority,
    Signer,
    make_content,
    make_token,
    name,
    respond,
    sign,
    with_gen_time,
)
from tests.ledger.timestamp.responder import (
    FAR,
    Lab,
    Question,
    armor,
    make_root,
    run,
)

Make = Callable[[Lab], Question]
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Case:
    """``verdict``: ours (good, refuted, not counted, unchecked or revocation unchecked);
    ``said``: part of our message.
    """

    name: str
    make: Make
    verdict: str = "good"
    said: str = ""


def ts(*query: str, bare: bool = False, signer: str = "ec", **config: str) -> Make:
    """A response of `openssl ts -reply` to a query with these options."""

    def make(lab: Lab) -> Question:
        options = ("-token_out",) if bare else ()
        asked = lab.query(*query) if query else None
        return lab.ask(lab.reply(getattr(lab, signer), asked, options=options, **config))

    return make


def answered(*asked: str, compared: tuple[str, ...] = ()) -> Make:
    """A response to one query, compared to another (by default to the same)."""

    def make(lab: Lab) -> Question:
        query = lab.query(*asked)
        other = lab.query(*compared) if compared else query
        return lab.ask(lab.reply(lab.ec, query), query=other)

    return make


def cms(*options: str, signer: str = "ec", **changes: Any) -> Make:
    """A token of `openssl cms -sign`."""
    return lambda lab: lab.ask(lab.cms(getattr(lab, signer), *options, **changes))


def signer(**options: Any) -> Make:
    """A token whose signer's certificate has these options (durations count from genTime)."""

    def make(lab: Lab) -> Question:
        dates = {
            key: lab.now + value if isinstance(value, timedelta) else value
            for key, value in options.items()
        }
        return lab.ask(lab.cms(lab.signer(lab.ec.key, **dates), "-cades"))

    return make


def extended(*extensions: tuple[x509.ExtensionType, bool], options: tuple[str, ...] = ()) -> Make:
    """A token whose signer's certificate has these extensions as well."""
    return lambda lab: lab.ask(lab.cms(lab.extended(*extensions), "-cades", *options))


def below(*extensions: tuple[x509.ExtensionType, bool], key: str = "", **options: Any) -> Make:
    """A token whose signer is under a given intermediate with these extensions."""

    def make(lab: Lab) -> Question:
        own = getattr(lab, key).key if key else None
        middle = lab.subordinate(lab.root, *extensions, key=own, **options)
        token = lab.cms(lab.signer(authority=middle), "-cades")
        return lab.ask(token, untrusted=(middle.der,))

    return make


def middle(end: timedelta = DAY, **options: Any) -> Make:
    """A token whose signer is under an intermediate made with these options of authority.py."""

    def make(lab: Lab) -> Question:
        authority = lab.root.child("Another Intermediate", end=lab.now + end, **options)
        token = lab.cms(lab.signer(authority=authority), "-cades")
        return lab.ask(token, untrusted=(authority.der,))

    return make


def crl(
    issued: timedelta,
    revoked: timedelta | None = None,
    reason: x509.ReasonFlags | None = None,
    days: int = 30,
    stranger: bool = False,
) -> Make:
    """A token beside the CRL of its CA (or of a stranger with its name); times from genTime."""

    def make(lab: Lab) -> Question:
        signer = lab.signer(lab.ec.key)
        listed = {} if revoked is None else {signer.serial: (lab.now + revoked, reason)}
        issuer = make_root("Test Root") if stranger else lab.root
        issued_at = lab.now + issued
        found = issuer.crl(listed, issued=issued_at, until=issued_at + days * DAY)
        return lab.ask(lab.cms(signer, "-cades"), crls=(found,))

    return make


def own(signer: str = "ec", content: dict[str, Any] | None = None, **options: Any) -> Make:
    """A token of make_token at the lab's time."""

    def make(lab: Lab) -> Question:
        fields = {"gen_time": lab.now, **(content or {})}
        return lab.ask(make_token(getattr(lab, signer), make_content(**fields), **options))

    return make


def timed(spelled: bytes) -> Make:
    """A token whose genTime is spelled so; %s is replaced with the lab's day, hour and minute."""

    def make(lab: Lab) -> Question:
        minute = lab.now.strftime("%Y%m%d%H%M").encode()
        return lab.ask(lab.cms(lab.ec, "-cades", content=with_gen_time(minute + spelled)))

    return make


def changed(make: Make, **changes: Any) -> Make:
    """The question of another case, with changes."""
    return lambda lab: replace(make(lab), **changes)


def patched(old: bytes, new: bytes, *, last: bool = False) -> Make:
    """The lab's response with the first (or last) occurrence of old replaced."""

    def make(lab: Lab) -> Question:
        at = lab.base.rindex(old) if last else lab.base.index(old)
        spoiled = lab.base[:at] + new + lab.base[at + len(old) :]
        return replace(lab.ask(lab.base), received=spoiled)

    return make


def flipped(where: Callable[[bytes], int]) -> Make:
    """The lab's response with the lowest bit of one byte changed."""

    def make(lab: Lab) -> Question:
        spoiled = bytearray(lab.base)
        spoiled[where(lab.base)] ^= 1
        return replace(lab.ask(lab.base), received=bytes(spoiled))

    return make


def chained(*order: str, **config: str) -> Make:
    """A response with these certificates embedded after the signer's, in this order."""

    def make(lab: Lab) -> Question:
        chain = [getattr(lab, each).der for each in order]
        return lab.ask(lab.reply(lab.under_middle, None, chain, **config))

    return make


def under(root: Callable[[Lab], Authority], *, pinned: bool) -> Make:
    """A token of a signer under another root, which is pinned or not."""

    def make(lab: Lab) -> Question:
        other = root(lab)
        roots = (other.der,) if pinned else (lab.root.der,)
        return lab.ask(lab.cms(lab.signer(authority=other), "-cades"), roots=roots)

    return make


def aged(*, at_gen_time: bool) -> Make:
    """A token of a time at which its certificate, expired since, was valid."""

    def make(lab: Lab) -> Question:
        moment = BEGIN + DAY
        signer = lab.signer(lab.ec.key, begin=BEGIN, end=BEGIN + 2 * DAY)
        token = lab.cms(signer, "-cades", content=make_content(gen_time=moment))
        return lab.ask(token, moment=moment if at_gen_time else None)

    return make


def same_name(lab: Lab) -> Question:
    """Two pinned roots of one name and without key identifiers, the wrong one first."""
    return lab.ask(lab.base, roots=(make_root("Test Root").der, lab.root.der))


def pinned_middle(lab: Lab) -> Question:
    """An intermediate is pinned, its root is not at hand."""
    return lab.ask(lab.reply(lab.under_middle), roots=(lab.middle.der,))


def pinned_signer(lab: Lab) -> Question:
    """The signer itself is pinned, and openssl told that this is enough."""
    return lab.ask(lab.base, roots=(lab.ec.certificate,), options=("-partial_chain",))


def self_signed(lab: Lab, *, pinned: bool) -> Question:
    """A time-stamping certificate signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    authority = make_root("Alone", key)
    certificate = authority._sign("Alone", key.public_key(), purposes=STAMPING, end=FAR)
    alone = Signer(key, certificate.public_bytes(DER))
    roots = (alone.certificate,) if pinned else (lab.root.der,)
    return lab.ask(lab.cms(alone, "-cades"), roots=roots)


def under_leaf(lab: Lab) -> Question:
    """The signer's issuer is an end entity."""
    leaf = lab.signer(common_name="Leaf")
    authority = Authority("Leaf", leaf.key, x509.load_der_x509_certificate(leaf.certificate))
    token = lab.cms(lab.signer(authority=authority), "-cades")
    return lab.ask(token, untrusted=(leaf.certificate,))


def too_deep(lab: Lab) -> Question:
    """An intermediate below one whose path length is 0."""
    upper = lab.subordinate(lab.root, path_length=0)
    lower = lab.subordinate(upper)
    token = lab.cms(lab.signer(authority=lower), "-cades")
    return lab.ask(token, untrusted=(upper.der, lower.der))


def substituted(lab: Lab) -> Question:
    """Another certificate with the same key, issuer and serial is embedded instead."""
    first = lab.signer(lab.ec.key)
    lab.root.serial -= 1
    second = lab.signer(lab.ec.key, begin=BEGIN + DAY)
    other = lab.write(armor(second.certificate))
    return lab.ask(lab.cms(first, "-cades", "-nocerts", "-certfile", other))


def two_signers(lab: Lab) -> Question:
    """Two SignerInfos, both good."""
    second = ("-signer", lab.write(armor(lab.rsa.certificate)), "-inkey", lab.key(lab.rsa.key))
    return lab.ask(lab.cms(lab.ec, "-cades", *second))


def sha1_certificate(lab: Lab) -> Question:
    """The CA signed the signer's certificate over a SHA-1 digest."""
    asked = run("req", "-new", "-key", lab.key(lab.ec.key), "-subj", "/CN=Old Test TSA").stdout
    words = ["-in", lab.write(asked), "-CA", lab.write(armor(lab.root.der)), "-sha1"]
    words += ["-CAkey", lab.key(lab.root.key), "-set_serial", "999", "-days", "365"]
    extensions = lab.write(b"extendedKeyUsage=critical,timeStamping\nbasicConstraints=CA:FALSE\n")
    made = run("x509", "-req", *words, "-extfile", extensions, "-outform", "DER").stdout
    moment = lab.now + DAY  # this certificate begins when it is made
    content = make_content(gen_time=moment)
    return lab.ask(lab.cms(Signer(lab.ec.key, made), "-cades", content=content), moment=moment)


def reversed_attributes(lab: Lab, *, as_sent: bool) -> Question:
    """Signed attributes out of order; signed as they stand there, or as DER orders them."""
    token = make_token(lab.rsa, make_content(gen_time=lab.now), scheme="rsassa_pkcs1v15")
    signer_info = asn1_cms.ContentInfo.load(token)["content"]["signer_infos"][0]
    sent, signature = signer_info["signed_attrs"].dump(), bytes(signer_info["signature"])
    parts = split(sent)
    turned = sent[: len(sent) - sum(map(len, parts))] + b"".join(reversed(parts))
    signed = b"\x31" + (turned if as_sent else sent)[1:]
    new = sign(lab.rsa.key, "rsassa_pkcs1v15", "sha256", signed)
    return lab.ask(token.replace(sent, turned).replace(signature, new))


def granted(status: int) -> Make:
    """A token beside this status."""
    return lambda lab: replace(
        lab.ask(lab.base), received=respond(lab.reply(lab.ec, options=("-token_out",)), status)
    )


def trailing(b: bytes) -> Make:
    """The lab's response, followed by b."""
    return lambda lab: replace(lab.ask(lab.base), received=lab.base + b)


def unembedded(signer: str, *, given: bool) -> Make:
    """A response without certificates; the signer's is given beside it or not at all."""

    def make(lab: Lab) -> Question:
        one = getattr(lab, signer)
        token = lab.reply(one, lab.query("-sha256"))
        return lab.ask(token, untrusted=(one.certificate,) if given else ())

    return make


def somebody() -> asn1_x509.GeneralName:
    """A name that no signer here has."""
    return asn1_x509.GeneralName(
        "directory_name", asn1_x509.Name.build({"common_name": "Somebody"})
    )


def constraint() -> tuple[x509.ExtensionType, bool]:
    """Names under the CA have to begin with one that the signer's does not."""
    return x509.NameConstraints([x509.DirectoryName(name("Elsewhere"))], None), True
