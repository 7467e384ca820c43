"""Files in, chunks and rejections out. Synchronous, lazy, offline."""
