"""Runs to look at: one page without scripts and without a network, drawn from the audit file."""

import logging

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns as it loads, where there is no home for its cache
