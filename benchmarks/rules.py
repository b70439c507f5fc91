"""The rules folders that the workloads run under."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.inv1_lines import CHANNEL_BUFFER_PERCENT, CHANNELS

RULE_KINDS = ("skus", "locations", "categories", "regions", "item_tags")


def write_rules(folder: Path, extra_rules: int = 0) -> Path:
    """Writes three channels with buffers of 0, 2 and 5 percent, no throttle and no catalogue.

    `extra_rules` more rules name SKUs, locations, categories, regions and tags in turn. They stand
    for the rules that a retailer has and that most movements do not meet: one in ten names a SKU of
    the workload, the others nothing that it has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    channels = ["channels:", *(f"  {channel}: {{granularity: sku}}" for channel in CHANNELS)]
    (folder / "channels.yaml").write_text("\n".join(channels) + "\n", encoding="utf-8")
    rules = ["rules:", *_buffers(), *_extra(extra_rules)]
    (folder / "buffers.rules.yaml").write_text("\n".join(rules) + "\n", encoding="utf-8")
    return folder


def _buffers() -> Iterator[str]:
    for channel, percent in CHANNEL_BUFFER_PERCENT.items():
        yield f"  - name: {channel} buffer"
        yield f"    when: {{channels: [{channel}]}}"
        yield f"    buffer: {{percent: {percent}, round: up}}"


def _extra(count: int) -> Iterator[str]:
    for number in range(count):
        kind = RULE_KINDS[number % len(RULE_KINDS)]
        name = f"SKU-{number:07d}" if number % 10 == 0 else f"{kind}-{number:05d}"
        yield f"  - name: extra {number:05d}"
        yield f"    when: {{{kind}: [{name}], channels: [{CHANNELS[number % len(CHANNELS)]}]}}"
        yield f"    buffer: {{units: {1 + number % 5}}}"
