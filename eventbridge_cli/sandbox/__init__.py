"""A local stand-in for the platform: to try things, to test, to rehearse faults.

It shares nothing with the tool but how errors are told.
"""
