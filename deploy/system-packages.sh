#!/bin/sh
# Installs the Debian packages that Bachbox needs and this machine lacks.
#   deploy/system-packages.sh play    to play
#   deploy/system-packages.sh test    to play and to run the tests
#   deploy/system-packages.sh install to install Bachbox as a service
# Prints what it installs and why; uses sudo if not root; does nothing if all are installed.
set -eu

needed() {
    cat <<'LIST'
libfluidsynth3 the synthesizer
timgm6mb-soundfont the default General MIDI soundfont
portaudio19-dev access to the sound card (PyAudio is built against it)
gcc to build PyAudio
python3-dev to build PyAudio
python3-venv for the Python environment
opus-tools to encode the sound as Opus, for /stream.opus and Icecast
LIST
    if [ "$1" = install ]; then
        cat <<'LIST'
libsystemd-dev to build systemd-python
pkg-config to build systemd-python
swig to build lgpio
LIST
    fi
    if [ "$1" = test ] && [ "$(id -u)" -eq 0 ]; then
        cat <<'LIST'
mmdebstrap to make a Debian system to boot
debian-archive-keyring to verify its packages
systemd-container to boot it
lintian to check the Debian package
wpasupplicant to check the Wi-Fi settings of the card image
device-tree-compiler to check the card image's overlay for sound cards
dnsmasq-base to check the card image's hotspot
nftables to check the card image's hotspot
iproute2 to check the card image's hotspot in a network of its own
LIST
    fi
    if [ "$1" = test ]; then
        cat <<'LIST'
pulseaudio a virtual sound card for the tests
pulseaudio-utils to record what the virtual card plays
libasound2-plugins to reach the virtual card through ALSA, like a real one
libsystemd-dev to build systemd-python
pkg-config to build systemd-python
systemd for systemd-analyze, which checks the unit file
mosquitto an MQTT broker for the tests
snapserver multi-room audio, for the tests
snapclient multi-room audio, for the tests
icecast2 an internet radio server, for the tests
liquidsoap another one, for the tests
lame to stream MP3
nginx-light a reverse proxy for the tests of the web page
caddy another one, for the tests of the web page
chromium a browser for the tests of the web page
nodejs to run the tests of the web page's JavaScript
stress-ng to keep the machine busy during some tests
abcmidi abc2midi, to check the ABC files
man-db to check the man page
LIST
    fi
}

purpose="${1:-play}"
case "$purpose" in
    play | test | install) ;;
    *) echo "system-packages.sh: unknown purpose '$purpose'; it must be play, test or install." >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "This is not a Debian system. Please install the equivalents of these packages yourself:"
    needed "$purpose" | sed 's/^/  /'
    exit 0
fi

# One call for all of them: this runs at every `make play`.
present=$(needed "$purpose" | cut -d' ' -f1 | xargs dpkg-query -W -f='${Package} ${db:Status-Status}\n' 2>/dev/null || true)
missing=$(needed "$purpose" | while read -r package reason; do
    printf '%s\n' "$present" | grep -qx "$package installed" || printf '%s %s\n' "$package" "$reason"
done)
[ -n "$missing" ] || exit 0

echo "Bachbox needs these Debian packages:"
printf '%s\n' "$missing" | while read -r package reason; do
    printf '  %-20s %s\n' "$package" "$reason"
done
sudo=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "This needs root, and sudo is not installed. Please run as root:" >&2
        echo "  apt-get install $(printf '%s\n' "$missing" | cut -d' ' -f1 | xargs)" >&2
        exit 1
    fi
    sudo=sudo
    echo "Installing them with sudo, which may ask for your password."
fi
names=$(printf '%s\n' "$missing" | cut -d' ' -f1 | xargs)
install() {
    # shellcheck disable=SC2086  # the names are words on purpose
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $names
}
# A fresh machine has no package lists, an old one has outdated ones: update them first.
$sudo apt-get update -q && install
