#!/bin/bash
# Makes the disk of a whole machine, a plain Debian 13 with Bachbox's package installed the user's way:
#   tests/machine/disk.sh amd64|arm64 FOLDER
# FOLDER gets disk.img (ext4, no partitions), vmlinuz and initrd.img. PACKAGE=file: one built before.
set -euo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
architecture=$1
out=$2
package=${PACKAGE:-$("$here/deploy/deb.sh" trixie "$architecture")}
tree=$("$here/deploy/tree.sh" trixie "$architecture" systemd systemd-sysv dbus udev kmod \
    "linux-image-$architecture" initramfs-tools zstd alsa-utils \
    python3 libfluidsynth3 libportaudio2 opus-tools timgm6mb-soundfont)

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
cp /etc/resolv.conf "$root/etc/resolv.conf"
inside sh -c 'apt-get install --quiet=2 --yes --no-install-recommends /tmp/bachbox_*.deb' >"$out/install" 2>&1
rm "$root"/tmp/bachbox_*.deb

echo "/dev/vda / ext4 rw,noatime 0 1" >"$root/etc/fstab"
echo machine >"$root/etc/hostname"
mkdir -p "$root/var/log/journal" "$root/etc/systemd/system/bachbox.service.d"
# A plain sound, so that its pitches can be told; the music is known by its seed.
sed -i -e 's/^#seed = .*/seed = 1685/' -e 's/^#instrument = .*/instrument = "Ocarina"/' "$root/etc/bachbox/bachbox.toml"
# Emulated, everything takes many times as long; what is shown here is not how soon.
printf '[Service]\nTimeoutStartSec=900s\nWatchdogSec=0\n' >"$root/etc/systemd/system/bachbox.service.d/slow.conf"
if [ "$architecture" = arm64 ]; then
    sed -i 's/^#encoders = .*/encoders = [{ turns = "tempo", a = 0, b = 1, step = 2 }]/' "$root/etc/bachbox/bachbox.toml"
    # The machine is no Raspberry Pi; gpiozero is told that it is one, with the same lines.
    printf 'Revision : a02082\n' >"$root/etc/cpuinfo"
    printf '[Service]\nEnvironment=GPIOZERO_PIN_FACTORY=lgpio\nBindReadOnlyPaths=/etc/cpuinfo:/proc/cpuinfo\n' \
        >"$root/etc/systemd/system/bachbox.service.d/pins.conf"
fi
cat >"$root/usr/local/sbin/agent" <<'AGENT'
#!/bin/bash
# Runs each line that comes through the port and answers with what it said, and a line with its code.
exec 3<>/dev/virtio-ports/agent
while read -r line <&3; do
    said=$(eval "$line" 2>&1 </dev/null)
    printf '%s\n\004%d\n' "$said" $? >&3
done
AGENT
chmod +x "$root/usr/local/sbin/agent"
cat >"$root/etc/systemd/system/agent.service" <<'UNIT'
[Unit]
DefaultDependencies=no
After=local-fs.target
[Service]
ExecStart=/usr/local/sbin/agent
Restart=always
RestartSec=1
[Install]
WantedBy=sysinit.target
UNIT
inside systemctl --quiet enable agent.service
umount "$root/proc"
cp "$root"/boot/vmlinuz-* "$out/vmlinuz"
cp "$root"/boot/initrd.img-* "$out/initrd.img"
rm -f "$root"/boot/*
rm -f "$out/disk.img"
truncate --size 2G "$out/disk.img"
mkfs.ext4 -q -d "$root" "$out/disk.img"
