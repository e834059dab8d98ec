#!/bin/bash
# Runs in the booted machine and puts what it finds into /proof; tests/systemd/run.sh starts it.
config=/etc/bachbox/bachbox.toml
status_says() { [[ $(property StatusText) == *"$1"* ]]; }
child() { pgrep -u bachbox -f "appliance.workers.$1"; }
other_child() { local now; now=$(child "$1") && [ "$now" != "$2" ]; }
events() { journalctl -b -o json MESSAGE_ID="$1" | grep -c "$2"; }
plays() { systemctl is-active -q bachbox && status_says Playing; }
journal_says() { journalctl -b -u bachbox | grep -q "$1"; }
restarted() { [ "$(property NRestarts)" = "$1" ] && plays; }
apt() { DEBIAN_FRONTEND=noninteractive apt-get -qq -y "$@" </dev/null >>/proof/apt 2>&1; }
published() { # topic, what one of its messages holds
    grep -q "$2" < <(timeout 60 mosquitto_sub -t "bachbox/+/$1")
}
box() { # its name in topics: the host's, and four digits of the machine
    timeout 60 mosquitto_sub -t "bachbox/+/availability" -C 1 -F %t | cut -d/ -f2
}
tell_broker() { mosquitto_pub -t "bachbox/$(box)/$1/set" -m "$2"; }
gone() { # what a removed Bachbox may leave: nothing but what is named
    local left
    left=$(find / -xdev \( -path /proc -o -path /sys -o -path /proof -o -path /root -o -path /tmp \
        -o -path /var/log -o -path /var/lib/dpkg -o -path /var/cache \) -prune -o -iname '*bachbox*' -print |
        grep -vxE "${1:-nothing}")
    [ -z "$left" ] || { echo "$left"; return 1; }
}

pipe_gets_sound() { # that a program reads; none blocks the box
    [ "$(timeout 20 head -c 20000 "$1" | wc -c)" = 20000 ]
}

optional_mistakes() { # in what the music does not need
    local kept own="/tmp/snapfifo: the service has a /tmp and a /var/tmp of its own"
    kept=$(mktemp)
    cp "$config" "$kept"
    mkfifo -m 666 /tmp/snapfifo /run/snapfifo
    sed -i -e '/^\[display\]/a zzz = 1' -e 's|^#snapcast = .*|snapcast = "/tmp/snapfifo"|' "$config"
    check "doctor names a mistake in a section that the music does not need" eval '! bachbox doctor >/proof/doctor 2>&1 && grep -q "\[display\].*zzz" /proof/doctor'
    check "which does not stop the music" eval 'systemctl restart bachbox && plays'
    check "status says it" eval 'bachbox status | grep -q "zzz.*until this is corrected, \[display\] is off"'
    check "and the journal" await 20 journal_says "zzz.*\[display\] is off"
    check "a pipe in the service's own /tmp is refused with the reason" await 20 journal_says "$own"
    check "status says that, too" eval 'bachbox status | grep -q "$own"'
    cat "$kept" >"$config"
    sed -i 's|^#snapcast = .*|snapcast = "/tmp/snapfifo"|' "$config"
    check "doctor says it before" eval '! bachbox doctor >/proof/doctor 2>&1 && grep -q "$own" /proof/doctor'
    sed -i 's|^snapcast = .*|snapcast = "/run/snapfifo"|' "$config"
    systemctl restart bachbox
    check "a pipe in /run gets the sound" pipe_gets_sound /run/snapfifo
    cat "$kept" >"$config"
    rm /tmp/snapfifo /run/snapfifo "$kept"
    systemctl restart bachbox
}

misconfigured() {
    local begun
    begun=$(date +%s)
    sed -i '/^\[music\]/a tempo = 1' "$config"
    ! systemctl start bachbox && sleep 3 && [ "$(property NRestarts)" = 0 ] &&
        systemctl is-failed -q bachbox && journalctl -u bachbox --since "@$begun" | grep -q "$config.*tempo"
}

removed() { # the package, and everything that came with it
    check "apt purge leaves nothing" eval 'apt purge bachbox && gone'
    check "nor the user" eval '! getent passwd bachbox && ! getent group bachbox'
}

# For a second Debian: what may differ between two (Python, libraries, systemd), and no more.
short_list() {
check "active without a sound card, and it says so" await 60 eval 'systemctl is-active -q bachbox && status_says "No sound card"'
check "doctor finds a runtime that composes" eval 'bachbox doctor | grep -q "ok  model chorales: .* composes"'
sed -i 's/^output = .*/output = "null"/' "$config"
check "systemctl restart comes back when music plays" systemctl restart bachbox
check "status says what plays" plays
optional_mistakes
check "not root" [ "$(ps -o user= -p "$(property MainPID)")" = bachbox ]
check "it has a man page, and bash completes it" eval 'for share in /usr/share /usr/local/share; do
    script=$share/bash-completion/completions/bachbox
    [ ! -e $script ] || { ls $share/man/man1/bachbox.1* && . $script; }; done; complete -p bachbox'
check "the shell reaches it" eval 'bachbox set tempo=97 soundfont=TimGM6mb >/dev/null'
for name in composer performer; do
    pid=$(child $name)
    kill -9 "$pid"
    check "$name killed, another one is there" await 10 other_child $name "$pid"
done
sleep 2
kill -9 "$(property MainPID)"
check "daemon killed, systemd starts another" await 30 restarted 1
check "which knows the tempo" eval 'await 10 status_says "97 beats"'
check "it stops" systemctl stop bachbox
check "and leaves no process" eval '! pgrep -u bachbox'
journalctl -u bachbox -o short-monotonic >/proof/journal
removed
: >/proof/done
systemctl poweroff
}

until_the_plug_is_pulled() {
check "active without a sound card, and it says so" await 60 eval 'systemctl is-active -q bachbox && status_says "No sound card"'
check "the journal knows that there is no card" await 60 eval '[ "$(events 1bf8e0f7278e457b8a20b7a9d857cda3 BACHBOX_CHILD)" -ge 1 ]'

sed -i -e 's/^output = .*/output = "null"/' -e '/^\[mqtt\]/,/^host/ s/^host = .*/host = "localhost"/' "$config"
check "systemctl restart comes back when music plays" systemctl restart bachbox
check "status says what plays" plays
echo "      $(property StatusText)"
check "not root" [ "$(ps -o user= -p "$(property MainPID)")" = bachbox ]
if grep -q 'Max realtime priority *0 ' "/proc/$(property MainPID)/limits"; then
    echo "      this host grants no LimitRTPRIO, so the right comes as a capability instead:"
    echo "      shown is that nothing else in the unit forbids real time, not the limit itself"
    mkdir -p /run/systemd/system/bachbox.service.d
    printf '[Service]\nCapabilityBoundingSet=CAP_SYS_NICE\nAmbientCapabilities=CAP_SYS_NICE\n' \
        >/run/systemd/system/bachbox.service.d/real-time.conf
    systemctl daemon-reload
    systemctl restart bachbox
fi
check "the performer is real time, first in, first out" eval 'ps -o cls= -p "$(child performer)" | grep -qw FF'
check "the shell reaches it" eval 'bachbox set tempo=97 >/dev/null'
check "a piece in the journal, with its key" await 60 eval '[ "$(events dd54fb54481941f08573d93563b2d0a5 BACHBOX_KEY)" -ge 1 ]'

for name in composer performer; do
    pid=$(child $name)
    kill -9 "$pid"
    check "$name killed, another one is there" await 60 other_child $name "$pid"
done
check "both deaths in the journal" await 60 eval '[ "$(events 3ff3f6ab85e9435bba6d31a160d06300 BACHBOX_RESTARTS)" = 2 ]'
check "for which the service was not restarted" [ "$(property NRestarts)" = 0 ]
sleep 2

kill -9 "$(property MainPID)"
check "daemon killed, systemd starts another" await 60 restarted 1
check "which knows the tempo" status_says "97 beats"

mkdir -p /run/systemd/system/bachbox.service.d
printf '[Service]\nWatchdogSec=6s\n' >/run/systemd/system/bachbox.service.d/soon.conf
systemctl daemon-reload
systemctl restart bachbox
check "the watchdog leaves alone what plays" eval 'sleep 14; restarted 0'
kill -STOP "$(property MainPID)"
check "daemon hangs, the watchdog replaces it" await 60 restarted 1
check "the journal has the watchdog's word" eval 'journalctl -b -u bachbox | grep -q "Watchdog timeout"'
check "and the tempo is kept" status_says "97 beats"

optional_mistakes

begun=$(date +%s%N)
check "it stops" systemctl stop bachbox
echo "      in $((($(date +%s%N) - begun) / 1000000)) ms"
check "and leaves no process" eval '! pgrep -u bachbox'
check "a wrong config is not tried again and again, and is named" misconfigured
sed -i -e '/^tempo = 1$/d' -e 's/^username = .*/username = "box"/' "$config"
install -m 600 /dev/stdin /etc/bachbox/mqtt-password <<<"velvet"

systemctl start bachbox
check "the broker hears what plays" published now_playing '"playing"'
# The broker may have kept that from before.
check "the box is online at the broker" published availability online
tell_broker tempo 88
check "and steers it" await 60 status_says "88 beats"
systemctl stop mosquitto
rm -f /var/lib/mosquitto/mosquitto.db
sleep 4
check "the broker goes down, the music goes on" restarted 0
bachbox set instrument="church organ" >/dev/null
systemctl start mosquitto
check "the broker is back, and has the state again" published tempo 88
check "of what was set meanwhile, too" published instrument "Church Organ"
check "and steers it again" eval 'tell_broker volume 55; published volume 55'

bachbox set tempo=111 >/dev/null
sleep 2.5
: >/proof/pull
sleep 60
}

after_the_plug_was_pulled() {
check "it plays again after the whole machine was killed" await 60 plays
check "with the tempo set 2.5 s before" status_says "111 beats"
check "and the instrument" status_says "Church Organ"
check "and the broker's volume" published volume 55
for field in BACHBOX_MODEL BACHBOX_SEED PRIORITY CODE_FILE; do
    check "the journal has $field" eval 'journalctl -b -u bachbox -o json | grep -q "\"$field\""'
done
check "no word of the broker's password" eval '! journalctl -a -o json | grep -q velvet && ! grep -qs velvet /proc/[0-9]*/cmdline'
journalctl -u bachbox -o short-monotonic >/proof/journal

if [ -e /root/bachbox_*.deb ]; then
    sed -i 's/^volume = .*/volume = 33.0/' "$config"
    dpkg-deb -R /root/bachbox_*.deb /root/newer
    sed -i 's/^Version: .*/&.1/' /root/newer/DEBIAN/control
    dpkg-deb -Znone -b /root/newer /root/newer.deb >/dev/null
    check "a newer package goes over it, and asks nothing" apt install /root/newer.deb
    check "and plays at once, with the config as it was edited" eval 'await 60 plays && grep -qx "volume = 33.0" "$config"'
    check "and what was set" status_says "111 beats"
    check "apt remove keeps config and state" eval 'apt remove bachbox && [ -e "$config" ] && [ -e /var/lib/bachbox/settings.json ]'
    check "and leaves no process" eval '! pgrep -u bachbox'
    check "apt purge leaves nothing" eval 'apt purge bachbox && gone'
else
    check "make uninstall leaves nothing but config" eval 'make -s -C /root/bachbox uninstall && gone /etc/bachbox.*'
fi
check "nor the user" eval '! getent passwd bachbox && ! getent group bachbox'
: >/proof/done
systemctl poweroff
}

if [ -e /proof/short ]; then short_list; elif [ -e /proof/pull ]; then after_the_plug_was_pulled; else until_the_plug_is_pulled; fi
