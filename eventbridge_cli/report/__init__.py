"""Runs to look at: one page without scripts and without a network, drawn from the audit file."""
