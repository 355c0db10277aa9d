"""What tokens are judged with later is fetched while it can be had, and never at their expense."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from asn1crypto import cms
from asn1crypto import x509 as asn1_x509

from ledger.errors import MalformedError, UnavailableError
from ledger.operator import sources
from ledger.operator.capture import CERTIFICATE, SETTLED, Capture
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.sources import parse_issuers, sources_of
from ledger.operator.store.memory import MemoryStore
from ledger.operator.store.protocol import Attachment
from ledger.timestamp.der import load_certificate
from ledger.timestamp.request import format_request
from ledger.tlog.merkle import MAX_SIZE
from tests.ledger.timestamp.authority import DER, END, GEN_TIME, Authority
from tests.revoking import CRL_TYPE, DAY, Reason, RevokingTsa, Site, naming, serving

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as made:
        yield made


class Kept:
    """A store with one kept token, and its capture."""

    def __init__(self, tsa: RevokingTsa, *, note: bool = True, **options: object) -> None:
        self.store = MemoryStore()
        self.now = GEN_TIME + SECOND
        at_hand = options.pop("certificates", [tsa.root.der])
        options = {"allow_private": True, "clock": lambda: self.now, **options}
        self.capture = Capture(self.store, at_hand, **options)  # type: ignore[arg-type]  # a test says what it wants
        self.tsa = tsa
        self.response = tsa.token()
        self.keep(self.response, note=note)

    def keep(self, response: bytes, size: int = 7, *, note: bool = True) -> None:
        self.store.attach(Attachment(size, "stamp", self.tsa.name, response))
        if note:
            self.capture.after(size, self.tsa.name, response)

    def rows(self, kind: str) -> list[bytes]:
        return [row.content for row in self.store.attachments(kind, 0, MAX_SIZE)]

    def reasons(self) -> list[str]:
        """What a run could not have."""
        found = self.capture.run()
        assert {name for name, _ in found} <= {self.tsa.name}
        assert self.rows("stamp") == [self.response]
        return [reason for _, reason in found]


def test_certificates_and_crls_of_the_whole_path_are_kept(site: Site) -> None:
    tsa = RevokingTsa("one", site)
    kept = Kept(tsa)
    assert kept.reasons() == []
    assert kept.rows(CERTIFICATE) == [tsa.middle.der, tsa.root.der]
    assert len(kept.rows("crl")) == 2
    assert kept.rows("ocsp") == kept.rows(SETTLED) == []
    assert kept.capture.certificates() == (tsa.root.der, tsa.middle.der)
    assert [answer.kind for answer in kept.capture.answers()] == ["crl", "crl"]
    assert sorted(site.asked) == ["/one/issuing.cer", "/one/issuing.crl", "/one/root.crl"]


def test_nothing_is_fetched_for_what_is_there(site: Site) -> None:
    kept = Kept(RevokingTsa("one", site))
    kept.capture.run()
    site.asked.clear()
    kept.keep(kept.tsa.token(b"\1" * 32), 8)
    assert kept.capture.run() == ()
    assert site.asked == []
    assert len(kept.rows("crl")) == 2


def test_a_crl_issued_after_the_token_is_fetched_as_soon_as_it_exists_and_then_no_more(
    site: Site,
) -> None:
    kept = Kept(RevokingTsa("one", site))
    kept.capture.run()
    kept.now = GEN_TIME + DAY
    assert kept.capture.recapture() == ()
    assert len(kept.rows("crl")) == 2
    kept.tsa.publish(GEN_TIME + DAY)
    assert kept.capture.recapture(GEN_TIME + 2 * DAY) == ()
    assert len(kept.rows("crl")) == 4
    assert len(kept.rows(SETTLED)) == 1
    site.asked.clear()
    kept.tsa.publish(GEN_TIME + 2 * DAY)
    assert kept.capture.recapture(GEN_TIME + 3 * DAY) == ()
    assert site.asked == []
    assert len(kept.rows("crl")) == 4


def test_what_was_not_done_when_stamping_is_done_later(site: Site) -> None:
    kept = Kept(RevokingTsa("one", site), note=False)
    assert kept.capture.run() == ()
    assert kept.rows("crl") == []
    assert kept.capture.recapture() == ()
    assert len(kept.rows("crl")) == 2


def test_ocsp_is_asked_where_there_is_no_crl(site: Site) -> None:
    tsa = RevokingTsa("one", site, with_crl=False)
    kept = Kept(tsa)
    assert kept.reasons() == []
    assert (len(kept.rows("crl")), len(kept.rows("ocsp"))) == (1, 1)
    tsa.clock = lambda: GEN_TIME + DAY
    tsa.publish(GEN_TIME + DAY)
    assert kept.capture.recapture(GEN_TIME + DAY) == ()
    assert (len(kept.rows("crl")), len(kept.rows("ocsp"))) == (2, 2)
    assert len(kept.rows(SETTLED)) == 1


def test_a_bad_word_is_kept_too(site: Site) -> None:
    tsa = RevokingTsa("one", site)
    tsa.publish(GEN_TIME - DAY, (GEN_TIME - 2 * DAY, Reason.key_compromise))
    kept = Kept(tsa)
    assert kept.reasons() == []
    assert len(kept.rows("crl")) == 2


def _gone(tsa: RevokingTsa) -> None:
    del tsa.site.files["/one/issuing.crl"]


def _html(tsa: RevokingTsa) -> None:
    tsa.serve("issuing.crl", "text/html", tsa.middle.crl())


def _junk(tsa: RevokingTsa) -> None:
    tsa.serve("issuing.crl", CRL_TYPE, b"junk")


def _others(tsa: RevokingTsa) -> None:
    tsa.serve("issuing.crl", CRL_TYPE, tsa.root.crl())


def _forged(tsa: RevokingTsa) -> None:
    tsa.serve("issuing.crl", CRL_TYPE, Authority(tsa.middle.common_name).crl())


def _stale(tsa: RevokingTsa) -> None:
    tsa.publish(GEN_TIME - 9 * DAY, until=GEN_TIME - DAY)


def _elsewhere(tsa: RevokingTsa) -> None:
    tsa.site.moved["/one/issuing.crl"] = "http://elsewhere.invalid/issuing.crl"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (_gone, "answered with status 404"),
        (_html, "answer is 'text/html'"),
        (_junk, "CRL"),
        (_others, "crl is unrelated"),
        (_forged, "crl is unusable"),
        (_stale, "crl is stale"),
        (_elsewhere, "status 302"),
    ],
)
def test_what_does_not_hold_is_not_kept_and_said(
    site: Site, spoil: Callable[[RevokingTsa], None], why: str
) -> None:
    tsa = RevokingTsa("one", site)
    spoil(tsa)
    kept = Kept(tsa)
    reasons = kept.reasons()
    assert why in reasons[-1]
    assert "one Signer" in reasons[-1] or "one Issuing" in reasons[-1]
    assert len(kept.rows("crl")) == (0 if spoil is _stale else 1)
    assert kept.rows(SETTLED) == []


def test_a_crl_above_the_limit_is_not_taken(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_MATERIAL_BYTES", 100)
    kept = Kept(RevokingTsa("one", site))
    assert ["want at most 100" in reason for reason in kept.reasons()] == [True, True]
    assert kept.rows("crl") == []


def test_a_redirect_on_the_same_host_is_followed(site: Site) -> None:
    tsa = RevokingTsa("one", site)
    site.files["/new.crl"] = site.files.pop("/one/issuing.crl")
    site.moved["/one/issuing.crl"] = "/new.crl"
    assert Kept(tsa).reasons() == []


def test_slow_servers_take_no_more_than_the_budget(site: Site) -> None:
    tsa = RevokingTsa("one", site)
    site.slow |= {"/one/issuing.crl", "/one/root.crl"}
    kept = Kept(tsa, budget_seconds=0.3)
    reasons = kept.reasons()
    assert len(reasons) == 2
    assert all("too long" in one or "not asked" in one or "timed out" in one for one in reasons)
    site.hurry.set()
    assert Kept(tsa).reasons() == []


def test_private_addresses_are_not_asked(site: Site) -> None:
    kept = Kept(RevokingTsa("one", site), allow_private=False)
    assert "127.0.0.1 is not a public address" in kept.reasons()[0]
    kept = Kept(
        kept.tsa, certificates=[kept.tsa.root.der, kept.tsa.middle.der], allow_private=False
    )
    assert "127.0.0.1 is not a public address" in kept.reasons()[-1]
    assert site.asked == []


def test_nobody_is_asked_offline(site: Site) -> None:
    kept = Kept(RevokingTsa("one", site), offline="offline: by choice")
    assert kept.reasons() == ["offline: by choice"]
    assert kept.capture.recapture() == (("one", "offline: by choice"),)
    assert site.asked == []


def test_what_certificates_do_not_name_is_said_once(site: Site) -> None:
    tsa = RevokingTsa("one", site)
    tsa.signer = tsa.middle.signer()
    kept = Kept(tsa, certificates=[tsa.root.der, tsa.middle.der])
    assert kept.reasons() == ["no CRL or OCSP answer for Test TSA: it names neither"]
    tsa.publish(GEN_TIME + DAY)
    later = kept.capture.recapture(GEN_TIME + 2 * DAY)
    assert [reason for _, reason in later] == [
        "no CRL or OCSP answer for Test TSA: it names neither"
    ]
    assert len(kept.rows(SETTLED)) == 1
    assert kept.capture.recapture(GEN_TIME + 3 * DAY) == ()


def test_an_issuer_that_is_not_to_be_had_is_said(site: Site) -> None:
    tsa = RevokingTsa("one", site)
    tsa.serve("issuing.cer", "application/pkix-cert", Authority("Other").der)
    reasons = Kept(tsa).reasons()
    assert "issuer of one Signer: what is there did not issue it" in reasons
    assert "no CRL of one Signer: its issuer is not at hand" in reasons
    twin = Authority(tsa.middle.common_name)
    tsa.serve("issuing.cer", "application/pkix-cert", twin.der)
    assert "issuer of one Signer: what is there did not issue it" in Kept(tsa).reasons()


def test_an_issuer_in_a_certs_only_cms_is_found(site: Site) -> None:
    tsa = RevokingTsa("one", site)
    choice = cms.CertificateChoices({"certificate": asn1_x509.Certificate.load(tsa.middle.der)})
    signed = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [],
            "encap_content_info": {"content_type": "data"},
            "certificates": [choice],
            "signer_infos": [],
        }
    )
    content = cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()
    tsa.serve("issuing.cer", "application/pkcs7-mime", content)
    assert Kept(tsa).reasons() == []


@pytest.mark.parametrize("content", [b"", b"junk", b"0\x03\x02\x01\x01", Authority().crl()])
def test_what_is_no_issuer_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedError, match="neither a certificate nor"):
        parse_issuers(content)


def test_expired_certificates_are_not_asked_about(site: Site) -> None:
    kept = Kept(RevokingTsa("one", site))
    site.files.pop("/one/issuing.crl")
    assert kept.capture.recapture(END + DAY) == ()
    assert [path for path in site.asked if path.endswith(".crl")] == []
    assert len(kept.rows(SETTLED)) == 1


def test_development_tokens_ask_for_nothing(site: Site) -> None:
    kept = Kept(RevokingTsa("one", site), note=False)
    tsa = DevelopmentTsa.create("dev", lambda: GEN_TIME)
    kept.capture.after(9, "dev", tsa.answer(format_request(bytes(32), 1)))
    assert kept.capture.run() == ()
    assert site.asked == []
    assert len(kept.rows(SETTLED)) == 1


def test_a_store_that_fails_is_a_reason_and_no_error(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(RevokingTsa("one", site))

    def full(*_: object) -> None:
        raise UnavailableError("disk full")

    monkeypatch.setattr(kept.store, "attach", full)
    assert kept.reasons() == ["disk full"]
    monkeypatch.setattr(kept.store, "attachments", full)
    kept.capture.after(7, "one", kept.tsa.token())
    assert kept.capture.run() == (("one", "disk full"),)


def test_a_token_without_its_signer_is_said(site: Site) -> None:
    tsa = RevokingTsa("one", site)
    kept = Kept(tsa, note=False)
    kept.capture.after(7, "one", tsa.token(certificates=()))
    assert kept.capture.run() == (("one", "the token does not hold its signer's certificate"),)


def test_urls_of_a_certificate_are_http_or_none() -> None:
    root = Authority()
    plain = sources_of(load_certificate(root.signer().certificate))
    assert (plain.crls, plain.ocsps, plain.issuers) == ((), (), ())
    made = naming(root, root.certificate, crl="ldap://ldap.example/cn=x", issuer="file:///etc/x")
    odd = sources_of(load_certificate(made.public_bytes(DER)))
    assert (odd.crls, odd.ocsps, odd.issuers) == ((), (), ())
    made = naming(root, root.certificate, crl="HTTP://a.example/x", ocsp_url="https://b.example")
    good = sources_of(load_certificate(made.public_bytes(DER)))
    assert (good.crls, good.ocsps) == (("HTTP://a.example/x",), ("https://b.example",))
