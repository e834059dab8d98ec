#!/bin/bash
# A Debian, booted under systemd-nspawn, with Bachbox installed as people install it:
#   sudo make test-systemd                apt install ./bachbox_*.deb on Debian 13 (PACKAGE=file: one built before)
#   sudo make test-systemd SUITE=bookworm the same on Debian 12, with a shorter list of checks
#   sudo make test-systemd WAY=source     make install
#   tests/systemd/run.sh update [TIMES]   updates it in place, and pulls the plug (10 times) meanwhile
#   tests/systemd/run.sh make             only makes the package (its path comes out) and the Debian
# Then tests/systemd/inside.sh runs in there. On Debian 13 it does so once until this script kills the
# whole machine, as one pulls a plug, and once after that. Wants the package mirrors of Debian and Python.
set -euo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
way=${1:-package}
suite=${SUITE:-trixie}
architecture=$(dpkg --print-architecture)
began=$SECONDS
fail() {
    echo "tests/systemd/run.sh: $1" >&2
    exit 1
}

[ "$(id -u)" -eq 0 ] || fail "only root may boot a machine; say sudo make test-systemd"
for tool in mmdebstrap systemd-nspawn script; do
    command -v $tool >/dev/null || fail "$tool is missing; apt install mmdebstrap systemd-container bsdutils"
done

# What a plain Debian with a broker has, and what Bachbox brings along, which needs no mirror then.
packages="systemd systemd-sysv dbus udev procps mosquitto mosquitto-clients \
    python3 libfluidsynth3 libportaudio2 opus-tools timgm6mb-soundfont"
# shellcheck disable=SC2086  # the names are words on purpose
tree() { "$here/deploy/tree.sh" "$suite" "$architecture" $packages; }

# The package is kept, too, under the checksum of all that it is made of.
cache="${XDG_CACHE_HOME:-$HOME/.cache}/bachbox/packages"
made_of() {
    (cd "$here" && git ls-files -z --cached --others --exclude-standard -- . \
        ':!tests' ':!benchmarks' ':!.ci' ':!.github' | sort -z | xargs -0 sha256sum 2>/dev/null | sha256sum | cut -c1-24)
}
package() {
    local kept found made
    kept="$cache/$suite-$(made_of)"
    found=$(find "$kept" -name 'bachbox_*.deb' -mtime -30 2>/dev/null | head -n1)
    if [ -z "$found" ]; then
        # Quick to make and to unpack, which is done three times.
        made=$(DPKG_DEB_COMPRESSOR_TYPE=gzip DPKG_DEB_COMPRESSOR_LEVEL=1 "$here/deploy/deb.sh" "$suite" "$architecture") || return
        mkdir -p "$kept"
        cp "$made" "$kept/.part"
        found="$kept/$(basename "$made")"
        mv "$kept/.part" "$found"
        find "$cache" -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} +
    fi
    echo "$found"
}
case $way in
    package | make | update)
        # Meanwhile: both wait for mirrors most of the time.
        tree >/dev/null &
        making=$!
        package=${PACKAGE:-$(package)}
        wait $making
        if [ "$way" = make ]; then
            echo "$package"
            exit
        fi
        ;;
    source) packages+=" make python3-venv portaudio19-dev gcc libc6-dev python3-dev libsystemd-dev pkg-config swig" ;;
    *) fail "say package, source or update, not '$way'" ;;
esac
tree=$(tree)

# On top of the tree, which stays as it is. "volatile" leaves out fsync: what kills a machine here, kills
# processes only, and what they had written stays written.
work=$(mktemp -d /var/tmp/bachbox-systemd.XXXXXX)
machine="$work/machine"
proof="$here/build/systemd/$suite"
terminal=
first_process() { # of the machine, while it runs; asked anew each time: at first it is a helper of nspawn
    local nspawn=
    [ -z "$terminal" ] || nspawn=$(pgrep -P "$terminal" | head -n1) || true
    [ -z "$nspawn" ] || pgrep -P "$nspawn" | head -n1 || true
}
tidy() {
    local first
    first=$(first_process)
    [ -z "$first" ] || kill -9 "$first" 2>/dev/null || true
    ! mountpoint --quiet "$machine/proc" || umount "$machine/proc"
    ! mountpoint --quiet "$machine" || umount "$machine"
    rm -rf --one-file-system "$work"
}
trap tidy EXIT
mkdir "$work/upper" "$work/overlay" "$machine"
mount -t overlay -o "lowerdir=$tree,upperdir=$work/upper,workdir=$work/overlay,volatile" overlay "$machine"
mount -t proc proc "$machine/proc"
rm -rf "$proof"
mkdir -p "$proof" "$machine/root/bachbox"

echo "Installing Bachbox into it"
cp /etc/resolv.conf "$machine/etc/resolv.conf"
inside() { env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 chroot "$machine" "$@"; }
if [ "$way" != source ]; then
    cp "$package" "$machine/root/"
    inside sh -c 'apt-get install --quiet=2 --yes --no-install-recommends /root/bachbox_*.deb' >"$proof/install" 2>&1 ||
        fail "apt install did not work; see $proof/install"
else
    (cd "$here" && git ls-files -z --cached --others --exclude-standard | tar -c --null -T - -f -) | tar -x -C "$machine/root/bachbox"
    mkdir -p "$machine/etc/ssl/certs"
    # Whom this machine trusts.
    [ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp /etc/ssl/certs/ca-certificates.crt "$machine/etc/ssl/certs/"
    inside make --no-print-directory -C /root/bachbox install
fi

[ "$suite" = trixie ] || : >"$proof/short"
if [ "$way" = update ]; then
    cat "$here"/tests/systemd/{checks,update}.sh >"$machine/root/inside.sh"
    echo "${2:-10}" >"$proof/times"
else
    cat "$here"/tests/systemd/{checks,inside}.sh >"$machine/root/inside.sh"
fi
mkdir -p "$machine/var/log/journal"
cat >"$machine/etc/systemd/system/proof.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
ExecStart=/bin/bash /root/inside.sh
[Install]
WantedBy=default.target
UNIT
inside systemctl enable --quiet proof.service
umount "$machine/proc"

boot() { # until its first process is there
    # A terminal of its own: without one nspawn does not boot.
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 script -qefc "exec systemd-nspawn --quiet --register=no \
        --keep-unit --private-network -D '$machine' -b --bind='$proof:/proof'" \
        /dev/null </dev/null >>"$proof/console" &
    terminal=$!
    for _ in $(seq 300); do
        [ -z "$(first_process)" ] || return 0
        sleep 0.1
    done
    fail "it does not boot; see $proof/console"
}
# An update on a busy machine takes its time.
patience=3000
[ "$way" != update ] || patience=15000
await() { # a file in proof/
    for _ in $(seq $patience); do
        [ ! -e "$proof/$1" ] || return 0
        kill -0 $terminal 2>/dev/null || break
        sleep 0.2
    done
    cat "$proof/log" >&2 || true
    fail "it did not come to '$1'; see $proof"
}

echo "Booting it"
boot
if [ "$way" = update ]; then
    for count in $(seq "${2:-10}"); do
        await "pull-$count"
        # At a random moment of what an update takes.
        wait_ms=$((RANDOM * 32768 + RANDOM))
        wait_ms=$((wait_ms % ($(cat "$proof/takes") * 1000)))
        sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
        echo "      plug $count is pulled $wait_ms ms after the update began" >>"$proof/log"
        kill -9 "$(first_process)"
        wait $terminal || true
        boot
    done
elif [ ! -e "$proof/short" ]; then
    await pull
    echo "Killing it as a whole" >>"$proof/log"
    kill -9 "$(first_process)"
    wait $terminal || true
    boot
fi
await "done"
wait $terminal || true
terminal=
cat "$proof/log"
[ ! -e "$proof/failed" ] || fail "not as it should be; see $proof/journal and $proof/console"
echo "All as it should be on $suite, in $((SECONDS - began)) s"
