"""What a run keeps: ledger, record, audit, silences, and what is read back from them."""
