"""``python -m appliance`` is ``bachbox``."""

import signal


def main() -> None:
    """Run the command; from the first moment on, Ctrl-C ends it without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Nothing can catch a KeyboardInterrupt yet, and there is nothing to tidy up.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from appliance import cli

    cli.main()


if __name__ == "__main__":
    main()
