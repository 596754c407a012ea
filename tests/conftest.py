"""Settings that every test shares."""

import os

import hypothesis
import pytest

# The same examples on every run; HYPOTHESIS_PROFILE=explore draws new ones.
hypothesis.settings.register_profile("fixed", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

pytest.register_assert_rewrite("reference", "strategies", "cases", "properties")
