#!/bin/sh
# Makes a Debian in a folder, or finds the one made before, and prints where it is:
#   deploy/tree.sh SUITE ARCHITECTURE PACKAGE...
# For building and testing, as root. It lies in the user's cache folder, is made anew when the
# packages asked for are others or a month has gone by, and is for reading: who writes takes a copy.
set -eu

suite=$1
architecture=$2
shift 2
packages=$(echo "$@" | tr ' ' ',')
cache="${XDG_CACHE_HOME:-$HOME/.cache}/bachbox/trees"
tree="$cache/$suite-$architecture-$(echo "$packages" | cksum | cut -d' ' -f1)"

[ "$(id -u)" -eq 0 ] || { echo "tree.sh: only root may make a Debian in a folder" >&2; exit 1; }
command -v mmdebstrap >/dev/null || { echo "tree.sh: mmdebstrap is missing; apt install mmdebstrap" >&2; exit 1; }

# Programs for another processor run in QEMU, once the kernel knows of it.
if [ "$architecture" != "$(dpkg --print-architecture)" ] && ! arch-test "$architecture" >/dev/null 2>&1; then
    [ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    /usr/lib/systemd/systemd-binfmt
    arch-test "$architecture" >/dev/null || {
        echo "tree.sh: programs for $architecture do not run here; apt install qemu-user-static arch-test" >&2
        exit 1
    }
fi

mkdir -p "$cache"
exec 9>"$tree.lock"
flock 9
if [ -z "$(find "$cache" -maxdepth 1 -path "$tree.whole" -mtime -30)" ]; then
    echo "Making a Debian $suite for $architecture in $tree (some minutes, once)" >&2
    # An mmdebstrap that was killed leaves this machine's own /dev/shm and more mounted in there, and
    # removing the tree would empty them.
    if grep -qF " $tree/" /proc/self/mountinfo; then
        echo "tree.sh: something is still mounted under $tree, so it is left alone; these have to be unmounted first:" >&2
        grep -F " $tree/" /proc/self/mountinfo | cut -d' ' -f5 | sort -r | sed 's/^/  umount /' >&2
        exit 1
    fi
    rm -rf --one-file-system "$tree" "$tree.whole"
    mmdebstrap --quiet --variant=minbase --components=main,non-free-firmware --architectures="$architecture" --include="$packages" \
        --skip=cleanup/apt/lists "$suite" "$tree" >&2
    : >"$tree.whole"
fi
echo "$tree"
