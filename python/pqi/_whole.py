"""The commonest call, one whole numpy array and plain numbers, in a single step of the core.

At a thousand elements the work takes less time than the checks of what was given to it. The core binds a public
function's arguments itself; where one of them is more than an array, a number or a default, it declines and the
function runs as it is written. So all rules, and all errors, stay in the function.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

from pqi import _core

Function = TypeVar("Function", bound=Callable[..., Any])


def whole(function: Function) -> Function:
    """Let the core answer what it can of a public function of its name."""
    positional, keyword_only = function.__code__.co_argcount, function.__code__.co_kwonlyargcount
    names = function.__code__.co_varnames[: positional + keyword_only]
    by_name = function.__kwdefaults__ or {}
    defaults = (*(function.__defaults__ or ()), *(by_name[name] for name in names[positional:]))
    direct = _core.whole(function.__name__, positional, names, defaults)

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if arguments and type(arguments[0]) is np.ndarray:
            found = direct(*arguments, **named)
            if found is not None:
                return found
        return function(*arguments, **named)

    return cast(Function, call)
