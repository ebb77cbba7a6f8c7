import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.providers.addresses import Address, addresses
from services.settings import SettingsError

PLANTED = "planted-key"


@pytest.mark.parametrize(
    ("entry", "base_url", "key", "model"),
    [
        ("https://:k3y@host.test/v1#gpt", "https://host.test/v1", "k3y", "gpt"),
        ("https://host.test/v1#gpt", "https://host.test/v1", None, "gpt"),
        ("http://127.0.0.1:11434/v1#qwen2.5:7b", "http://127.0.0.1:11434/v1", None, "qwen2.5:7b"),
        ("http://:k@[::1]:80/v1#m", "http://[::1]:80/v1", "k", "m"),
        ("https://host.test#meta-llama/Llama-3.1-8B", "https://host.test", None, "meta-llama/Llama-3.1-8B"),
        ("https://:a%40b%2Cc%23d%20e@host.test/v1#m%2C1", "https://host.test/v1", "a@b,c#d e", "m,1"),
        ("https://:@host.test/v1#m", "https://host.test/v1", None, "m"),
        ("HTTPS://Host.test/v1#m#tag", "https://Host.test/v1", None, "m#tag"),
    ],
)
def test_entry(entry, base_url, key, model):
    """An address has a base URL, a key or none, and a model."""
    assert addresses([entry]) == (Address(base_url=base_url, model=model, key=key),)


WRONG = [
    f"https://:{PLANTED}@host.test/v1",
    f"https://:{PLANTED}@host.test/v1#",
    f"https://{PLANTED}@host.test/v1#m",
    f"https://{PLANTED}:k@host.test/v1#m",
    f"https://host.test/v1?key={PLANTED}#m",
    f"ftp://:{PLANTED}@host.test/v1#m",
    f"host.test/{PLANTED}#m",
    f"https://:{PLANTED}@/v1#m",
    f"https://:{PLANTED}@host.test:{PLANTED}/v1#m",
    f"https://:{PLANTED}@host.test:99999/v1#m",
    f"https://:{PLANTED}@host.test:0/v1#m",
    f"https://[{PLANTED}/v1#m",
    f"https://host.test/v1#{PLANTED}%0Aforged",
    f"https://host.test/v1#{PLANTED}%20two",
    PLANTED,
]


@pytest.mark.parametrize("entry", WRONG)
def test_wrong_entry(entry):
    """What is no address with a model is refused by its position; nothing of it is repeated."""
    with pytest.raises(SettingsError) as refused:
        addresses(["https://host.test/v1#m", entry])

    assert "GLOSS_PROVIDERS: entry 2 " in str(refused.value)
    assert PLANTED not in str(refused.value)


def test_key_is_not_shown():
    """A key does not get into a log by way of its address."""
    assert PLANTED not in repr(addresses([f"https://:{PLANTED}@host.test/v1#m"]))


@given(st.text())
def test_any_entry(entry):
    """Whatever stands there, it is an address or it is refused."""
    try:
        (address,) = addresses([entry])
    except SettingsError:
        return
    assert address.base_url.startswith("http")
    assert address.model
