#!/bin/sh
# Installs the Debian packages that Bachbox needs and this machine lacks.
#   deploy/system-packages.sh play    to play
#   deploy/system-packages.sh test    to play and to run the tests
#   deploy/system-packages.sh install to be a service
# Says what it installs and why; asks sudo where it is not root; does nothing where all are there.
set -eu

needed() {
    cat <<'LIST'
libfluidsynth3 the synthesizer
timgm6mb-soundfont the default General MIDI soundfont
portaudio19-dev the way to the sound card (PyAudio is built against it)
gcc to build PyAudio
python3-dev to build PyAudio
python3-venv for Bachbox's own .venv
opus-tools the sound as Opus, for /stream.opus and Icecast
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
mmdebstrap to make a Debian to boot
debian-archive-keyring to know that it is Debian
systemd-container to boot it
lintian to check the Debian package
LIST
    fi
    if [ "$1" = test ]; then
        cat <<'LIST'
pulseaudio a virtual sound card for the tests
pulseaudio-utils to record what the virtual card plays
libasound2-plugins to reach the virtual card as programs reach a real one
libsystemd-dev to build systemd-python
pkg-config to build systemd-python
systemd for systemd-analyze, which checks the unit
mosquitto an MQTT broker for the tests, which start their own
snapserver other rooms, for the tests, which start their own
snapclient other rooms, for the tests, which start their own
icecast2 the world, for the tests, which start their own
chromium a browser for the tests of the page
nodejs to run the tests of the page's JavaScript
stress-ng to keep the machine busy while it plays
abcmidi abc2midi, to read the tunes that are written
LIST
    fi
}

purpose="${1:-play}"
case "$purpose" in
    play | test | install) ;;
    *) echo "system-packages.sh: say 'play', 'test' or 'install', not '$purpose'." >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "This is no Debian, so please see to these yourself, under your system's names:"
    needed "$purpose" | sed 's/^/  /'
    exit 0
fi

# One call for all of them: this runs at every start.
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
        echo "Neither root nor sudo here: please install them as root with" >&2
        echo "  apt-get install $(printf '%s\n' "$missing" | cut -d' ' -f1 | xargs)" >&2
        exit 1
    fi
    sudo=sudo
    echo "Installing them with sudo; it may ask for your password."
fi
names=$(printf '%s\n' "$missing" | cut -d' ' -f1 | xargs)
install() {
    # shellcheck disable=SC2086  # the names are words on purpose
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $names
}
# A fresh machine has no package lists yet, an old one stale ones: fetch them, then install.
$sudo apt-get update -q && install
