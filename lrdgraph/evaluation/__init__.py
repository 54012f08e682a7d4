"""A scoring function in, named metrics out; knows no model by name and holds no gradient."""

from lrdgraph.evaluation.evaluator import Evaluation, evaluate
from lrdgraph.evaluation.settings import EvaluationSettings

__all__ = ["Evaluation", "EvaluationSettings", "evaluate"]
