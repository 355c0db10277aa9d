"""No change to a token passes unseen: every byte, every length."""

import hashlib

import pytest
from asn1crypto import x509 as asn1_x509
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.operator.devtsa import DevelopmentTsa
from ledger.timestamp.path import check_path
from ledger.timestamp.request import format_request
from ledger.timestamp.token import check_strength, check_token, parse_token
from tests.ledger.timestamp.authority import GEN_TIME

IMPRINT = hashlib.sha256(b"message").digest()


class Mutations:
    """A development token, and what it is worth after a change.

    Two places may change without changing the value, for nothing signs them and nothing is read
    from them: the status, granted to grantedWithMods; and the letter case of the issuer's name in
    the SignerInfo, which RFC 5280 §7.1 compares without case (the signing-certificate attribute,
    which is signed, decides). Everything else is refused.
    """

    def __init__(self) -> None:
        self.tsa = DevelopmentTsa.create("one", lambda: GEN_TIME)
        self.response = self.tsa.answer(format_request(IMPRINT, 99))
        self.value = self.judge(self.response)
        issuer = asn1_x509.Certificate.load(self.tsa.certificate).issuer.dump()
        self.sid = self.response.rindex(issuer)
        self.harmless = {self.response.index(b"\x02\x01\x00") + 2}
        self.harmless |= set(range(self.sid, self.sid + len(issuer)))

    def judge(self, response: bytes) -> tuple[object, ...]:
        token = parse_token(response)
        signer = check_token(token, imprint=IMPRINT, nonce=99)
        check_strength(token, signer)
        path = check_path(signer, token.certificates, [self.tsa.root], token.gen_time)
        said = (token.gen_time, token.accuracy, token.serial, token.policy, token.imprint)
        return (*said, signer, path)

    def check_change(self, index: int, change: int) -> None:
        changed = bytearray(self.response)
        changed[index] ^= change
        try:
            value = self.judge(bytes(changed))
        except (MalformedError, VerificationError):
            return
        assert value == self.value
        assert index in self.harmless, f"byte {index} may not change by {change}"


@pytest.fixture(scope="module")
def mutations() -> Mutations:
    return Mutations()


def test_every_byte_changed_in_one_bit_is_refused_or_harmless(mutations: Mutations) -> None:
    for index in range(len(mutations.response)):
        mutations.check_change(index, 1 << index % 8)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_every_byte_changed_in_any_bit_or_to_an_extreme_is_refused_or_harmless(
    mutations: Mutations, part: int
) -> None:
    for index in range(part, len(mutations.response), 4):
        byte = mutations.response[index]
        changes = {1 << bit for bit in range(8)} | {byte, byte ^ 0xFF}  # to 0x00, to 0xff
        for change in changes - {0}:
            mutations.check_change(index, change)


def test_every_truncation_and_trailing_byte_is_refused(mutations: Mutations) -> None:
    response = mutations.response
    for end in range(len(response)):
        with pytest.raises(LedgerError):
            mutations.judge(response[:end])
    for extra in (b"\0", b"\0\0", response):
        with pytest.raises(MalformedError):
            mutations.judge(response + extra)


@given(st.data())
def test_spliced_and_patched_tokens_raise_only_the_errors_of_the_house(data: st.DataObject) -> None:
    response = bytearray(SPLICED.response)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(response) - 1))
        stop = data.draw(st.integers(start, min(len(response), start + 8)))
        response[start:stop] = data.draw(st.binary(max_size=8))
    try:
        assert SPLICED.judge(bytes(response)) == SPLICED.value
    except (MalformedError, VerificationError):
        return


SPLICED = Mutations()
