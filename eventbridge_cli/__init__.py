"""Bulk loader for Genesys Cloud interaction events that accounts for every record."""
