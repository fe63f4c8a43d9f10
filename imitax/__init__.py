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
    "train": "imitax.training.train",
    "fit": "imitax.training.fit",
    "Training": "imitax.training.fit",
    "evaluate": "imitax.training.evaluation",
    "evaluate_random": "imitax.training.evaluation",
    "record": "imitax.training.evaluation",
    "record_random": "imitax.training.evaluation",
    "TrainedPolicy": "imitax.policies.policy",
    "load_policy": "imitax.runs.folder",
    "load_run": "imitax.runs.folder",
    "resume": "imitax.runs.folder",
    "export_onnx": "imitax.policies.onnx",
    "TensorBoard": "imitax.runs.loggers",
    "WandB": "imitax.runs.loggers",
    "Demonstrations": "imitax.demonstrations",
    "load_demonstrations": "imitax.experts.demonstrate",
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
