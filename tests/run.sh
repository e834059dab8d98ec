#!/bin/bash
# Runs the tests, tier by tier, and stops after the first tier that fails:
#   tests/run.sh [unit|process|sound|debian] [argument of pytest ...]
# unit     nothing is started; in parallel
# process  commands and whole boxes, without a sound card; in parallel
# sound    a virtual sound card, a browser, a broker; in parallel, a card for each worker
# debian   Debian 13 and 12, booted one after the other, with the package installed (root only); in parallel
#          with sound
# The environment in $VENV is used. The last lines of every tier are printed again at the end.
set -uo pipefail

cd "$(dirname "$0")/.." || exit
python=${VENV:-.venv}/bin/python
tiers="unit process sound debian"
case ${1:-} in
    unit | process | sound | debian) tiers=$1 && shift ;;
    "" | -*) ;;
    *) echo "tests/run.sh: there is no tier '$1'; there are $tiers" >&2 && exit 2 ;;
esac

# Tests of processes and sound mostly wait, for real time to pass; so more of them run at once.
cores=$(nproc)
waiting=$((cores < 5 ? cores * 2 + 2 : 12))
by_module=(--dist=loadscope --no-loadscope-reorder)
logs=build/tests
mkdir -p $logs
rm -f $logs/*.summary
suites="trixie bookworm"
making=
booting=
recap() {
    # It takes its machine along.
    [ -z "$booting" ] || { kill "$booting" 2>/dev/null && wait "$booting"; }
    # An mmdebstrap that is killed leaves this machine's /dev mounted in its Debian.
    [ -z "$making" ] || ! kill -0 "$making" 2>/dev/null || { echo "Waiting for the Debian that is being made"; wait "$making"; }
    echo
    for tier in $tiers; do
        [ ! -e $logs/"$tier".summary ] || printf '%-8s %s\n' "$tier" "$(cat $logs/"$tier".summary)"
    done
    echo "load average $(cut -d' ' -f1-3 /proc/loadavg) on $(nproc) cores, $SECONDS s in all"
}
trap recap EXIT

pytest() { # tier, argument ...
    local tier=$1
    shift
    echo "--- tests: $tier"
    "$python" -m pytest -m "$tier" --durations=20 "$@" 2>&1 | tee $logs/"$tier".log
    local code=${PIPESTATUS[0]}
    grep -E '(passed|failed|error|no tests ran|deselected).* in [0-9.]+s' $logs/"$tier".log | tail -n1 | tr -d '=' | sed 's/^ *//' >$logs/"$tier".summary
    grep -E '^repeated: ' $logs/"$tier".log >>$logs/"$tier".summary
    # 5: no test of this tier was asked for.
    [ "$code" -eq 0 ] || [ "$code" -eq 5 ] || { [ "$code" -eq 1 ] && again "$tier"; }
}

# On a machine with much else to do, a test of processes or sound may fail because it got no time.
# A few that failed are run once more, alone; the last lines name them. More than a few are a fault.
most_again=3
again() { # tier
    local log=$logs/$1 failed
    [ "$1" != unit ] || return 1
    mapfile -t failed < <(grep -aoE '^(FAILED|ERROR) tests/[^ ]+::.*' "$log.log" | sed -E 's/^[A-Z]+ //; s/ - .*//' | sort -u)
    [ ${#failed[@]} -gt 0 ] && [ ${#failed[@]} -le $most_again ] || return 1
    echo "--- tests: $1: once more, alone: ${failed[*]}"
    "$python" -m pytest --numprocesses=0 "${failed[@]}" 2>&1 | tee "$log-again.log"
    [ "${PIPESTATUS[0]}" -eq 0 ] || return 1
    printf 'repeated: failed beside others, passed alone: %s\n' "${failed[@]}" >>"$log.summary"
}

make_debian() { # in the background, as long as nothing listens
    nice -n 19 bash -c 'for suite; do SUITE=$suite tests/systemd/run.sh make || exit; done' - $suites \
        >$logs/debian-made 2>$logs/debian-made.log &
    making=$!
}

family() { # the process and its descendants
    echo "$1"
    local child
    for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do family "$child"; done
}

await_debian() {
    local pids
    [ -n "$making" ] || return 0
    echo "--- Waiting for the Debian and the package"
    # Nothing else runs meanwhile.
    mapfile -t pids < <(family "$making")
    renice -n 0 -p "${pids[@]}" &>/dev/null
    wait "$making" || {
        cat $logs/debian-made.log >&2
        echo "failed: the Debian or the package could not be made" >$logs/debian.summary
        exit 1
    }
    making=
}

boot_all() { # one after the other
    local child= line=0
    # A machine that is left alone would run on.
    trap 'kill "$child" 2>/dev/null; wait "$child"; exit 1' TERM
    for suite in $suites; do
        line=$((line + 1))
        SUITE=$suite PACKAGE=$(sed -n ${line}p $logs/debian-made) tests/systemd/run.sh &
        child=$!
        wait "$child" || exit
    done
}

boot_debian() { # in the background; it mostly waits, too
    [ "$(id -u)" -eq 0 ] || return 0
    [ -n "$making" ] || [ -s $logs/debian-made ] || make_debian
    await_debian
    boot_all >$logs/debian.log 2>&1 &
    booting=$!
}

debian() {
    if [ "$(id -u)" -ne 0 ]; then
        echo "not run: only root may boot a machine; sudo make test TIER=debian does" | tee $logs/debian.summary
        return
    fi
    echo "--- tests: debian"
    [ -n "$booting" ] || boot_debian
    tail --pid="$booting" -n +1 -f $logs/debian.log
    wait "$booting"
    local code=$?
    booting=
    grep -E '^All as it should be|^tests/systemd/run.sh' $logs/debian.log | paste -sd';' >$logs/debian.summary
    return "$code"
}

rm -f $logs/debian-made
if [ "$tiers" = "unit process sound debian" ] && [ "$(id -u)" -eq 0 ]; then make_debian; fi
for tier in $tiers; do
    case $tier in
        unit) pytest unit --numprocesses="$cores" "${by_module[@]}" "$@" || exit 1 ;;
        process) pytest process --numprocesses=$waiting "${by_module[@]}" "$@" || exit 1 ;;
        sound)
            [ "$tiers" = sound ] || boot_debian
            pytest sound --numprocesses=$waiting "${by_module[@]}" "$@" || exit 1
            ;;
        debian) debian || exit 1 ;;
    esac
done
