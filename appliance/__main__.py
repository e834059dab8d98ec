"""``python -m appliance`` is ``bachbox``."""

import signal


def main() -> None:
    """Run the command, and from the first moment on bear a Ctrl-C without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Nobody is there yet who would catch it, and nothing to tidy up.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from appliance import cli

    cli.main()


if __name__ == "__main__":
    main()
