"""`ebingest` and `python -m eventbridge_cli`."""

from eventbridge_cli.cli.app import main

if __name__ == "__main__":
    main()
