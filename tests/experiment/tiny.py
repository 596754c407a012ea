"""Runs that take a fraction of a second."""

from dataclasses import replace

from pqi.experiment.config import RunConfig, Training
from pqi.experiment.method_spec import MethodSpec

TRAINING = Training(epochs=2, batch=400, weight_decay=5e-3)


SAP = MethodSpec.parse("sap:1,2")


def configuration(*, method=SAP, seed=0, training=TRAINING, **changes) -> RunConfig:
    """Return a run of two prunings of a linear classifier."""
    config = RunConfig(
        dataset="digits", model="linear", scope="global", method=method, seed=seed, iterations=2, training=training
    )
    return replace(config, **changes)
