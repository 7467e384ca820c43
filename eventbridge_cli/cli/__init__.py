"""The door: the only room with typer and rich. One module a command; each loads what it needs when it is called."""
