#!/bin/sh
# Installs Bachbox from this checkout as a systemd service, or updates it:
#   sudo make install      (or: sudo deploy/install.sh)
#   sudo make uninstall    (or: sudo deploy/install.sh --remove) removes all but /etc/bachbox
# For Debian 12 and 13 and Raspberry Pi OS, 64 bit. It also works in a chroot, to make an image.
set -eu
umask 022

here=$(cd "$(dirname "$0")/.." && pwd)
home=/opt/bachbox
config=/etc/bachbox
unit=/etc/systemd/system/bachbox.service
users=/etc/sysusers.d/bachbox.conf
devices=/etc/udev/rules.d/60-bachbox.rules
power=/etc/polkit-1/rules.d/50-bachbox.rules
command=/usr/local/bin/bachbox
# The man page and the shell completions.
share=/usr/local/share

fail() {
    echo "install.sh: $1" >&2
    exit "${2:-1}"
}

running() { [ -d /run/systemd/system ]; }

# If udev is running, it loads the rules at once.
reload_udev() {
    if running && command -v udevadm >/dev/null; then
        udevadm control --reload && udevadm trigger --subsystem-match=gpio --subsystem-match=spidev --subsystem-match=i2c-dev || true
    fi
}

remove() {
    if running; then systemctl disable --quiet --now bachbox.service 2>/dev/null || true
    else systemctl disable --quiet bachbox.service 2>/dev/null || true
    fi
    rm -f "$unit" "$users" "$devices" "$power" "$command"
    rm -f "$share/man/man1/bachbox.1" "$share/bash-completion/completions/bachbox" \
        "$share/zsh/site-functions/_bachbox" "$share/fish/vendor_completions.d/bachbox.fish"
    rm -rf "$home" /var/lib/bachbox
    if getent passwd bachbox >/dev/null; then userdel bachbox; fi
    if getent group bachbox >/dev/null; then groupdel bachbox; fi
    if running; then systemctl daemon-reload; fi
    reload_udev
    echo "Bachbox is removed; its config is still in $config."
}

case "${1:-}" in
    "" | --remove) ;;
    *) fail "unknown argument '$1'; the only one is --remove" 2 ;;
esac
[ "$(id -u)" -eq 0 ] || fail "this needs root; run: sudo make install, or sudo make uninstall"
if [ "${1:-}" = --remove ]; then
    remove
    exit
fi

[ -x /usr/bin/python3 ] || { apt-get update -q && apt-get install -y --no-install-recommends python3; }
python=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
lock="$here/deploy/lock/python$python-$(uname -m).txt"
[ -e "$lock" ] || fail "Python $python on $(uname -m) is not supported; Bachbox needs Debian 12 or 13 (or Raspberry Pi OS), 64 bit, on x86-64 or ARM"

"$here/deploy/system-packages.sh" install

[ "$(dpkg-query -W -f='${db:Status-Status}' bachbox 2>/dev/null)" != installed ] || fail "the Debian package bachbox is installed; run apt remove bachbox first (its config stays)"

# Beside the running version, which plays on until this one is complete.
release="$home/$(date +%Y%m%d-%H%M%S)"
trap 'rm -rf "$release"; echo "install.sh: not installed; the previous version, if any, is unchanged" >&2' EXIT
echo "Installing into $release with Python $python (several minutes)"
mkdir -p "$home"
/usr/bin/python3 -m venv "$release"
install_pinned() {
    # PYPI=1: builds lgpio with its library inside, on Python 3.13, for which it has no wheel.
    PYPI=1 "$release/bin/python" -m pip --disable-pip-version-check --quiet install --ignore-installed \
        --no-build-isolation "$@"
}
install_pinned --require-hashes --requirement "$here/deploy/lock/build.txt"
install_pinned --require-hashes --requirement "$lock"
install_pinned --no-deps "$here"
"$release/bin/bachbox" models >/dev/null || fail "the installed program does not work on this machine"

install -d -m 755 "$config"
[ -e "$config/bachbox.toml" ] || install -m 644 "$here/bachbox.example.toml" "$config/bachbox.toml"
install -D -m 644 "$here/deploy/sysusers.conf" "$users"
install -D -m 644 "$here/deploy/udev.rules" "$devices"
install -D -m 644 "$here/deploy/polkit.rules" "$power"
install -D -m 644 "$here/systemd/bachbox.service" "$unit"
systemd-sysusers "$users"
reload_udev
"$release/bin/python" -B "$here/deploy/shell_files.py" "$share"

# Switch to the new version with one rename.
ln -sfn "$release/bin" "$home/bin.new"
mv -T "$home/bin.new" "$home/bin"
trap - EXIT
mkdir -p "$(dirname "$command")"
ln -sf "$home/bin/bachbox" "$command"
for old in "$home"/[0-9]*; do
    [ "$old" = "$release" ] || rm -rf "$old"
done

systemctl enable --quiet bachbox.service
if running; then
    systemctl daemon-reload
    echo "Starting the service; this ends when music plays"
    systemctl restart bachbox.service || fail "the service does not start; journalctl -u bachbox says why"
    systemctl show --property=StatusText --value bachbox.service
fi
echo "Bachbox is installed. Its config is $config/bachbox.toml; after a change: systemctl restart bachbox"
