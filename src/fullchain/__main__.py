"""``python -m fullchain``."""

from fullchain.entry import main

if __name__ == "__main__":
    main()
