"""Debian's Chromium, as the tests start it."""

import shutil
from typing import Final

CHROMIUM: Final = shutil.which("chromium") or "/usr/bin/chromium"
#: As root it has no sandbox of its own.
ARGUMENTS: Final = ["--no-sandbox"]
