#!/bin/sh
# Updates the lock files to the newest versions that pyproject.toml allows:
#   pip install uv && deploy/lock/update.sh
# One for each Python of Debian 12 and 13 and each architecture, because the wheels differ.
set -eu
cd "$(dirname "$0")/../.."

compile() {
    uv pip compile --quiet --upgrade --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links "$@"
}

compile --python-version 3.11 --output-file deploy/lock/build.txt deploy/lock/build.in
for python in 3.11 3.13; do
    for machine in x86_64 aarch64; do
        compile --python-version "$python" --python-platform "$machine-manylinux_2_36" \
            --extra systemd --extra gpio --extra display --constraint deploy/lock/constraints.in \
            --output-file "deploy/lock/python$python-$machine.txt" pyproject.toml
    done
done
