#!/bin/bash
# What `make test` does after its lint: pytest (all arguments are for it), and for root the machine of
# tests/systemd/run.sh. That one's Debian and package are made meanwhile, behind the tests in
# everything: that is mostly waiting for mirrors, and takes minutes.
set -uo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here" || exit
python=${VENV:-.venv}/bin/python

if [ "$(id -u)" -ne 0 ]; then
    "$python" -m pytest "$@" || exit
    echo "Not root, so no machine was booted; sudo make test-systemd does that"
    exit
fi

made=build/systemd-made
mkdir -p build
nice -n 19 tests/systemd/run.sh make >"$made" 2>"$made.log" &
making=$!
# Whatever comes: an mmdebstrap that is killed leaves this machine's /dev mounted in its Debian.
trap '! kill -0 $making 2>/dev/null || { echo "Waiting for the Debian that is being made"; wait $making; }' EXIT

"$python" -m pytest "$@" || exit
wait $making || {
    cat "$made.log" >&2
    exit 1
}
PACKAGE=$(cat "$made") tests/systemd/run.sh
