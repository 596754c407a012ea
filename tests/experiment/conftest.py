"""One thread, fixed seeds, and one small study that the tests of figures, tables and report share."""

import pytest
import torch

from experiment.tiny import configuration
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.report import write_report
from pqi.experiment.study import execute_all


@pytest.fixture(autouse=True)
def one_thread_fixed_seed():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory):
    """Directory with finished runs: SAP and One Shot with two seeds, and a SAP that meets beta with one."""
    root = tmp_path_factory.mktemp("runs")
    configs = [
        configuration(method=MethodSpec.parse(text), seed=seed) for text in ("sap:1,2", "one-shot") for seed in (0, 1)
    ]
    configs.append(configuration(method=MethodSpec.parse("sap:0.5,1,gamma=9")))
    assert execute_all(configs, root, jobs=1, on_advance=lambda advance: None) == []
    return root


@pytest.fixture(scope="session")
def tiny_report(tiny_root):
    """Report on the finished runs."""
    return write_report(tiny_root)
