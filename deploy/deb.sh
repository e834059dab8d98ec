#!/bin/sh
# Builds the Debian package, checks it with lintian, and prints its path:
#   make deb                              for this machine's Debian
#   sudo make deb SUITE=trixie            for another one, in a chroot (mmdebstrap)
#   sudo make deb SUITE=trixie ARCH=arm64 for a Raspberry Pi, through QEMU (qemu-user-static)
set -eu
umask 022

here=$(cd "$(dirname "$0")/.." && pwd)
suite=${1:-}
architecture=${2:-$(dpkg --print-architecture)}
out="$here/build/deb"

# debhelper works on a copy of the sources; `root` is the Debian to build for.
root=
wanted=$(sed -n 's/^Build-Depends: //p' "$here/deploy/debian/control" | sed 's/([^)]*)//g; s/-compat//; s/,//g')
tools=lintian
[ -n "$suite" ] || tools="$tools build-essential $wanted"
missing=
for package in $tools; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -z "$missing" ] || { echo "deb.sh: this needs more packages: sudo apt install$missing" >&2; exit 1; }
if [ -n "$suite" ]; then
    # shellcheck disable=SC2086  # the names are words on purpose
    root=$("$here/deploy/tree.sh" "$suite" "$architecture" build-essential ca-certificates $wanted)
    exec 9>"$root.lock"
    flock 9
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    # The CA certificates that this machine trusts.
    [ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
fi
work=$(mktemp -d "$root/tmp/bachbox.XXXXXX")
trap 'rm -rf "$work"' EXIT
inside() { # run a command in the copied sources, inside that Debian
    if [ -z "$root" ]; then (cd "$work/sources" && "$@"); else
        # This machine's pip settings and caches do not exist in there.
        # shellcheck disable=SC2016  # for the inner shell
        env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL -u XDG_CACHE_HOME HOME=/root LC_ALL=C.UTF-8 \
            chroot "$root" sh -c 'cd "$0" && exec "$@"' "${work#"$root"}/sources" "$@"
    fi
}

mkdir "$work/sources"
(cd "$here" && git ls-files -z --cached --others --exclude-standard | tar -c --null -T - -f -) | tar -x -C "$work/sources"
cp -r "$here/deploy/debian" "$work/sources/debian"
number=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$here/appliance/__init__.py")
debian=$(. "$root/etc/os-release" && echo "$VERSION_ID")
SOURCE_DATE_EPOCH=$(git -C "$here" log -1 --format=%ct)
export SOURCE_DATE_EPOCH
# A package for Debian 12 has a lower version than one for 13, so that an upgrade of the machine replaces it.
cat >"$work/sources/debian/changelog" <<CHANGES
bachbox ($number+deb$debian) unstable; urgency=medium

  * See CHANGELOG.md.

 -- Bachbox <maintainers@bachbox.example>  $(date -R -d "@$SOURCE_DATE_EPOCH")
CHANGES

name="bachbox_$number+deb${debian}_$architecture.deb"
# Under emulation, the best compression takes many minutes and saves an eighth of the size.
[ "$architecture" = "$(dpkg --print-architecture)" ] || export DPKG_DEB_COMPRESSOR_LEVEL=1
log="$out/${name%.deb}.log"
mkdir -p "$out"
echo "Building $name (several minutes; the log is $log)" >&2
inside dpkg-buildpackage --build=binary --unsigned-changes >"$log" 2>&1 || { tail -n 30 "$log" >&2; exit 1; }
lintian --fail-on error --allow-root "$work/$name" >&2 || { echo "deb.sh: lintian found errors" >&2; exit 1; }
mv "$work/$name" "$out/"
echo "$out/$name"
