"""One file of settings in, one folder of results out."""

from lrdgraph.experiment.run import Run, evaluate_run, load_run, run_experiment
from lrdgraph.experiment.settings import ExperimentSettings, experiment_settings, read_experiment

__all__ = [
    "ExperimentSettings",
    "Run",
    "evaluate_run",
    "experiment_settings",
    "load_run",
    "read_experiment",
    "run_experiment",
]
