"""Work that goes on in threads meanwhile."""

import threading

from service import PATIENCE


class Background:
    """Works in its threads as long as a `with` lasts; they look at `is_over` now and then, and end."""

    def __init__(self, *work):
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=each) for each in work]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            # What is under way is repeated until it is answered well, for so long.
            thread.join(2 * PATIENCE)
