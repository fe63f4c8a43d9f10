"""imitax: imitation learning in JAX.

    import imitax

    env = imitax.make("Acrobot-v1")
    demonstrations = imitax.load_demonstrations("Acrobot-v1/7")
    run = imitax.train("gail", env, demonstrations, seeds=3)
    print(imitax.evaluate(run.policies, env, episodes=100).returns.mean())
    action = run.policy(observation)

Names are imported when they are first used, so `import imitax` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imitax.demonstrations import Demonstrations
    from imitax.envs import make
    from imitax.errors import ImitaxError
    from imitax.experts.demonstrate import load_demonstrations
    from imitax.formats import save as save_demonstrations
    from imitax.policies.onnx import export_onnx
    from imitax.policies.policy import TrainedPolicy
    from imitax.runs.folder import load_policy, load_run, resume
    from imitax.runs.loggers import TensorBoard, WandB
    from imitax.training.callbacks import Moment
    from imitax.training.evaluation import evaluate, evaluate_random, record, record_random
    from imitax.training.fit import Training, fit
    from imitax.training.train import train

    __version__: str

# Public name -> the module that it lives in; the imports above say the same to type checkers.
_HOME = {
    "Demonstrations": "imitax.demonstrations",
    "ImitaxError": "imitax.errors",
    "Moment": "imitax.training.callbacks",
    "TensorBoard": "imitax.runs.loggers",
    "TrainedPolicy": "imitax.policies.policy",
    "Training": "imitax.training.fit",
    "WandB": "imitax.runs.loggers",
    "evaluate": "imitax.training.evaluation",
    "evaluate_random": "imitax.training.evaluation",
    "export_onnx": "imitax.policies.onnx",
    "fit": "imitax.training.fit",
    "load_demonstrations": "imitax.experts.demonstrate",
    "load_policy": "imitax.runs.folder",
    "load_run": "imitax.runs.folder",
    "make": "imitax.envs",
    "record": "imitax.training.evaluation",
    "record_random": "imitax.training.evaluation",
    "resume": "imitax.runs.folder",
    "save_demonstrations": "imitax.formats",
    "train": "imitax.training.train",
}
__all__ = [
    "Demonstrations",
    "ImitaxError",
    "Moment",
    "TensorBoard",
    "TrainedPolicy",
    "Training",
    "WandB",
    "evaluate",
    "evaluate_random",
    "export_onnx",
    "fit",
    "load_demonstrations",
    "load_policy",
    "load_run",
    "make",
    "record",
    "record_random",
    "resume",
    "save_demonstrations",
    "train",
]

# where a type checker saw this function, it would take any misspelt name for public
if not TYPE_CHECKING:

    def __getattr__(name: str):
        if name == "__version__":
            from importlib.metadata import version

            return version("imitax")
        if name not in _HOME:
            raise AttributeError(f"module 'imitax' has no attribute '{name}'")
        module = import_module(_HOME[name])
        return getattr(module, {"save_demonstrations": "save"}.get(name, name))


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
