#!/bin/bash
# Runs in the booted machine at each start; tests/systemd/run.sh update starts it, and pulls the plug.
# shellcheck disable=SC2016,SC2034  # eval expands them
config=/etc/bachbox/bachbox.toml
plays() { systemctl is-active -q bachbox && [[ $(property StatusText) == *Playing*"111 beats"* ]]; }
version() { dpkg-query --show --showformat='${Version}' bachbox; }
config_is_kept() { grep -qx 'volume = 33.0' $config; }
whole() { # as it must be after any start
    await 240 eval '[ ! -e /var/lib/bachbox-update/pending ] && ! systemctl is-active -q bachbox-update && plays' &&
        [ -z "$(dpkg --audit)" ] && dpkg --verify bachbox | grep -v "$config" | { ! grep .; } && config_is_kept
}
other_version() { # name, what to do to its files
    rm -rf /root/other
    dpkg-deb -R /root/bachbox_*.deb /root/other
    sed -i "s/^Version: .*/&$1/" /root/other/DEBIAN/control
    eval "$2"
    (cd /root/other && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
    dpkg-deb -Zgzip -z1 -b /root/other "/root/$1.deb" >/dev/null
}

if [ ! -e /proof/prepared ]; then
    sed -i -e 's/^output = .*/output = "null"/' -e 's/^volume = .*/volume = 33.0/' "$config"
    systemctl restart bachbox
    bachbox set tempo=111 >/dev/null
    check "it plays" await 60 plays
    old=$(version)
    for what in empty damaged foreign; do
        case $what in
            empty) : >/root/wrong.deb ;;
            damaged) head -c 2000000 /root/bachbox_*.deb >/root/wrong.deb ;;
            foreign) mkdir -p /root/foreign/DEBIAN && printf 'Package: other\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y.z>\nDescription: x\n' >/root/foreign/DEBIAN/control && dpkg-deb -b /root/foreign /root/wrong.deb >/dev/null ;;
        esac
        check "a file that is $what is refused" eval '! bachbox-update /root/wrong.deb && [ "$(version)" = "$old" ] && plays'
    done
    # Each file differs, and some are there in one version only.
    other_version +newer 'find /root/other/usr/lib/bachbox -name "*.py" -exec sh -c "for f; do echo >>\$f; done" - {} +; touch /root/other/usr/lib/bachbox/new'
    other_version +broken 'echo "raise SystemExit(3)" >/root/other/usr/lib/bachbox/lib/python3*/site-packages/appliance/cli/play.py'
    begun=$SECONDS
    check "it is updated" bachbox-update /root/+newer.deb
    echo $((SECONDS - begun)) >/proof/takes
    check "to the newer version, and plays as before" eval '[ "$(version)" = "$old+newer" ] && plays && config_is_kept'
    check "one that does not play" eval '! bachbox-update /root/+broken.deb'
    check "leaves the version before, which plays as before" eval '[ "$(version)" = "$old+newer" ] && whole'
    check "it goes back" bachbox-update --back
    check "to the version before, and plays as before" eval '[ "$(version)" = "$old" ] && whole'
    : >/proof/prepared
else
    check "after plug $(cat /proof/pulls): plays, nothing half installed ($(version))" whole
fi
count=$(($(cat /proof/pulls 2>/dev/null || echo 0) + 1))
if [ $count -gt "$(cat /proof/times)" ]; then
    check "it goes back or forth after all" bachbox-update /root/+newer.deb
    check "and plays" whole
    journalctl -u bachbox -o short-monotonic >/proof/journal
    : >/proof/done
    systemctl poweroff
    exit
fi
echo $count >/proof/pulls
sync
: >"/proof/pull-$count"
files=(/root/bachbox_*.deb)
[[ $(version) == *+newer ]] || files=(/root/+newer.deb)
bachbox-update "${files[0]}"
sleep 600
