"""What `fuzz_readers.py` consists of: whole files, mutations of them, readers, and the process that runs both."""
