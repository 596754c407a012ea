"""The paper's Algorithm 1 on real data: models, data, training, runs on disk, figures and report.

The command line is ``pqindex prune`` and ``pqindex report`` (`pqi.cli`). Needs the ``all`` extra.
"""
