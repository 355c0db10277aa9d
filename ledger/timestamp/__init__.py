"""When: RFC 3161 requests, tokens and the certificate paths that make them trusted.

PURE. Nothing here opens a file, sends, sleeps, asks the time or draws a random number: bytes,
nonces and moments come in as arguments. May use ``ledger.errors``, asn1crypto, cryptography and,
in ``path`` alone, pyhanko-certvalidator.

    der         bytes to ASN.1 values, whole or not at all: the one guarded place
    request     TimeStampReq
    algorithms  digests and signature schemes, and which are weak
    cms         the envelope: SignedData of exactly one signer
    token       TimeStampResp and token; every check but the chain
    path        from the signer to a pinned anchor, at the token's time
    material    certificates, CRLs and OCSP answers as people hand them over
    opened      a token read as far as it goes, its faults by name
    examine     every check of one token by name, for who has to explain it
"""
