#!/bin/sh
# Asks a real Avahi for the services of type _peat._udp, in a mount namespace of its own so that no
# Avahi or D-Bus of this machine notices. To be run by: unshare --mount sh avahi-browse.sh FOLDER
set -eu
folder=$1
mount -t tmpfs none /run
mkdir -p /run/avahi-daemon
cat > "$folder/bus.conf" <<EOF
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>custom</type>
  <listen>unix:path=$folder/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_type="method_call"/>
    <allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
EOF
printf '[server]\nuse-ipv6=no\n[publish]\ndisable-publishing=yes\n' > "$folder/avahi.conf"
DBUS_SYSTEM_BUS_ADDRESS=unix:path=$folder/bus
export DBUS_SYSTEM_BUS_ADDRESS
dbus-daemon --config-file="$folder/bus.conf" --nofork --nopidfile &
bus=$!
# The daemon gives up at once where there is no bus yet.
tries=0
until [ -S "$folder/bus" ] || [ "$tries" -ge 100 ]; do
  tries=$((tries + 1))
  sleep 0.05
done
avahi-daemon --file="$folder/avahi.conf" --no-drop-root --no-chroot --no-rlimits >&2 &
avahi=$!
trap 'kill $avahi $bus' EXIT
tries=0
until avahi-browse --resolve --terminate --parsable _peat._udp > "$folder/found" 2>/dev/null &&
  grep -q '^=' "$folder/found"; do
  tries=$((tries + 1))
  [ "$tries" -lt 40 ] || break
  sleep 0.2
done
cat "$folder/found"
