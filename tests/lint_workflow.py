"""Run `snakemake --lint` and fail on anything but what is chosen on purpose.

Chosen on purpose: one pinned environment for all rules (envs/), so that no rule names a conda
environment or a container; and the Snakefile's functions in rules/common.smk, which build paths.
"""

import re
import subprocess
import sys

ACCEPTED = (
    "Specify a conda environment or container for each rule.",
    "Mixed rules and functions in same snakefile.",
)


def main() -> None:
    """Print the remaining lints; exit 1 if there are any, or if the linter did not run."""
    # The environment's own snakemake, whether or not the environment is on the PATH.
    command = [sys.executable, "-m", "snakemake", "--lint"]
    run = subprocess.run(command, capture_output=True, text=True)
    output = run.stdout + run.stderr
    titles = re.findall(r"^    \* (.*?):?$", output, re.MULTILINE)
    if not titles and "Congratulations" not in output:
        sys.exit(f"snakemake --lint said nothing that is understood:\n{output}")
    place, wanted, found = "", False, 0
    for line in output.splitlines():
        if line.startswith("Lints for"):
            place = line
        elif line.startswith("    * "):
            wanted = not line[6:].startswith(ACCEPTED)
            found += wanted
            if wanted:
                print(place)
        if wanted and line.startswith("    "):
            print(line)
    print(f"workflow lint: {found} findings, {len(titles) - found} accepted")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
