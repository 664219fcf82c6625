"""What Prometheus would read: the text of the metrics, parsed by its own rules."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from pipeline.metrics import exposition
from pipeline.metrics.names import PREFIX

Scraped = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: bytes) -> Scraped:
    """Each sample by its name, less the prefix, and its labels."""
    families = text_string_to_metric_families(text.decode())
    return {
        (sample.name.removeprefix(PREFIX), frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


class Scrape:
    """One scrape of this process, read anew."""

    def __init__(self) -> None:
        exposition.collector.forget()
        self.text = exposition.text()
        self.samples = parsed(self.text)

    def __call__(self, name: str, **labels: str) -> float | None:
        """A figure; None where there is none."""
        return self.samples.get((name, frozenset(labels.items())))

    def of(self, name: str, *by: str) -> dict[tuple[str, ...], float]:
        """The figures of a metric that are not 0, by some of its labels."""
        found = ((dict(labels), value) for (of, labels), value in self.samples.items() if of == name and value)
        return {tuple(labels[label] for label in by): value for labels, value in found}
