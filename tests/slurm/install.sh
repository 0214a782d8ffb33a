#!/usr/bin/env bash
# Install the daemons of SLURM from Debian where they are not there; nothing is started.
set -euo pipefail
missing=0
for program in munged slurmctld slurmd sbatch; do
    command -v "$program" > /dev/null || missing=1
done
if [ "$missing" = 1 ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "SLURM is not installed: apt-get install munge slurmctld slurmd slurm-client (as root)" >&2
        exit 1
    fi
    # Packages would start their daemons, with a configuration that is not there.
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
        munge slurmctld slurmd slurm-client slurm-wlm-basic-plugins
fi
