#!/bin/bash
# Started by HTCondor on a worker: the arguments are the driver's Python, `-m snakemake`, and what to run.
# The programs of its environment are found beside that Python; the worker's own PATH knows nothing of them.
case $1 in
    */*) export PATH="$(dirname "$1"):${PATH:-/usr/bin:/bin}" ;;
esac
# The driver gives a held job up and submits it again. Released by hand it would run a second time.
if grep -q '^NumHolds = [1-9]' "${_CONDOR_JOB_AD:-/dev/null}"; then
    echo "error: this job was held, and the driver has submitted another in its place" >&2
    exit 1
fi
exec "$@"
