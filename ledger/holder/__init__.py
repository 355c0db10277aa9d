"""I/O. The business's side: vault, kept originals, anchoring, bundles.

Works on its own disk and through ``doors.client.Ledger``; never imports the operator. What it
discloses is what the caller names, nothing by default but each record's place in its chain.
"""
