from decimal import Decimal

import pytest

from services.cost.price_file import read_prices
from services.cost.prices import Prices, Rate
from services.llm import Tokens
from services.settings import SettingsError

GOOD = """
["gpt-4.1-mini"]
input = 0.40
output = 2

["local.model"]
input = 0
output = 0.1
cached_input = 0.05
reasoning = 0.30
"""


@pytest.fixture
def written(tmp_path):
    file = tmp_path / "prices.toml"

    def write(text: str | bytes):
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    return write


def test_rates(written):
    """A table per model, exact decimals; what is left out is as input, as output."""
    assert read_prices(written(GOOD)) == {
        "gpt-4.1-mini": Rate(
            input=Decimal("0.40"), output=Decimal(2), cached_input=Decimal("0.40"), reasoning=Decimal(2)
        ),
        "local.model": Rate(
            input=Decimal(0), output=Decimal("0.1"), cached_input=Decimal("0.05"), reasoning=Decimal("0.30")
        ),
    }


def test_own_price_beats_the_table(written):
    """A model of the file costs what the file says, wherever it is asked; the others what the table says."""
    prices, used = Prices(read_prices(written(GOOD))), Tokens(input=1_000_000, output=0)

    assert prices.of("gpt-4.1-mini", base_url="http://localhost/v1")(used) == Decimal("0.40")
    assert prices.of("gpt-4.1-nano")(used) == Decimal("0.1")
    assert prices.of("nobody-knows")(used) is None


def test_cached_and_reasoning_have_their_own(written):
    """Cached input and reasoning are parts of input and output, at their own price."""
    price = Prices(read_prices(written(GOOD))).of("local.model")
    used = Tokens(input=3_000_000, output=5_000_000, cached_input=1_000_000, reasoning=2_000_000)

    assert price(used) == Decimal("0.05") + 3 * Decimal("0.1") + 2 * Decimal("0.30")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[m]\ninput = 1", "'output' is missing"),
        ("[m]\ninput = 1\noutput = 1\nimput = 2", "'imput' is none of"),
        ("[m]\ninput = -1\noutput = 1", "input: must be a number of dollars from 0 up"),
        ("[m]\ninput = 1\noutput = true", "output: must be a number of dollars"),
        ("[m]\ninput = '1'\noutput = 1", "input: must be a number of dollars"),
        ("[m]\ninput = nan\noutput = 1", "input: must be a number of dollars"),
        ("[m]\ninput = inf\noutput = 1", "input: must be a number of dollars"),
        ("input = 1", "a model is a table"),
        ("[gpt-4.1]\ninput = 1\noutput = 1", "is none of"),
        ("[m", "is not TOML"),
        (b"\xff", "is not TOML"),
    ],
)
def test_wrong(written, text, told):
    """What is wrong is said, and where."""
    with pytest.raises(SettingsError, match="GLOSS_PRICES") as wrong:
        read_prices(written(text))

    assert told in str(wrong.value)


def test_no_file(tmp_path):
    """A file that is not there is an error, not an empty one."""
    with pytest.raises(SettingsError, match="cannot be read"):
        read_prices(tmp_path / "none.toml")
