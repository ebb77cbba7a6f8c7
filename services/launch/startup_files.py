"""What Python runs by itself at each start: the ``.pth`` files of an environment.

    python -S -m services.launch.startup_files .venv

A line of such a file that begins with ``import`` is run, in every process, before any other code. A
stolen release of a package has brought its thief along in one. So each file, and each line that is run,
has to be one of those known here; ``-S`` keeps them from running while they are looked at. Only the
standard library is imported.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

RUN = re.compile(r"import[ \t]")  # as site.py tells what it runs
# Each with how what it runs begins; the rest is of that package's release, which has a hash.
KNOWN = {
    "a1_coverage.pth": 'import sys; exec(\'import os\\n\\nif os.getenv("COVERAGE_PROCESS_START")',
    "distutils-precedence.pth": "import os; var = 'SETUPTOOLS_USE_DISTUTILS';",
}


def main(folder: Path) -> str | None:
    """Return what is wrong with an environment, None for nothing."""
    found = list(unknown(folder.glob("lib*/python*/site-packages/*.pth")))
    if not found:
        return None
    names = "\n".join(f"  {path}" for path in found)
    return f"Python would run files at its start that nobody knows; look at them with `cat`:\n{names}"


def unknown(files: Iterable[Path]) -> Iterable[Path]:
    """Yield the files that are not known, or that run something else than is known of them."""
    for path in sorted(files):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        run = [line for line in lines if RUN.match(line)]
        begins = KNOWN.get(path.name)
        if begins is None or len(run) != 1 or not run[0].startswith(begins):
            yield path


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
