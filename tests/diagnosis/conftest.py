"""Run folders as training leaves them: the fixtures of the report's tests."""

import importlib.util
from pathlib import Path

_path = Path(__file__).resolve().parents[1] / "report" / "conftest.py"
_spec = importlib.util.spec_from_file_location("run_folders_of_the_report", _path)
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)

make_run = _fixtures.make_run
