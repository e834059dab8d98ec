#!/bin/sh
# Debian 13, booted under systemd-nspawn, with Bachbox installed as people install it:
#   sudo make test-systemd
# Wants mmdebstrap and systemd-container, and the package mirrors of Debian and Python.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
work="$here/build/systemd"
tree="$work/trixie"
machine="$work/machine"
packages="systemd systemd-sysv dbus udev procps make python3-venv libfluidsynth3 timgm6mb-soundfont \
    portaudio19-dev gcc libc6-dev python3-dev libsystemd-dev pkg-config"

[ "$(id -u)" -eq 0 ] || { echo "run.sh: only root may boot a machine; say sudo make test-systemd" >&2; exit 1; }
for tool in mmdebstrap systemd-nspawn script; do
    command -v $tool >/dev/null || { echo "run.sh: $tool is missing; apt install mmdebstrap systemd-container bsdutils" >&2; exit 1; }
done

mkdir -p "$work"
if [ ! -e "$tree/.whole" ]; then
    echo "Making a Debian 13 (once; about a minute)"
    rm -rf "$tree"
    mmdebstrap --quiet --variant=minbase --include="$packages" trixie "$tree"
    : >"$tree/.whole"
fi
echo "Installing Bachbox into a copy of it"
rm -rf "$machine" "$work/proof"
cp -a "$tree" "$machine"
mkdir -p "$machine/root/bachbox" "$work/proof"
(cd "$here" && git ls-files -z --cached --others --exclude-standard | tar -c --null -T - -f -) | tar -x -C "$machine/root/bachbox"
cp /etc/resolv.conf "$machine/etc/resolv.conf"
mkdir -p "$machine/etc/ssl/certs"
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp /etc/ssl/certs/ca-certificates.crt "$machine/etc/ssl/certs/"
env -u PIP_FIND_LINKS chroot "$machine" make --no-print-directory -C /root/bachbox install

cp "$here/tests/systemd/inside.sh" "$machine/root/inside.sh"
cat >"$machine/etc/systemd/system/proof.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
ExecStart=/bin/bash /root/inside.sh
[Install]
WantedBy=default.target
UNIT
chroot "$machine" systemctl enable --quiet proof.service
echo "Booting it"
# A terminal of its own: without one nspawn does not boot.
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout 280 script -qefc "systemd-nspawn --quiet \
    --register=no --keep-unit --private-network --volatile=overlay -D '$machine' -b \
    --bind='$work/proof:/proof'" /dev/null </dev/null >"$work/console" || true
cat "$work/proof/log"
if [ ! -e "$work/proof/done" ] || [ -e "$work/proof/failed" ]; then
    echo "run.sh: not as it should be; see $work/proof/journal and $work/console" >&2
    exit 1
fi
