#!/bin/bash
# Makes the disk of a whole machine, a plain Debian 13 with Bachbox's package installed the user's way:
#   tests/machine/disk.sh amd64|arm64 FOLDER [hotspot]
# hotspot: with what a card has for its Wi-Fi bachbox-setup.
# FOLDER gets fresh.img (ext4, no partitions), vmlinuz and initrd.img. PACKAGE=file: one built before.
# What Debian does at a start and a box has no need of is left out, for emulated it takes minutes.
set -euo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
architecture=$1
out=$2
with=${3:-}
package=${PACKAGE:-$("$here/deploy/deb.sh" trixie "$architecture")}
if [ "$architecture" = arm64 ]; then
    # The card's, which takes long to make.
    packages=$(cat "$here/deploy/card/packages")
else
    packages="systemd systemd-sysv dbus udev kmod linux-image-$architecture initramfs-tools zstd alsa-utils \
        python3 libfluidsynth3 libportaudio2 opus-tools timgm6mb-soundfont"
fi
# shellcheck disable=SC2086  # the names are words on purpose
tree=$("$here/deploy/tree.sh" trixie "$architecture" $packages)

work=$(mktemp -d /var/tmp/bachbox-disk.XXXXXX)
root="$work/root"
tidy() {
    ! mountpoint --quiet "$root/proc" || umount "$root/proc"
    ! mountpoint --quiet "$root" || umount "$root"
    rm -rf --one-file-system "$work"
}
trap tidy EXIT
mkdir -p "$work/upper" "$work/overlay" "$root" "$out"
mount -t overlay -o "lowerdir=$tree,upperdir=$work/upper,workdir=$work/overlay" overlay "$root"
mount -t proc proc "$root/proc"
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
cp "$package" "$root/tmp/"
cp --remove-destination /etc/resolv.conf "$root/etc/resolv.conf"
inside sh -c 'apt-get install --quiet=2 --yes --no-install-recommends /tmp/bachbox_*.deb' >"$out/install" 2>&1
rm "$root"/tmp/bachbox_*.deb
if [ "$with" = hotspot ]; then
    inside apt-get install --quiet=2 --yes --no-install-recommends wpasupplicant dnsmasq-base nftables iproute2 iw udhcpc >>"$out/install" 2>&1
    for file in network system/bachbox-card.service system/bachbox-hotspot.service system/bachbox.service.d system/wpa_supplicant@wlan0.service.d; do
        cp -r "$here/deploy/card/root/etc/systemd/$file" "$root/etc/systemd/$(dirname "$file")/"
    done
    install -D -m 755 -t "$root/usr/lib/bachbox-card" "$here"/deploy/card/{settings,hotspot}.py
    install -m 644 -t "$root/usr/lib/bachbox-card" "$here"/deploy/card/{dac.py,hotspot.html}
    install -D -m 644 -t "$root/boot/firmware" "$here/deploy/card/bachbox.txt"
    # The card has a file system of its own for the settings.
    inside install -d -m 750 -o bachbox -g bachbox /var/lib/bachbox
fi

echo "/dev/vda / ext4 rw,noatime 0 1" >"$root/etc/fstab"
echo machine >"$root/etc/hostname"
# With an identity it is no first start, at which systemd would ask questions on the console.
md5sum <<<"$architecture" | cut -d' ' -f1 >"$root/etc/machine-id"
mkdir -p "$root/var/log/journal" "$root/etc/systemd/system/bachbox.service.d"
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service \
    systemd-hwdb-update.service systemd-journal-catalog-update.service ldconfig.service systemd-binfmt.service \
    systemd-logind.service systemd-pstore.service systemd-resolved.service systemd-timesyncd.service systemd-networkd.service \
    wpa_supplicant.service avahi-daemon.service avahi-daemon.socket polkit.service getty.target \
    rpi-set-sysconf.service rpi-reconfigure-raspi-firmware.service alsa-restore.service alsa-state.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
if [ "$with" = hotspot ]; then rm "$root/etc/systemd/system/systemd-networkd.service"; fi
touch "$root/etc/.updated" "$root/var/.updated"
# A plain sound, so that its pitches can be told; the music is known by its seed.
sed -i -e 's/^#seed = .*/seed = 1685/' -e 's/^#instrument = .*/instrument = "Ocarina"/' "$root/etc/bachbox/bachbox.toml"
# Emulated, everything takes many times as long; what is shown here is not how soon.
printf '[Service]\nTimeoutStartSec=900s\nWatchdogSec=0\n' >"$root/etc/systemd/system/bachbox.service.d/slow.conf"
if [ "$architecture" = arm64 ]; then
    sed -i 's/^#encoders = .*/encoders = [{ turns = "tempo", a = 0, b = 1, step = 2 }]/' "$root/etc/bachbox/bachbox.toml"
    # The machine is no Raspberry Pi; gpiozero is told that it is one, with the same lines.
    # The rest has to be true: the runtime reads there what the processor can do.
    cat >"$root/etc/systemd/system/cpuinfo.service" <<'UNIT'
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c '{ cat /proc/cpuinfo; echo "Revision : a02082"; } >/run/cpuinfo'
UNIT
    cat >"$root/etc/systemd/system/bachbox.service.d/pins.conf" <<'UNIT'
[Unit]
Requires=cpuinfo.service
After=cpuinfo.service
[Service]
Environment=GPIOZERO_PIN_FACTORY=lgpio
BindReadOnlyPaths=/run/cpuinfo:/proc/cpuinfo
UNIT
fi
cat >"$root/usr/local/sbin/agent" <<'AGENT'
#!/bin/bash
# Runs each line that comes through the port and answers with what it said, and a line with its code.
exec 3<>/dev/virtio-ports/agent
while true; do
    # Nobody is there yet, or any longer.
    read -r line <&3 || { sleep 1; continue; }
    said=$(eval "$line" 2>&1 </dev/null)
    printf '%s\n\004%d\n' "$said" $? >&3
done
AGENT
chmod +x "$root/usr/local/sbin/agent"
cat >"$root/etc/systemd/system/agent.service" <<'UNIT'
[Unit]
DefaultDependencies=no
After=local-fs.target
StartLimitIntervalSec=0
[Service]
ExecStart=/usr/local/sbin/agent
Restart=always
RestartSec=1
[Install]
WantedBy=sysinit.target
UNIT
inside systemctl --quiet enable agent.service
# An initial RAM disk with what this machine has, not with what any could have.
echo 'MODULES=list' >"$root/etc/initramfs-tools/conf.d/machine"
printf 'virtio_pci\nvirtio_blk\next4\n' >>"$root/etc/initramfs-tools/modules"
kernel=$(basename "$root"/boot/vmlinuz-*)
inside mkinitramfs -o /boot/initrd.machine "${kernel#vmlinuz-}"
umount "$root/proc"
cp "$root/boot/$kernel" "$out/vmlinuz"
mv "$root/boot/initrd.machine" "$out/initrd.img"
rm -rf "$root"/boot/{vmlinuz,initrd,config,System}* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
rm -f "$out/fresh.img"
truncate --size 2G "$out/fresh.img"
mkfs.ext4 -q -d "$root" -E lazy_itable_init=0,lazy_journal_init=0 "$out/fresh.img"
