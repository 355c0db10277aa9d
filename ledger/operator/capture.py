"""What a token will be judged with in thirty years, fetched while it can still be had.

For each kept token: the certificates up to the root, and for every certificate below the root a
CRL, or where there is none an OCSP answer. Once when it was stamped, and again until one is there
that was issued after it: only that one tells of a revocation that came later. What holds is kept as
side rows of the log; what could not be had is told as a reason, and no stamp waits for it.
"""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from asn1crypto import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509 import load_der_x509_certificate, load_der_x509_crl

from ledger.errors import LedgerError, MalformedError, NotFoundError, VerificationError
from ledger.operator.sources import Asker, sources_of
from ledger.operator.stamper import KIND
from ledger.operator.store.protocol import Attachment, Store
from ledger.proof.revocation import READERS, Answer, about, issuers_above, why_not
from ledger.timestamp.der import PARSER_ERRORS, load_certificate
from ledger.timestamp.path import TrustedPath, check_revocation
from ledger.timestamp.token import parse_token
from ledger.tlog.merkle import MAX_SIZE

CERTIFICATE, SETTLED = "certificate", "settled"
"""Attachment kinds, beside "crl" and "ocsp": name is the TSA's. Settled: nothing more is to come
for a token; content is the SHA-256 of its response."""

BUDGET_SECONDS = 20.0
"""For all fetching of one run: whoever stamps does not wait longer for strangers' servers."""

MAX_FETCHED_ISSUERS = 8
"""Certificates that one token's path may lack. Tokens embed all or all but the root."""

AT_ONCE = 8
"""CRLs fetched at the same time."""

Reasons = tuple[tuple[str, str], ...]
"""What could not be had: the TSA's name, and which and why."""


class Capture:
    """Fetches and keeps revocation material for the tokens in ``store``.

    ``certificates``: DER of roots and intermediates that are at hand already. ``clock`` returns
    aware datetimes. ``allow_private``: ask private addresses too, for tests. ``offline``: why
    nobody may be asked, if so.
    """

    def __init__(
        self,
        store: Store,
        certificates: Sequence[bytes],
        *,
        clock: Callable[[], datetime],
        allow_private: bool = False,
        budget_seconds: float = BUDGET_SECONDS,
        offline: str | None = None,
    ) -> None:
        self._store = store
        self._at_hand = tuple(certificates)
        self._clock = clock
        self._allow_private = allow_private
        self._budget_seconds = budget_seconds
        self._offline = offline
        self._waiting: deque[Attachment] = deque()

    def after(self, size: int, tsa: str, response: bytes) -> None:
        """Note that a token was kept; ``run`` sees to it. Takes no time and never fails."""
        self._waiting.append(Attachment(size, KIND, tsa, response))

    def run(self) -> Reasons:
        """Capture for the tokens noted since the last run, if there are any.

        If we die before or while it runs, ``recapture`` does what was not done. Raises nothing.
        """
        noted = []
        while self._waiting:
            noted.append(self._waiting.popleft())
        try:
            return self._capture(noted, self._clock(), again=False)
        except LedgerError as error:
            return tuple((one.name, str(error)) for one in noted)

    def recapture(self, now: datetime | None = None) -> Reasons:
        """Capture for every kept token for which something may still be to come.

        Each server is asked once. ``now``: aware; None: the clock's. UnavailableError: the store
        could not be asked.
        """
        now = self._clock() if now is None else now
        self._waiting.clear()
        settled = {row.content for row in self._rows(SETTLED)}
        stamps = [row for row in self._rows(KIND) if _digest(row) not in settled]
        return self._capture(stamps, now, again=True)

    def certificates(self) -> tuple[bytes, ...]:
        """DER of the certificates at hand, and of those kept."""
        kept = (row.content for row in self._rows(CERTIFICATE))
        return tuple(dict.fromkeys((*self._at_hand, *kept)))

    def answers(self) -> tuple[Answer, ...]:
        """The CRLs and OCSP answers kept, in the order they came."""
        rows = (*self._rows("crl"), *self._rows("ocsp"))
        return tuple(READERS[row.kind](row.content) for row in rows)

    def _rows(self, kind: str) -> tuple[Attachment, ...]:
        return self._store.attachments(kind, 0, MAX_SIZE)

    def _capture(self, stamps: Sequence[Attachment], now: datetime, *, again: bool) -> Reasons:
        if self._offline is not None:
            return tuple(dict.fromkeys((stamp.name, self._offline) for stamp in stamps))
        if not stamps:
            return ()
        deadline = time.monotonic() + self._budget_seconds
        run = _Run(
            self._store,
            Asker(deadline, self._allow_private),
            now,
            again,
            list(self.certificates()),
            list(self.answers()),
        )
        return run.capture(stamps)


def _digest(row: Attachment) -> bytes:
    return hashlib.sha256(row.content).digest()


@dataclass(frozen=True, slots=True)
class _Need:
    """One certificate of a token's path; ``issuers``: DER of those that may have issued it."""

    stamp: Attachment
    der: bytes
    certificate: x509.Certificate
    issuers: tuple[bytes, ...]
    moment: datetime


@dataclass(slots=True)
class _Run:
    """One run over some tokens. ``again``: only what was issued after a token will do."""

    store: Store
    asker: Asker
    now: datetime
    again: bool
    certificates: list[bytes]
    answers: list[Answer]
    reasons: dict[tuple[str, str], None] = field(default_factory=dict)
    tried: set[bytes] = field(default_factory=set)
    kept: dict[str, set[bytes]] = field(default_factory=dict)

    def capture(self, stamps: Sequence[Attachment]) -> Reasons:
        """Everything for these tokens; never raises for what certificates and servers say."""
        needs: dict[Attachment, tuple[_Need, ...]] = {}
        for stamp in stamps:
            with self._telling(stamp):
                needs[stamp] = self._needs(stamp)
        missing = [need for some in needs.values() for need in some if self._is_wanted(need)]
        self._ask_ahead(missing)
        # The latest token first: what was issued after it was issued after the others.
        for need in sorted(missing, key=lambda need: need.moment, reverse=True):
            if self._is_wanted(need) and need.der not in self.tried:
                with self._telling(need.stamp):
                    self._fetch(need)
                    self.tried.add(need.der)
        for stamp, some in needs.items():
            if all(map(self._is_settled, some)):
                with self._telling(stamp):
                    self._keep(stamp, SETTLED, _digest(stamp))
        return tuple(self.reasons)

    def _telling(self, stamp: Attachment) -> "_Telling":
        return _Telling(self.reasons, stamp.name)

    def _needs(self, stamp: Attachment) -> tuple[_Need, ...]:
        """The certificates of the token's path that an issuer above them can revoke."""
        token = parse_token(stamp.content)
        if token.is_development:
            return ()
        if token.signer is None:
            raise NotFoundError("the token does not hold its signer's certificate")
        above = self._path(stamp, token.signer, token.certificates)
        read = {der: load_certificate(der) for der in above}
        needs = []
        for der, certificate in read.items():
            if certificate.self_issued:
                continue
            issuers = [up for up, one in read.items() if one.subject == certificate.issuer]
            needs.append(_Need(stamp, der, certificate, tuple(issuers), token.gen_time))
        return tuple(needs)

    def _path(
        self, stamp: Attachment, signer: bytes, embedded: Sequence[bytes]
    ) -> tuple[bytes, ...]:
        """The signer and what stands above it, fetched where missing, kept where not embedded."""
        path = issuers_above(signer, (*embedded, *self.certificates))
        asked: set[bytes] = set()
        while len(asked) < MAX_FETCHED_ISSUERS:
            orphan = next((der for der in _orphans(path) if der not in asked), None)
            if orphan is None:
                break
            asked.add(orphan)
            with self._telling(stamp):
                self.certificates.append(self._fetch_issuer(orphan))
                path = issuers_above(signer, (*embedded, *self.certificates))
        for der in path:
            if der not in embedded:
                self._keep(stamp, CERTIFICATE, der)
        return path

    def _fetch_issuer(self, orphan: bytes) -> bytes:
        """The certificate that signed ``orphan``, from where it says (RFC 5280 §4.2.2.1)."""
        certificate = load_certificate(orphan)
        why = "it names no place to fetch it"
        for url in sources_of(certificate).issuers:
            try:
                found = [one for one in self.asker.issuers(url) if _issued(one, orphan)]
            except LedgerError as error:
                why = str(error)
                continue
            if found:
                return found[0]
            why = "what is there did not issue it"
        raise NotFoundError(f"issuer of {_label(certificate)}: {why}")

    def _is_wanted(self, need: _Need) -> bool:
        """Whether something is missing that may still be had: a CRL forgets what has expired."""
        if self.now > need.certificate.not_valid_after:
            return False
        return not any(
            answer.issued > need.moment or (not self.again and _in_force(answer, need.moment))
            for answer in about(self.answers, [need.der])
        )

    def _is_settled(self, need: _Need) -> bool:
        """Whether there is an answer issued after the token, or none will ever come."""
        try:
            sources = sources_of(need.certificate)
        except MalformedError:
            return True
        mine = about(self.answers, [need.der])
        never = self.now > need.certificate.not_valid_after or not (sources.crls or sources.ocsps)
        return never or any(answer.issued > need.moment for answer in mine)

    def _ask_ahead(self, missing: Iterable[_Need]) -> None:
        """Fetch the first CRL of each certificate, all at once; the asker remembers the answers."""
        urls: dict[str, None] = {}
        for need in missing:
            with suppress(MalformedError):
                urls |= dict.fromkeys(sources_of(need.certificate).crls[:1])
        if len(urls) > 1:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(self._ask_one_ahead, urls))

    def _ask_one_ahead(self, url: str) -> None:
        with suppress(LedgerError):
            self.asker.crl(url)

    def _fetch(self, need: _Need) -> None:
        """Keep the first CRL, else the first OCSP answer, that holds; LedgerError says why none."""
        sources = sources_of(need.certificate)
        reasons = []
        if not need.issuers:
            raise NotFoundError(f"no CRL of {_label(need.certificate)}: its issuer is not at hand")
        asked = [(self.asker.crl, (url,)) for url in sources.crls] + [
            (self.asker.ocsp, (url, need.der, issuer))
            for url in sources.ocsps
            for issuer in need.issuers[:1]
        ]
        for ask, arguments in asked:
            try:
                answer = ask(*arguments)
                _check(need, answer)
            except LedgerError as error:
                reasons.append(str(error))
                continue
            self._keep(need.stamp, answer.kind, answer.der)
            self.answers.append(answer)
            return
        why = "; ".join(dict.fromkeys(reasons)) or "it names neither"
        raise NotFoundError(f"no CRL or OCSP answer for {_label(need.certificate)}: {why}")

    def _keep(self, stamp: Attachment, kind: str, content: bytes) -> None:
        """Attach, once, whatever tree size it came with first."""
        if kind not in self.kept:
            self.kept[kind] = {row.digest for row in self.store.attached(kind)}
        row = Attachment(stamp.size, kind, stamp.name, content)
        if _digest(row) not in self.kept[kind]:
            self.store.attach(row)
            self.kept[kind].add(_digest(row))


@dataclass(slots=True)
class _Telling:
    """Turns a LedgerError in its block into a reason under the TSA's name."""

    reasons: dict[tuple[str, str], None]
    name: str

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, LedgerError):
            self.reasons[self.name, str(error)] = None
            return True
        return False


def _orphans(path: Sequence[bytes]) -> list[bytes]:
    """Those of ``path`` whose issuer is not in it."""
    read = {der: load_certificate(der) for der in path}
    subjects = {one.subject.hashable for one in read.values()}
    return [
        der
        for der, one in read.items()
        if not one.self_issued and one.issuer.hashable not in subjects
    ]


def _issued(issuer: bytes, der: bytes) -> bool:
    """Whether the one certificate signed the other."""
    try:
        below = load_der_x509_certificate(der)
        below.verify_directly_issued_by(load_der_x509_certificate(issuer))
    except (InvalidSignature, *PARSER_ERRORS):
        return False
    return True


def _in_force(answer: Answer, moment: datetime) -> bool:
    return answer.until is not None and answer.issued <= moment <= answer.until


def _check(need: _Need, answer: Answer) -> None:
    """Refuse what says nothing about the certificate; that it was revoked is not nothing."""
    lack = why_not(need.der, [answer], need.moment)
    holds = [
        _is_signed(answer, issuer) if answer.kind == "crl" else _is_told(answer, need, issuer)
        for issuer in need.issuers
    ]
    if lack != "unusable" or not any(holds):
        raise VerificationError(f"{answer.kind} is {lack}")


def _is_signed(answer: Answer, issuer: bytes) -> bool:
    """Whether a CRL is signed with the issuer's key."""
    try:
        # Any: a certificate's key can be of kinds that sign nothing; TypeError then.
        key: Any = load_der_x509_certificate(issuer).public_key()
        return load_der_x509_crl(answer.der).is_signature_valid(key)
    except PARSER_ERRORS:
        return False


def _is_told(answer: Answer, need: _Need, issuer: bytes) -> bool:
    """Whether an OCSP answer, good or bad, is the issuer's or its responder's."""
    path = TrustedPath(issuer, (need.der,), "unchecked")
    try:
        return all(check_revocation(path, need.moment, ocsps=[answer.der]))
    except VerificationError:
        return True


def _label(certificate: x509.Certificate) -> str:
    """The certificate's name, for people, not safe to display as it is."""
    name = certificate.subject.native.get("common_name")
    return name[:60] if isinstance(name, str) else f"serial {certificate.serial_number:x}"
