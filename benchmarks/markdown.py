"""The pieces of a page: a table of metrics, one by groups of targets, and what the figures rest on."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.summary import Gain, Summary, mean_deviation


def metrics_table(summary: Summary, role: str) -> str:
    """Every row that was run: metrics, gain over the reference, size, time and memory; then what was not run."""
    table, tested = summary.table, summary.gains(role)
    shown = summary.shown(role)
    best = {
        m: max((mean_deviation(v)[0] for line in shown if (v := line.values(role, m))), default=0)
        for m in table.metrics
    }
    head = ["model", "seeds", *table.metrics, *(f"Δ {m}" for m in table.compare if tested), "parameters", "s", "GB"]
    rows = []
    for line in shown:
        count = len(line.records)
        cells = [line.label, str(count) if count >= line.expected else f"{count} of {line.expected}"]
        cells += [_metric(line.values(role, metric), best[metric]) for metric in table.metrics]
        against = other.label if line.row.against and (other := summary.reference(line)) else ""
        cells += [_gain(tested.get((line.row.name, metric)), against) for metric in table.compare if tested]
        seconds = statistics.mean(r["seconds"]["training"] + r["seconds"]["validation"] for r in line.records)
        memory = max(record["peak_memory_gb"] for record in line.records)
        rows.append([*cells, f"{line.records[0]['parameters']:,}", f"{seconds:.0f}", f"{memory:.1f}"])
    caption = "Mean ± standard deviation over seeds; s is training with validations, GB the largest process."
    if tested:
        named = [line.label for line in summary.lines if line.row.name == table.reference]
        named += ["the row that it names"] if any(line.row.against for line in shown) else []
        users = next(iter(tested.values())).comparison.users
        caption += (
            f" Δ is against {', or '.join(named)}, paired over {users:,} users, each user's metric averaged over "
            "seeds: 95 % interval of the bootstrap, p of the paired t-test with Holm's correction over "
            f"{len(tested)} comparisons."
        )
    return "\n\n".join([*([markdown(head, rows), caption] if rows else []), *left_out(summary)])


def buckets_table(summary: Summary, role: str) -> str:
    """The first metric that is compared, by training interactions of the target and by ties in time."""
    metric = (*summary.table.compare, *summary.table.metrics)[0]
    protocol, _, name = metric.partition("/")
    found = [
        (line, held)
        for line in summary.shown(role)
        if (held := [r["buckets"].get(role, {}).get(protocol) for r in line.records])
    ]
    found = [(line, held) for line, held in found if None not in held]
    if not found:
        return "\n\n".join(left_out(summary))
    groups = {group: held["count"] for group, held in found[0][1][0].items()}
    rows = [
        [line.label, *(_metric([h[group][name] for h in held if name in h[group]], None) for group in groups)]
        for line, held in found
    ]
    head = ["model", *(f"{group} ({count:,})" for group, count in groups.items())]
    caption = f"{metric} by group of targets, with their number; mean ± standard deviation over seeds."
    return f"{markdown(head, rows)}\n\n{caption}"


def search_table(summary: Summary, role: str) -> str:
    """What the searches of a table's rows tried on validation, and what they chose where that is not the file's."""
    rows, budgets, shown = [], set(), set()
    for line in summary.lines:
        file = summary.table.file(line.row)
        if not line.row.searched or line.problem or file in shown:
            continue
        shown.add(file)
        found = summary.table.search(line.row)
        first, values = found["trials"][0], found["chosen"]
        scores = [trial["validation"] for trial in found["trials"] if "failed" not in trial]
        changed = [f"{key.partition('.')[2]} {value}" for key, value in values.items() if value != first["values"][key]]
        cells = [f"{first['validation']:.4f}" if "failed" not in first else "–", f"{max(scores):.4f}"]
        minutes = sum(trial.get("seconds", 0) for trial in found["trials"]) / 60
        rows.append([line.label, *cells, f"{minutes:.0f}", ", ".join(changed) or "as in the file"])
        budgets.add(
            f"{found['metric']}, {len(found['trials'])} trials of at most {found['budget']['minutes']:g} minutes"
        )
    if not rows:
        return "\n\n".join(left_out(summary))
    head = ["model", "settings of the file", "best trial", "minutes", "chosen instead"]
    return f"{markdown(head, rows)}\n\nValidation {'; '.join(sorted(budgets))} with one seed."


def usage_table(summary: Summary, role: str) -> str:
    """How the posteriors of every run use the discovered relations; rows that kept nothing of it are left out."""
    rows = []
    for line in summary.shown(role):
        held = [record for record in line.records if "usage" in record]
        if not held:
            continue
        columns = zip(*map(_used, held), strict=True)
        rows.append([line.label, *(", ".join(values) for values in columns)])
    if not rows:
        return "\n\n".join(left_out(summary))
    head = ["model", "seeds", *(f"perplexity, {when}" for when in ("first epoch", "halfway", "kept epoch"))]
    caption = (
        "Of the mean posterior, from 1 (one relation for all pairs) to the number of relations; information between "
        "relation and pair, 0 where all pairs get the same answer. One figure for each seed."
    )
    return f"{markdown([*head, 'nats, kept epoch'], rows)}\n\n{caption}"


def _used(record: dict[str, Any]) -> list[str]:
    used, kept = record["usage"], record["best_epoch"] - 1
    figures = [used["perplexity"][n] for n in (0, record["epochs"] // 2 - 1, kept)] + [used["information"][kept]]
    return [str(record["seed"]), *(f"{figure:.3f}" for figure in figures)]


def provenance_list(summary: Summary, role: str) -> str:
    """Corpus, targets, rules of ranking, machines, versions and commits of all runs of the table."""
    records = [record for line in summary.lines for record in line.records]
    if not records:
        return "\n\n".join(left_out(summary))
    machines = (
        f"{m['platform']}, {m['processors']} processors, {m['threads']} threads" + (f", {m['gpu']}" if m["gpu"] else "")
        for m in (record["machine"] for record in records)
    )
    packages = ("python", "torch", "numpy", "lrdgraph")
    facts = {
        "Corpus": (
            f"{r['corpus']['name']} {r['corpus']['fingerprint'][:12]}, {r['corpus']['split']} split" for r in records
        ),
        "Test targets": (r["targets"]["test"][:12] for r in records if r.get("targets", {}).get("test")),
        "Ranking": (_ranking(r["settings"]["evaluation"]) for r in records),
        "Chosen by": (f"validation {r['settings']['training']['metric']}" for r in records if r["epochs"]),
        "Machine": machines,
        "Versions": (", ".join(f"{name} {r['versions'].get(name)}" for name in packages) for r in records),
        "Commit": (short_commit(r["commit"]) for r in records),
    }
    told = [f"- {name}: {'; '.join(sorted(set(values)))}" for name, values in facts.items()]
    command = f"python benchmarks/run.py benchmarks/tables/{summary.table.path.name} --data PATH"
    return "\n".join([f"- {len(records)} runs: `{command}`", *(line for line in told if not line.endswith(": "))])


def left_out(summary: Summary) -> list[str]:
    """Sentences on the rows that have no figures."""
    waiting = [line.label for line in summary.lines if not line.records and not line.problem]
    sentences = [f"Not run yet: {'; '.join(waiting)}."] if waiting else []
    return sentences + [f"Left out: {line.label} ({line.problem})." for line in summary.lines if line.problem]


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column holds words, the others figures."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def p_value(p: float) -> str:
    """``p = 0.012``, or that it is smaller than can be told."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _metric(values: list[float], best: float | None) -> str:
    if not values:
        return "–"
    mean, deviation = mean_deviation(values)
    text = f"{mean:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")
    return f"**{text}**" if mean == best else text


def _gain(gain: Gain | None, against: str) -> str:
    if gain is None:
        return "–"
    c = gain.comparison
    told = f"{c.difference:+.4f} ({c.low:+.4f} to {c.high:+.4f}), {p_value(gain.p)}"
    return told + (f", vs {against}" if against else "")


def _ranking(settings: dict[str, Any]) -> str:
    seen = "left out" if settings["filter_seen"] else "kept"
    return f"ties {settings['ties']}, seen items {seen} in full ranking, request at the {settings['request']} time"


def short_commit(commit: str | None) -> str:
    """Ten digits of a commit, and that there were changes where there were."""
    sha, plus, more = (commit or "unknown").partition("+")
    return sha[:10] + plus + more
