# shellcheck shell=bash
# What both scripts that run in the booted machine begin with; tests/systemd/run.sh puts it before them.
exec >>/proof/log 2>&1
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
await() { # seconds, after which it hangs, command...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}
