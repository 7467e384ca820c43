"""What became of every record: facts on disk and the account that is drawn from them."""
