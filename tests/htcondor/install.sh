#!/usr/bin/env bash
# Put the daemons of HTCondor 23 into a folder of their own; nothing is started. Needs root and Debian's debootstrap.
#
# Debian 12 has no package of HTCondor, Debian 13 has: a small tree of Debian 13 is unpacked, and its programs are
# told to use the libraries of that tree. They then run here like any program, and their jobs see this machine.
set -euo pipefail
tree=${FULLCHAIN_HTCONDOR:-/opt/fullchain-htcondor}
if [ -e "$tree/complete" ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "HTCondor is not in $tree, and only root can put it there" >&2
    exit 1
fi
if ! command -v debootstrap > /dev/null || ! command -v patchelf > /dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends debootstrap patchelf
fi
rm -rf "$tree"
debootstrap --variant=minbase trixie "$tree" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" > /dev/null
# Packages would start their daemons.
printf '#!/bin/sh\nexit 101\n' > "$tree/usr/sbin/policy-rc.d"
chmod +x "$tree/usr/sbin/policy-rc.d"
chroot "$tree" env DEBIAN_FRONTEND=noninteractive sh -c \
    'apt-get update -qq && apt-get install -qq --no-install-recommends htcondor && apt-get clean' > /dev/null
libraries="$tree/usr/lib/$(uname -m)-linux-gnu"
loader=$(basename "$(find "$libraries" -maxdepth 1 -name 'ld-linux-*.so.*' | head -n 1)")
find "$tree"/usr/{bin,sbin,libexec/condor} -type f -path '*condor*' | while read -r program; do
    if patchelf --print-interpreter "$program" > /dev/null 2>&1; then
        patchelf --set-interpreter "$libraries/$loader" --force-rpath --set-rpath "$libraries:$tree/usr/lib" "$program"
    fi
done
"$tree/usr/bin/condor_version" > /dev/null
touch "$tree/complete"
