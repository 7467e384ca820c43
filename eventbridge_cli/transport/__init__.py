"""HTTP/1.1 under httpx's API: how a request gets to a server, and its answer back."""
