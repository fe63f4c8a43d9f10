# pyright: strict, reportUnknownMemberType=false
"""A user's script. It is not run: pyright must know every type in it
(tests/test_public_api.py).
"""

from pathlib import Path
from typing import assert_type

import imitax

env = imitax.make("Acrobot-v1")
demonstrations = imitax.load_demonstrations("Acrobot-v1/7")
assert_type(demonstrations, imitax.Demonstrations)

run = imitax.train("gail", env, demonstrations, seeds=3, iterations=60)
assert_type(run, imitax.Training)
assert_type(run.policy, imitax.TrainedPolicy)
assert_type(run.policies, list[imitax.TrainedPolicy])

result = imitax.evaluate(run.policies, env, episodes=100)
mean_returns: list[float] = result.returns.mean(axis=1).tolist()
action = run.policy(demonstrations.observations[0])

recorded = imitax.record(run.policy, env, episodes=10)
assert_type(recorded, imitax.Demonstrations)
imitax.save_demonstrations(recorded, "recorded.npz")
imitax.export_onnx(run.policy, "policy.onnx")
assert_type(imitax.resume("runs/gail")[0], imitax.Training)
assert_type(imitax.load_policy("runs/gail"), imitax.TrainedPolicy)
assert_type(imitax.__version__, str)

try:
    imitax.load_run(Path("runs/gail"))
except imitax.ImitaxError as error:
    print(error)
