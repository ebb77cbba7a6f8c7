"""What a scrape says, as tests ask for it."""

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

Labels = dict[str, str]


def samples(exposed: str) -> Iterator[tuple[str, Labels, float]]:
    """Every sample: its name, its labels, its value."""
    for family in text_string_to_metric_families(exposed):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def total(exposed: str | bytes, name: str, **labels: str) -> float:
    """The sum of the samples of this name that have these labels."""
    text = exposed if isinstance(exposed, str) else exposed.decode()
    return sum(
        value for one, has, value in samples(text) if one == name and labels.items() <= has.items()
    )  # fmt: skip
