"""What `fuzz_readers.py` consists of: whole files, mutations of them, and what reads them."""
