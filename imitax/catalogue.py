"""What each method is called and what it learns from; the registry builds on it. Never imports
JAX.
"""

from typing import Literal, NamedTuple


class MethodInfo(NamedTuple):
    """A method in words, and what follows from what it is."""

    title: str  # in tables and figures; {agent} stands for its agent
    summary: str  # one line
    demonstrations: bool  # whether it learns from them
    # what its policy is rewarded with; None: cloning
    reward: Literal["learnt", "true", "constant"] | None
    exact: bool = False  # plans instead of sampling, so that seeds hardly differ

    @property
    def learns_reward(self) -> bool:
        """Whether it is one of the methods that a report leads with; the others stand beside
        them.
        """
        return self.reward == "learnt"


METHODS = {
    "bc": MethodInfo(
        "behaviour cloning",
        "behaviour cloning: supervised, no environment steps",
        demonstrations=True,
        reward=None,
    ),
    "gail": MethodInfo(
        "GAIL", "generative adversarial imitation learning", demonstrations=True, reward="learnt"
    ),
    "fem": MethodInfo(
        "FEM",
        "feature expectation matching: linear reward of unit norm",
        demonstrations=True,
        reward="learnt",
    ),
    "gtal": MethodInfo(
        "GTAL",
        "game-theoretic apprenticeship learning: the worst feature",
        demonstrations=True,
        reward="learnt",
    ),
    "mce_irl": MethodInfo(
        "MCE IRL",
        "maximum causal entropy IRL: a reward, and exact planning, in tabular environments",
        demonstrations=True,
        reward="learnt",
        exact=True,
    ),
    "constant": MethodInfo(
        "constant reward (control)",
        "control: GAIL whose discriminator never learns",
        demonstrations=False,
        reward="constant",
    ),
    "rl": MethodInfo(
        "{agent} on the true reward",
        "reinforcement learning on the true reward",
        demonstrations=False,
        reward="true",
    ),
}


def method_info(name: str) -> MethodInfo:
    """The entry called `name`; a method that is not listed counts as one that learns a reward."""
    return METHODS.get(name, MethodInfo(name, "", demonstrations=True, reward="learnt"))


def method_title(name: str, agent: str = "") -> str:
    """The method for people: "GAIL", "PPO on the true reward"."""
    return method_info(name).title.replace("{agent}", agent.upper())
