"""The console script: a job of a warm server where there is one, else `fullchain.cli`.

Here and in `fullchain.warm_start.client` little is imported: this is all that a warm job waits for
before it is handed over.
"""

import os
import sys


def _is_step(words: list[str]) -> bool:
    """Tell whether the first two words name a module of a stage; the rest is quick enough cold."""
    if len(words) < 2 or not all(word.replace("-", "_").isidentifier() for word in words[:2]):
        return False
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - see above
    return os.path.isfile(  # noqa: PTH113
        os.path.join(folder, words[0], words[1].replace("-", "_") + ".py")  # noqa: PTH118
    )


def main() -> None:
    """Run the command line, in a warm process if `FULLCHAIN_SERVER` names a server."""
    server = os.environ.get("FULLCHAIN_SERVER")
    if server and _is_step(sys.argv[1:]):
        from fullchain.warm_start import client

        try:
            client.hand_over(server)
        except client.NotTakenError as problem:
            print(f"warm start: {problem}; this job starts cold", file=sys.stderr, flush=True)
    from fullchain.cli import main as start

    start()
