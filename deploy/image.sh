#!/bin/bash
# Builds the SD card image for a Raspberry Pi 3 or 4 from Debian 13 and the Bachbox package:
#   sudo make image
# The result is build/image/bachbox.img. It has a FAT partition with bachbox.txt, which any computer
# can edit, a read-only root, and a small journalled file system for the settings. No loop device is
# needed. Needs mmdebstrap, lintian, qemu-user-static and arch-test (on other processors),
# device-tree-compiler, dosfstools, mtools, fdisk.
set -euo pipefail
umask 022

here=$(cd "$(dirname "$0")/.." && pwd)
out="$here/build/image"
image="$out/bachbox.img"
boot_mib=256
state_mib=64
# QEMU needs the size of a card to be a power of two.
card_mib=2048
root_mib=$((card_mib - boot_mib - state_mib - 8))

step=0
say() {
    step=$((step + 1))
    printf '[%d/6, %4d s] %s\n' $step $SECONDS "$1"
}
fail() {
    echo "image.sh: $1" >&2
    exit 1
}
[ "$(id -u)" -eq 0 ] || fail "this needs root; run: sudo make image"
for tool in mmdebstrap lintian dtc mkfs.vfat mcopy sfdisk mkfs.ext4; do
    command -v $tool >/dev/null || fail "$tool is missing; apt install mmdebstrap qemu-user-static arch-test lintian device-tree-compiler dosfstools mtools fdisk e2fsprogs"
done

say "Building the package for ARM"
package=${PACKAGE:-$("$here/deploy/deb.sh" trixie arm64)}

say "Making a Debian 13 for the Pi"
# shellcheck disable=SC2046  # the names are words on purpose
tree=$("$here/deploy/tree.sh" trixie arm64 $(cat "$here/deploy/card/packages"))

say "Installing Bachbox"
work=$(mktemp -d /var/tmp/bachbox-image.XXXXXX)
root="$work/root"
tidy() {
    ! mountpoint --quiet "$root/proc" || umount "$root/proc"
    ! mountpoint --quiet "$root" || umount "$root"
    rm -rf --one-file-system "$work"
}
trap tidy EXIT
mkdir "$work/upper" "$work/overlay" "$root"
# An overlay, so that the tree stays unchanged for the next image.
mount -t overlay -o "lowerdir=$tree,upperdir=$work/upper,workdir=$work/overlay" overlay "$root"
mount -t proc proc "$root/proc"
cp -r "$here/deploy/card/root/." "$root/"
install -D -m 755 -t "$root/usr/lib/bachbox-card" "$here"/deploy/card/{settings,hotspot}.py
install -m 644 -t "$root/usr/lib/bachbox-card" "$here"/deploy/card/{dac.py,hotspot.html}
cp "$package" "$root/tmp/"
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
mkdir -p "$out"
cp --remove-destination /etc/resolv.conf "$root/etc/resolv.conf"
inside sh -c 'apt-get install --quiet=2 --yes --no-install-recommends /tmp/bachbox_*.deb' >"$out/log" 2>&1 ||
    { tail -n 20 "$out/log" >&2; fail "apt install failed"; }
# The folder for the settings, in case their file system cannot be mounted.
owner=$(inside id -u bachbox):$(inside id -g bachbox)
install -d -m 750 "$root/var/lib/bachbox"
chown "$owner" "$root/var/lib/bachbox"
inside systemctl --quiet enable bachbox-card.service bachbox-card-beeps.service bachbox-hotspot.service systemd-networkd.service systemd-resolved.service wpa_supplicant@wlan0.service
inside systemctl --quiet disable systemd-networkd-wait-online.service wpa_supplicant.service
# These write to the root from time to time.
inside systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service
ln -sf /run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
# Each box makes its own at each start.
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id"
# No login is needed.
inside passwd --quiet --lock root
# Write config.txt and cmdline.txt again, with the settings in /etc/default.
inside env DEB_MAINT_PARAMS=configure /etc/kernel/postinst.d/z50-raspi-firmware >>"$out/log" 2>&1
rm -rf "$root"/tmp/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/root/.cache
umount "$root/proc"

say "Making the boot partition"
cp "$here/deploy/card/bachbox.txt" "$root/boot/firmware/"
cp "$here/bachbox.example.toml" "$root/boot/firmware/"
truncate --size ${boot_mib}M "$work/boot.img"
mkfs.vfat -F 32 -n BACHBOX "$work/boot.img" >/dev/null
mkdir -p "$root/boot/firmware/overlays"
dtc -q -@ -I dts -O dtb -o "$root/boot/firmware/overlays/bachbox-dac.dtbo" "$here/deploy/card/bachbox-dac.dts"
# The firmware applies it at the start; it must fit the device trees of this kernel.
for board in bcm2837-rpi-3-b bcm2837-rpi-3-b-plus bcm2711-rpi-4-b; do
    fdtoverlay -i "$root/boot/firmware/$board.dtb" -o "$work/applied.dtb" "$root/boot/firmware/overlays/bachbox-dac.dtbo" ||
        fail "deploy/card/bachbox-dac.dts does not fit $board"
done
mcopy -s -i "$work/boot.img" "$root"/boot/firmware/* ::/
rm -rf "$root"/boot/firmware/*

say "Making the root and the file system for the settings"
truncate --size ${root_mib}M "$work/root.img"
mkfs.ext4 -q -L bachbox-root -m 0 -d "$root" "$work/root.img"
truncate --size ${state_mib}M "$work/state.img"
mkfs.ext4 -q -L bachbox-state -m 0 -E "lazy_itable_init=0,root_owner=$owner" "$work/state.img"

say "Making the card image"
truncate --size ${card_mib}M "$work/card.img"
sfdisk --quiet "$work/card.img" <<PARTITIONS
label: dos
start=4MiB, size=${boot_mib}MiB, type=c, bootable
start=$((4 + boot_mib))MiB, size=${root_mib}MiB, type=83
start=$((4 + boot_mib + root_mib))MiB, size=${state_mib}MiB, type=83
PARTITIONS
at=4
for part in boot root state; do
    dd if="$work/$part.img" of="$work/card.img" bs=1M seek=$at conv=notrunc,sparse status=none
    size="${part}_mib"
    at=$((at + ${!size}))
done
mv "$work/card.img" "$image"
echo "$image: for a card of $((card_mib / 1024)) GiB or more; $(du -m "$image" | cut -f1) MiB used; took $SECONDS s"
