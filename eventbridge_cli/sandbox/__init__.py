"""A local stand-in for the platform: to try things, to test, to rehearse faults. It shares no code with the tool."""
