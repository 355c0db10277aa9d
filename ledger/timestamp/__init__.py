"""When: RFC 3161 requests, tokens and the certificate paths that make them trusted.

PURE. Nothing here opens a file, sends, sleeps, asks the time or draws a random number: bytes,
nonces and moments come in as arguments. In order: ``der`` (bytes to ASN.1 values, the one guarded
place), ``request``, ``algorithms`` (digests and signatures), ``token``, ``path``. May use
``ledger.errors``, asn1crypto, cryptography and pyhanko-certvalidator (``path`` only).
"""
