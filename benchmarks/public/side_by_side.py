r"""Train the public LRD code and our published mode from the same weights on the same batches, and record both.

    python benchmarks/public/side_by_side.py PUBLIC --data ../shared/data/office --model kda-lrd --epochs 45 \
        --out benchmarks/results/side-by-side-kda-lrd.json

``PUBLIC`` is a checkout of github.com/ysh-1998/LRD. Its first weights and every batch that its data set draws,
negatives and triples included, are given to our model as well; each side has its own optimizer. So what differs between
the two is arithmetic alone, and, between this and a run of ours, what is drawn and what the negatives avoid. With
``--double`` both sides compute in double precision, and nothing is left that could differ but the method.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.public.accuracy import ranked
from benchmarks.public.theirs import ROOT, load, options, prepare
from lrdgraph.batch import Batch
from lrdgraph.experiment.inputs import build_inputs, load_corpus
from lrdgraph.experiment.provenance import provenance
from lrdgraph.experiment.settings import read_experiment
from lrdgraph.models.registry import build_model
from lrdgraph.models.relation_aware import RelationAware
from lrdgraph.models.triples import Triples
from lrdgraph.splits import split
from lrdgraph.storage import write_json
from lrdgraph.training.trainer import build_optimizer, validate

RELATIONS = {"complement": "r_complement", "substitute": "r_substitute", "category": "i_category", "brand": "i_brand"}


class Given(nn.Module):
    """Answers in place of a sampler; what is asked of the sampler itself is passed on."""

    def __init__(self, sampler: nn.Module) -> None:
        super().__init__()
        self.sampler, self.answers = sampler, [Tensor()]

    @property
    def head(self) -> Tensor:
        return self.sampler.head  # type: ignore[return-value]

    def forward(self, *_: object) -> Any:
        return self.answers.pop(0)


class Pair:
    """Both models, and how relations and values of the public one stand in ours; people and items have the same ids."""

    def __init__(self, name: str, ours: RelationAware, theirs: Any, train: Any) -> None:
        self.name, self.ours, self.theirs, self.train = name, ours, theirs, train
        slots, graph = ours.slots, ours.inputs.need_graph(name)
        known = [graph.relations[slot].name for slot in (*slots.between, *slots.attribute)]
        first = [0, *(1 + train.corpus.relations.index(RELATIONS[relation]) for relation in known)]
        self.relation = [*first, *range(len(first), len(ours.relations))]  # row of theirs for each of ours
        self.value = {0: 0}  # row of ours for each entity of theirs that is a value
        for item, values in train.item_val_dict.items():
            for slot, row in enumerate(ours.values.rows[item, :, 0].tolist()):
                self.value[int(values[first[1 + len(slots.between) + slot]])] = row
        ours.unseen, ours.triples = Given(ours.unseen), Given(ours.triples)  # type: ignore[assignment]

    def copy_weights(self) -> None:
        """Give ours the weights of the public model, and its γ, of which our experiment file has three digits."""
        theirs, state = self.theirs.state_dict(), {k: v.clone() for k, v in self.ours.state_dict().items()}
        entity = theirs["entity_embeddings.weight"]
        state["items.free.weight"] = entity[: len(state["bias"])]
        state["values.table.weight"][list(self.value.values())] = entity[list(self.value)]
        state["users.weight"] = theirs["user_embeddings.weight"]
        state["bias"] = theirs["item_bias.weight"][: len(state["bias"]), 0]
        state["relations"] = theirs["relation_embeddings.weight"][self.relation]
        state["mixer.attend.weight"] = torch.cat([theirs[f"attn_head.{part}_linear.weight"] for part in "qkv"])
        for part in ("weight", "bias"):
            for mine, other in (("inner", "W1"), ("outer", "W2"), ("norm", "layer_norm")):
                state[f"mixer.{mine}.{part}"] = theirs[f"{other}.{part}"]
            if self.name.endswith("-lrd"):
                state[f"latent.dvae.encoder.project.{part}"] = theirs[f"project_layer_1.{part}"]
                state[f"latent.dvae.encoder.score.{part}"] = theirs[f"project_layer_2.{part}"][self.relation]
        if self.name.startswith("kda"):
            for mine, other in (("cosine", "real"), ("sine", "imag")):
                weight = theirs[f"relational_dynamic_aggregation.freq_{other}.weight"]
                state[f"decay.{mine}"] = weight[self.relation]
        self.ours.load_state_dict(state)
        self.ours.knowledge_weight = self.theirs.gamma

    def batches(self, rows: np.ndarray) -> tuple[dict[str, Any], Batch]:
        """One batch as each side reads it; our samplers will answer with what the public one drew."""
        data, length = self.train.data, self.ours.max_length
        feed = self.train.collate_batch([self.train[row] for row in rows])
        history, time, negative = (np.zeros((len(rows), length), dtype=np.int64) for _ in range(3))
        for at, row in enumerate(rows):
            events = len(data["item_his"][row])
            history[at, -events:], time[at, -events:] = data["item_his"][row], data["time_his"][row]
            if "neg_his_items" in feed:
                negative[at, -events:] = feed["neg_his_items"][at, :events]
        relation = torch.tensor([self.relation.index(int(row)) for row in feed["relation_id"]])
        value = torch.tensor([self.value[int(entity)] for entity in feed["value_id"]])
        triples = Triples(feed["head_id"], feed["tail_id"], relation, value)
        self.ours.unseen.answers = [feed["item_id"][:, 1:], torch.from_numpy(negative)]  # type: ignore[assignment]
        self.ours.triples.answers = [triples]  # type: ignore[assignment]
        target = torch.zeros(len(rows), length, dtype=torch.int64)
        target[:, -1] = feed["item_id"][:, 0]
        moment = torch.from_numpy(np.asarray(data["time"])[rows])[:, None].expand(-1, length)
        return feed, Batch(feed["user_id"], torch.from_numpy(history), torch.from_numpy(time), moment, target)


def main() -> None:
    """Train both, and write the record after each epoch."""
    parser = options(__doc__, seed=2019)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--evaluate", type=int, nargs="*", help="epochs after which to rank; the last by default")
    parser.add_argument("--double", action="store_true", help="both sides in double precision, ours not compiled")
    chosen = parser.parse_args()
    if chosen.double:
        # the public code casts times and decays to single precision where they are used
        torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
    out, data, name = chosen.out.resolve(), chosen.data.resolve(), chosen.model
    file = ROOT / f"benchmarks/experiments/office-{name}-published.toml"
    settings = read_experiment(file, ["evaluation.protocols=candidates"], data=str(data), seed=chosen.seed)
    corpus = load_corpus(settings)
    parts = split(corpus)
    ours = build_model(settings.model_name, build_inputs(settings, corpus, parts), settings.model_values)
    record: dict[str, Any] = {"model": name, "seed": chosen.seed, "double": chosen.double}
    record |= {"corpus": corpus.fingerprint, "log": []}
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        prepare(data, folder)
        theirs, phases, runner = load(name, chosen.public.resolve(), folder, chosen.seed)
        if chosen.double:
            ours, theirs = ours.double(), theirs.double()
        else:
            ours.compile_parts()
        train = phases["train"]
        pair = Pair(name, ours, theirs, train)
        pair.copy_weights()
        steps = -(-len(train) // settings.training.batch_size)
        mine, other = build_optimizer(ours, settings.training), runner._build_optimizer(theirs)
        for epoch in range(1, chosen.epochs + 1):
            train.actions_before_epoch()
            theirs.train()
            ours.train()
            losses = []
            for rows in np.array_split(np.random.permutation(len(train)), steps):  # noqa: NPY002 - as the public code draws
                feed, batch = pair.batches(rows)
                other.zero_grad()
                public = theirs.loss(theirs(feed))[0]
                public.backward()
                other.step()
                mine.zero_grad()
                terms = ours.loss(batch)
                terms["total"].backward()
                mine.step()
                losses.append((float(public.detach()), float(terms["total"].detach())))
            means, gap = np.mean(losses, 0).tolist(), float(np.abs(np.diff(losses)).max())
            entry: dict[str, Any] = {
                "epoch": epoch,
                "public": {"loss": means[0]},
                "ours": {"loss": means[1]},
                "gap": gap,
            }
            if epoch in (chosen.evaluate or [chosen.epochs]):
                for phase, role in (("dev", "validation"), ("test", "test")):
                    entry["public"][role] = ranked(runner, theirs, phases[phase])
                    entry["ours"][role] = validate(ours, parts, role, settings.evaluation).metrics
            record["log"].append(entry)
            write_json(out, record | provenance())
            print(json.dumps(entry), flush=True)


if __name__ == "__main__":
    main()
