"""What torchrun wrote into the environment."""

import pytest

from pqi.experiment.launch import Launch


def test_a_process_on_its_own_is_the_only_one():
    assert Launch.of_environment({}) == Launch(0, 1, 0)
    assert Launch.of_environment({"RANK": "5"}) == Launch(0, 1, 0), "somebody else's rank"


def test_a_process_of_several_knows_its_numbers():
    found = Launch.of_environment({"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"})
    assert (found.rank, found.size, found.local_rank) == (5, 8, 1)


@pytest.mark.parametrize("rank", ["8", "-1", "one", ""])
def test_what_is_no_launch_is_refused(rank):
    with pytest.raises(ValueError, match="RANK, WORLD_SIZE, LOCAL_RANK must be a rank of so many processes, got"):
        Launch.of_environment({"RANK": rank, "WORLD_SIZE": "8", "LOCAL_RANK": "0"})
