"""Chunks in, receipts out. Asynchronous; the only room that speaks HTTP to the platform."""
