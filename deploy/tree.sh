#!/bin/sh
# Makes a Debian root file system in a folder, or finds one made before, and prints its path:
#   deploy/tree.sh SUITE ARCHITECTURE PACKAGE...
# For building and testing, as root. It is in the user's cache folder, and is made again if the list
# of packages changes or it is a month old. Treat it as read-only: copy it to write to it.
set -eu

suite=$1
architecture=$2
shift 2
packages=$(echo "$@" | tr ' ' ',')
cache="${XDG_CACHE_HOME:-$HOME/.cache}/bachbox/trees"
tree="$cache/$suite-$architecture-$(echo "$packages" | cksum | cut -d' ' -f1)"

[ "$(id -u)" -eq 0 ] || { echo "tree.sh: this needs root" >&2; exit 1; }
command -v mmdebstrap >/dev/null || { echo "tree.sh: mmdebstrap is missing; apt install mmdebstrap" >&2; exit 1; }

# Programs for another architecture run in QEMU, once it is registered with the kernel.
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
    echo "Making a Debian $suite for $architecture in $tree (once; several minutes)" >&2
    # A killed mmdebstrap leaves file systems of this machine (such as /dev/shm) mounted in the tree;
    # removing the tree would delete their content.
    if grep -qF " $tree/" /proc/self/mountinfo; then
        echo "tree.sh: cannot replace $tree: file systems are mounted below it; unmount them first:" >&2
        grep -F " $tree/" /proc/self/mountinfo | cut -d' ' -f5 | sort -r | sed 's/^/  umount /' >&2
        exit 1
    fi
    rm -rf --one-file-system "$tree" "$tree.whole"
    mmdebstrap --quiet --variant=minbase --components=main,non-free-firmware --architectures="$architecture" --include="$packages" \
        --skip=cleanup/apt/lists "$suite" "$tree" >&2
    : >"$tree.whole"
fi
echo "$tree"
