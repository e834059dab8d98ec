#!/bin/bash
# Runs in the booted machine and puts what it finds into /proof; tests/systemd/run.sh starts it.
exec >/proof/log 2>&1
seconds() { cut -d' ' -f1 /proc/uptime; }
check() { # what, command...
    local what=$1
    shift
    if "$@"; then echo "ok    $(seconds)  $what"; else
        echo "FAIL  $(seconds)  $what"
        : >/proof/failed
    fi
}
property() { systemctl show --property="$1" --value bachbox; }
await() { # seconds, command...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}
status_says() { [[ $(property StatusText) == *"$1"* ]]; }
child() { pgrep -u bachbox -f "appliance.workers.$1"; }
other_child() { local now; now=$(child "$1") && [ "$now" != "$2" ]; }
events() { journalctl -b -o json MESSAGE_ID="$1" | grep -c "$2"; }
plays() { systemctl is-active -q bachbox && status_says Playing; }
restarted() { [ "$(property NRestarts)" = "$1" ] && plays; }
lasting() { sleep 3; [ "$(property NRestarts)" = "$1" ]; }

check "active without a sound card, and it says so" await 60 eval 'systemctl is-active -q bachbox && status_says "No sound card"'
check "the journal knows that there is no card" await 10 eval '[ "$(events 1bf8e0f7278e457b8a20b7a9d857cda3 BACHBOX_CHILD)" -ge 1 ]'

sed -i 's/^output = .*/output = "null"/' /etc/bachbox/bachbox.toml
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
check "the shell reaches it" bachbox set tempo=97
check "a piece in the journal, with its key" await 10 eval '[ "$(events dd54fb54481941f08573d93563b2d0a5 BACHBOX_KEY)" -ge 1 ]'

for name in composer performer; do
    pid=$(child $name)
    kill -9 "$pid"
    check "$name killed, another one is there" await 10 other_child $name "$pid"
done
check "both deaths in the journal" await 5 eval '[ "$(events 3ff3f6ab85e9435bba6d31a160d06300 BACHBOX_RESTARTS)" = 2 ]'
check "for which the service was not restarted" [ "$(property NRestarts)" = 0 ]
sleep 2

kill -9 "$(property MainPID)"
check "daemon killed, systemd starts another" await 30 restarted 1
check "which knows the tempo" status_says "97 beats"

mkdir -p /run/systemd/system/bachbox.service.d
printf '[Service]\nWatchdogSec=6s\n' >/run/systemd/system/bachbox.service.d/soon.conf
systemctl daemon-reload
systemctl restart bachbox
check "the watchdog leaves alone what plays" eval 'sleep 14; restarted 0'
kill -STOP "$(property MainPID)"
check "daemon hangs, the watchdog replaces it" await 40 restarted 1
check "the journal has the watchdog's word" eval 'journalctl -b -u bachbox | grep -q "Watchdog timeout"'
check "and the tempo is kept" status_says "97 beats"

begun=$(date +%s%N)
check "it stops" systemctl stop bachbox
echo "      in $((($(date +%s%N) - begun) / 1000000)) ms"
check "and leaves no process" eval '! pgrep -u bachbox'
echo "tempo = 1" >>/etc/bachbox/bachbox.toml
check "a wrong config is not tried again and again" eval '! systemctl start bachbox; sleep 3; [ "$(property NRestarts)" = 0 ] && systemctl is-failed -q bachbox'
journalctl -b -u bachbox -o short-monotonic >/proof/journal
: >/proof/done
systemctl poweroff
