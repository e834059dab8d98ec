"""The card's Wi-Fi ``bachbox-setup``, over radios of the kernel's own (mac80211_hwsim).

Three radios: the box, a phone that joins its Wi-Fi and fills in the page, and the house's Wi-Fi,
which the box joins then. Phone and house are in network namespaces.
"""

from __future__ import annotations

import time
from typing import Final

from tests.machine.machine import Machine
from tests.machine.making import PLAYS, machine, say

_HOUSE: Final = """
ctrl_interface=/run/house
network={
    mode=2
    frequency=2412
    ssid="House"
    key_mgmt=WPA-PSK
    proto=RSN
    pairwise=CCMP
    psk="correct horse"
}
"""

_PHONE: Final = """
ctrl_interface=/run/phone
network={
    ssid="bachbox-setup"
    psk="bachbox-setup"
}
"""

_PAGE: Final = """
import sys, urllib.parse, urllib.request
fields = dict(field.split("=", 1) for field in sys.argv[2:])
data = urllib.parse.urlencode(fields).encode() if fields else None
try:
    answer = urllib.request.urlopen(sys.argv[1], data, timeout=60)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.read().decode())
"""

_RADIOS: Final = """
modprobe mac80211_hwsim radios=3
for who in phone:1 house:2; do
    ip netns add ${who%:*}
    iw phy phy${who#*:} set netns name ${who%:*}
    ip netns exec ${who%:*} ip link set lo up
done
ip netns exec house wpa_supplicant -B -i wlan2 -c /root/house.conf
ip netns exec house ip address add 10.9.8.1/24 dev wlan2
ip netns exec house dnsmasq --conf-file=/dev/null --pid-file= --no-resolv --port=0 \
    --interface=wlan2 --bind-interfaces --dhcp-range=10.9.8.10,10.9.8.20 --dhcp-authoritative
"""


def page(box: Machine, address: str, *fields: str) -> str:
    """What the phone's browser gets: the status, and the page."""
    given = " ".join(f"'{field}'" for field in fields)
    return box.answer(f"ip netns exec phone python3 /root/page.py {address} {given}")


def prove_hotspot() -> None:
    with machine("amd64", "hotspot") as box:
        box.start()
        box.await_("true", "an answer")
        # Emulated, it leaves the network too little time.
        box.answer("systemctl stop bachbox")
        for name, content in (("house.conf", _HOUSE), ("phone.conf", _PHONE), ("page.py", _PAGE)):
            box.write(f"/root/{name}", content)
        box.write("/root/radios.sh", _RADIOS)
        box.answer("bash -e /root/radios.sh >/run/radios 2>&1")
        box.answer("systemctl start bachbox-card && systemctl start --no-block bachbox-hotspot")
        began = time.monotonic()
        box.await_("iw dev wlan0 info | grep -q 'type AP' && ss -tln | grep -q :8081", "the Wi-Fi")
        say(f"hotspot: bachbox-setup is open {time.monotonic() - began:.0f} s after the start")
        box.answer("ip netns exec phone wpa_supplicant -B -i wlan1 -c /root/phone.conf")
        join = "ip netns exec phone udhcpc -i wlan1 -n -q -t 20 -s /etc/udhcpc/default.script"
        box.await_(f"{join} >/run/udhcpc 2>&1", "an address for the phone")
        say(f"hotspot: a phone has joined: {box.answer('ip netns exec phone ip -br -4 address')}")
        first = page(box, "http://192.168.77.1/")
        assert first.startswith("200"), first
        assert 'value="House"' in first, "the house's Wi-Fi was not found: " + first
        say("hotspot: its page names the Wi-Fi networks around")
        short = page(box, "http://192.168.77.1/", "name=House", "password=short")
        assert short.startswith("422"), short
        done = page(box, "http://192.168.77.1/", "name=House", "password=correct horse")
        assert done.startswith("200"), done
        box.answer("grep -qx 'wifi_password = \"correct horse\"' /boot/firmware/bachbox.txt")
        say("hotspot: what was entered is in bachbox.txt")
        box.await_("iw dev wlan0 link | grep -q 'SSID: House'", "the house's Wi-Fi")
        box.await_("ip -br -4 address show wlan0 | grep -q ' 10[.]9[.]8[.]'", "an address in it")
        address = box.answer("ip -br -4 address show wlan0").split()[2].partition("/")[0]
        say(f"hotspot: the box has joined the house's Wi-Fi, with the address {address}")
        box.await_("! systemctl is-active -q bachbox-hotspot", "the end of the hotspot")
        box.answer("systemctl start --no-block bachbox")
        box.await_(PLAYS, "music")
        home = box.answer(f"ip netns exec house python3 /root/page.py http://{address}/")
        assert home.startswith("200"), home
        assert "<title>Bachbox" in home, home
        say("hotspot: it plays, and somebody in the house gets its page")
