"""How the report looks, and what it says of every rehearsal."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --ink: #1d2228; --soft: #5b6570; --ground: #fff; --card: #f5f6f8; --rule: #d8dce1;
  --good: #17734a; --bad: #b3261e; --mark: #e7b54a55;
  --line-0: #1f5fbf; --line-1: #c2541b; --line-2: #23804f;
  --line-3: #8a3ea8; --line-4: #8b6b00; --line-5: #5b6570;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e8eaed; --soft: #a2abb5; --ground: #15181c; --card: #1e2329; --rule: #343b44;
    --good: #5fcf98; --bad: #ff8a80; --mark: #e7b54a33;
    --line-0: #7fb0ff; --line-1: #ff9d66; --line-2: #63cf95;
    --line-3: #d59bf0; --line-4: #dcbc55; --line-5: #a2abb5;
  }
}
body {
  font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
}
h1 { font-size: 1.7rem; line-height: 1.25; margin: .2rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.soft, .legend { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th, td {
  text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--rule);
  vertical-align: top;
}
.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; }
figure { margin: 1rem 0; background: var(--card); padding: .8rem; border-radius: .5rem; }
figcaption { font-weight: 600; }
figure > svg { width: 100%; height: auto; display: block; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
.grid { stroke: var(--rule); fill: none; }
.line { stroke: var(--own); stroke-width: 2; fill: none; }
.dot { fill: var(--own); }
.limit { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 6, 4; fill: none; }
.span { fill: var(--mark); }
.name { margin-right: 1.2rem; white-space: nowrap; }
.name svg { margin-right: .4rem; }
"""

_SIMULATED: Final = """
The engine is the one of `sellable run`, in a process of its own, with its real store and files, by
the time of day. What is around it is played: another process offers the movements, each when it is
due, whether the engine keeps up or not.

The times of the movements are moved to now. At a factor of 3 recorded time passes three times as
fast; ticks, intervals and rates of the channels do not.

What came before is taken first, as of a day ago, and is not measured; baskets that were open then
have expired.

A delay runs from the moment when a movement was offered (for a till that was offline: when it came
back) to the moment when the publication that it caused could be read in the channel's file. It
holds the wait for the tick. An engine that is behind gains nothing by it: the clock of a movement
starts when it is due, not when somebody had time for it. A publication names the last movement
before its tick as its cause; counted from the first that its channel did not know of, whether that
one alone was urgent or not, a delay is at most the figure of that name. How long a marketplace then
takes to show it is not measured.

A marketplace that throttles is its channel with a `max_rate` of 1/s in the rules. The ERP is played
after the fact: it takes documents one after the other, and none while it is away.
"""

SIMULATED: Final = tuple(" ".join(each.split()) for each in _SIMULATED.strip().split("\n\n"))
