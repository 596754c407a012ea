"""What runs may use is checked before any of them starts."""

import pytest

from pqi.experiment.resources import Resources


def test_data_sets_from_files_need_a_folder(tmp_path):
    Resources().check(["digits"])
    Resources(tmp_path).check(["digits", "cifar10"])
    with pytest.raises(ValueError, match=r"data must be the folder with the original files of cifar10, got none"):
        Resources().check(["digits", "cifar10"])
    with pytest.raises(NotADirectoryError, match="data must be a folder, got"):
        Resources(tmp_path / "none").check(["cifar10"])


def test_a_negative_number_of_workers_is_refused():
    with pytest.raises(ValueError, match="workers must be >= 0, got -1"):
        Resources(workers=-1)
