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

_HOME = {
    "make": "imitax.envs",
    "train": "imitax.experiment.runs",
    "fit": "imitax.experiment.training",
    "Training": "imitax.experiment.training",
    "evaluate": "imitax.experiment.evaluation",
    "evaluate_random": "imitax.experiment.evaluation",
    "record": "imitax.experiment.evaluation",
    "record_random": "imitax.experiment.evaluation",
    "Policy": "imitax.experiment.policy",
    "load_policy": "imitax.experiment.runs",
    "load_run": "imitax.experiment.runs",
    "resume": "imitax.experiment.runs",
    "export_onnx": "imitax.experiment.export",
    "TensorBoard": "imitax.experiment.loggers",
    "WandB": "imitax.experiment.loggers",
    "Demonstrations": "imitax.demonstrations",
    "load_demonstrations": "imitax.experiment.demonstrate",
    "save_demonstrations": "imitax.formats",
    "ImitaxError": "imitax.errors",
}
__all__ = sorted(_HOME)


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
