"""What pruning by the index gains on real data: the claim of the README, on three seeds."""

import pytest

from pqi.experiment.config import RunConfig
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.presets import PRESETS
from pqi.experiment.runs import find_runs
from pqi.experiment.series import Result, studies
from pqi.experiment.study import default_jobs, execute_all
from pqi.experiment.summary import TARGET, TOLERANCE, summarise


@pytest.mark.slow
def test_sap_goes_below_ten_percent_in_fewer_retrainings_than_lottery_ticket(tmp_path):
    preset = PRESETS["digits"]
    configs = [
        RunConfig(
            dataset=preset.dataset,
            model=preset.model,
            scope="global",
            method=MethodSpec.parse(method),
            seed=seed,
            iterations=preset.iterations,
            training=preset.training,
        )
        for seed in (0, 1, 2)
        for method in ("sap:1,2", "lottery-ticket")
    ]
    assert execute_all(configs, tmp_path, jobs=default_jobs(), on_advance=lambda advance: None) == []
    (study,) = studies(Result.read(run) for run in find_runs(tmp_path))
    sap, lottery = (summarise(series) for series in study.series)
    assert (sap.series.label, lottery.series.label) == ("SAP(1, 2)", "Lottery Ticket")
    assert sap.dense == lottery.dense, "the same dense networks"
    assert sap.target is not None
    assert lottery.target is not None
    assert sap.target.remaining < TARGET
    assert sap.target.accuracy >= sap.dense.accuracy - TOLERANCE
    assert sap.target.retrainings < lottery.target.retrainings
