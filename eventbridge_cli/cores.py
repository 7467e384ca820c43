"""How many processes may share the work."""

import os
import sys


def usable_cores() -> int:
    """The cores that this process may use; 1 on systems that do not fork safely, where work can't be shared."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
