"""`ebingest` and `python -m eventbridge_cli`."""

import gc
import signal

# Next to nothing of what is loaded, and of what a run then makes, is in cycles. To look for some less often takes a
# tenth off the time of a command that has little to do, and 3 % off that of a run.
gc.set_threshold(50_000)

# Until all is loaded, Ctrl-C ends the process as it does any other, without Python's traceback.
_raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
if _raises:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from eventbridge_cli.cli.app import main  # noqa: E402

if _raises:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if __name__ == "__main__":
    main()
