"""The one kind of error that is the user's to mend."""

from __future__ import annotations


class InputError(Exception):
    """Something the user gave is wrong: shown as one message, without a traceback, with exit code 2.

    `what` names the thing (a file, a setting), `why` the reason, `way_on` what to do about it.
    """

    def __init__(self, what: str, why: str, way_on: str) -> None:
        super().__init__(what, why, way_on)
        self.what, self.why, self.way_on = what, why, way_on

    def __str__(self) -> str:
        return f"{self.what}: {self.why}\n  {self.way_on}"
