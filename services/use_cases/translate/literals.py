"""What a text holds besides words: placeholders, tags, addresses, emoji codes.

They must come through letter by letter, and say nothing about the language.
"""

import re
from collections import Counter

LETTER = re.compile(r"[^\W\d_]")
LITERAL = re.compile(
    r"""(?:https?://|www\.)[^\s<>"'«»“”、。，]*[^\s<>"'«»“”、。，.,;:!?)\]]
      | \{\{[^{}\n]{1,80}\}\}
      | \$?\{[^{}\s]{0,60}\}
      | %\([A-Za-z_]\w{0,40}\)[sdifr]
      | (?<!\d)%(?:\d\$)?[-+\#0]?\d{0,3}(?:\.\d{1,2})?[sdifuxXeEgGc@](?![A-Za-z])
      | </?[A-Za-z][^<>\n]{0,200}>
      | &(?:[A-Za-z]{2,10}|\#\d{1,6});
      | (?<![\w:]):[a-z][a-z0-9_+-]{1,40}:(?![\w:])""",
    re.VERBOSE,
)


def literals(text: str) -> Counter[str]:
    """Return what must survive letter by letter, with how often it occurs."""
    return Counter(LITERAL.findall(text))


def without_literals(text: str) -> str:
    """Return the text with a space for each literal."""
    return LITERAL.sub(" ", text)


def has_letters(text: str) -> bool:
    """Tell whether there is anything to translate."""
    return LETTER.search(text) is not None
