"""Why a run did not learn, in plain words with the numbers behind them. Never imports JAX.

Every check is a function of a run, finished or not, that returns a `Finding` or None. "At the end"
is the mean over seeds and the last tenth of the iterations.
"""

from collections.abc import Callable

import numpy as np

from imitax.catalogue import MethodInfo, method_info
from imitax.findings import Finding, worst_first
from imitax.runs.read import RunData

GOOD = 0.9  # normalised score from which on a run has not failed
# e⁴: the discriminator is 50 times more confident in the expert's pairs
WON_ACCURACY, WON_GAP = 0.95, 4.0
IDLE = 0.52  # accuracy of guessing, with some noise
COLLAPSED = 0.05  # of the entropy at the start
# The same for a Gaussian, whose entropy may be negative: standard deviations below 4 % of half the
# range.
COLLAPSED_GAUSSIAN = -2.2
# of the mean squared reward that its squared mean makes: the same for every step
CONSTANT_SHARE = 0.9
POOR_FIT = 0.1  # explained variance of the critic
# nats per iteration; PPO with ε = 0.2 stays an order of magnitude below
LARGE_KL, LARGE_CLIP = 0.1, 0.5
SCALE = 20.0  # ratio of the ranges of one dimension
APART = 0.3  # difference of scores
OVERFITTING = 0.7  # share of comparisons; ½ without overfitting, but episodes differ a little
MAX_LISTED = 4  # dimensions in a sentence


def diagnose(run: RunData) -> list[Finding]:
    """All findings, problems first."""
    findings = (check(run) for check in CHECKS)
    return worst_first(finding for finding in findings if finding is not None)


def sentences(run: RunData) -> list[str]:
    """Findings as the report shows them."""
    return [str(finding) for finding in diagnose(run)]


def info_of(run: RunData) -> MethodInfo:
    """The catalogue entry of the run's method."""
    return method_info(run.run["method"])


def score_of(run: RunData) -> float | None:
    """The better of the two normalised scores; None without a known expert, or if nothing is
    imitated.
    """
    scores = [run.summary.get(kind, {}).get("normalised") for kind in ("deterministic", "sampled")]
    numbers = [score for score in scores if isinstance(score, int | float)]
    return max(numbers) if numbers and info_of(run).demonstrations else None


def end(run: RunData, name: str) -> float | None:
    """A metric at the end; None if the run does not have it."""
    values = run.metrics.get(name)
    if values is None:
        return None
    last = values[:, -max(1, values.shape[1] // 10) :]
    return float(np.nanmean(last)) if np.isfinite(last).any() else None


def failed(run: RunData) -> bool:
    """Whether there is something to explain."""
    score = score_of(run)
    return score is None or score < GOOD


def result(run: RunData) -> Finding | None:
    """The score is no better than a random policy's."""
    score = score_of(run)
    if score is None or score >= 0.1:
        return None
    return Finding(
        "problem",
        "No better than random",
        f"the better of its two normalised scores is {score:.2f}; 0 is the random policy, 1 the "
        "expert.",
        "the other findings; checking the data with `imitax train … --check`; more iterations; "
        "behaviour cloning as a first step.",
    )


def discriminator_won(run: RunData) -> Finding | None:
    """The discriminator is certain of everything, so its score tells the policy nothing."""
    accuracy, expert, policy = (
        end(run, name) for name in ("discriminator_accuracy", "expert_logit", "policy_logit")
    )
    if accuracy is None or expert is None or policy is None or not failed(run):
        return None
    if accuracy < WON_ACCURACY or expert - policy < WON_GAP:
        return None
    return Finding(
        "problem",
        "The discriminator has won",
        f"it classifies {accuracy:.0%} of the pairs correctly at the end, and the mean logits of "
        f"expert and policy are {expert - policy:.1f} apart.",
        "fewer reward.updates, a smaller reward.learning_rate, reward.gradient_penalty=1, more "
        "demonstrations, more environment steps per iteration; if it wins at once, check the units "
        "and the order of the observations.",
    )


def discriminator_idle(run: RunData) -> Finding | None:
    """The discriminator never learnt to tell the two apart, although they differ."""
    accuracy = run.metrics.get("discriminator_accuracy")
    if accuracy is None or not failed(run) or np.nanmax(accuracy) > IDLE:
        return None
    return Finding(
        "problem",
        "The discriminator has learnt nothing",
        f"its accuracy was never above {np.nanmax(accuracy):.2f}, no better than guessing.",
        "more reward.updates or a larger reward.learning_rate; reward.entropy_coef=0.",
    )


def overfits(run: RunData) -> Finding | None:
    """The reward prefers its own demonstrations to others of the same expert."""
    held_out = run.summary.get("held_out")
    if held_out is None:
        return None
    share = float(np.mean(held_out["preference"]))
    if share < OVERFITTING:
        return None
    return Finding(
        "problem" if failed(run) else "warning",
        "The reward overfits its demonstrations",
        f"in {share:.0%} of comparisons a pair that it was trained on is rewarded more than one of "
        f"the {held_out['episodes']} held-out demonstrated episodes; 50% would be right.",
        "more demonstrations, reward.gradient_penalty=1, fewer reward.updates, a smaller "
        "discriminator (reward.hidden=32).",
    )


def collapsed(run: RunData) -> Finding | None:
    """The policy always chooses the same action before it is any good."""
    entropy, last = run.metrics.get("entropy"), end(run, "entropy")
    if entropy is None or last is None or not failed(run):
        return None
    start = float(np.nanmean(entropy[:, 0]))
    if start <= 0 or last > COLLAPSED * start or COLLAPSED_GAUSSIAN * start < last < 0:
        return None
    return Finding(
        "problem",
        "The policy has collapsed",
        f"its entropy fell from {start:.2f} to {last:.3f} nats.",
        "a smaller agent.learning_rate, agent.entropy_coef=0.01, more agent.minibatches.",
    )


def rewards_length(run: RunData) -> Finding | None:
    """The reward is the same for every action: it rewards staying alive, or ending the episode."""
    reward = run.run["settings"].get("reward", {})
    mean, spread = end(run, "reward_mean"), end(run, "reward_std")
    if reward.get("absorbing", True) or mean is None or spread is None or mean == 0:
        return None
    share = mean**2 / (mean**2 + spread**2)
    if share < CONSTANT_SHARE:
        return None
    return Finding(
        "problem",
        f"The reward favours {'staying alive' if mean > 0 else 'ending the episode'}",
        f"every step is worth {mean:.2f} ± {spread:.2f} whatever the action, so the length of an "
        f"episode explains {share:.0%} of its reward.",
        "reward.absorbing=true (the default); and `imitax control`: a constant reward may do as "
        "well.",
    )


def strange_observations(run: RunData) -> Finding | None:
    """Demonstrations and policy differ in a dimension of the observations as if in units or
    meaning.
    """
    visits = run.visits
    if visits is None or not len(visits.demonstrations):
        return None
    expert, policy = visits.demonstrations, visits.policy.reshape(-1, visits.policy.shape[-1])
    low, high = (np.nanpercentile(expert, q, axis=0) for q in (1, 99))
    policy_low, policy_high = (np.nanpercentile(policy, q, axis=0) for q in (1, 99))
    ranges = []
    for i in range(expert.shape[1]):
        width, policy_width = high[i] - low[i], policy_high[i] - policy_low[i]
        disjoint = low[i] > policy_high[i] or high[i] < policy_low[i]
        scaled = width > 0 and policy_width > 0 and not 1 / SCALE < width / policy_width < SCALE
        if disjoint or (scaled and failed(run)):
            ranges.append(
                f"dimension {i}: {low[i]:.3g} … {high[i]:.3g} in the demonstrations, "
                f"{policy_low[i]:.3g} … {policy_high[i]:.3g} with the policy"
            )
    if not ranges:
        return None
    more = f"; and {len(ranges) - MAX_LISTED} more" if len(ranges) > MAX_LISTED else ""
    return Finding(
        "problem" if failed(run) else "warning",
        "Demonstrations and environment differ",
        f"{'; '.join(ranges[:MAX_LISTED])}{more}.",
        "the same units, order and normalisation in both: raw observations, as the environment "
        "returns them.",
    )


def poor_critic(run: RunData) -> Finding | None:
    """The value function predicts nothing."""
    fit, spread = end(run, "explained_variance"), end(run, "reward_std")
    if fit is None or fit >= POOR_FIT or not spread or not failed(run):
        return None
    return Finding(
        "warning",
        "The value function does not learn",
        f"it explains a share of {fit:.2f} of the variance of the returns at the end; 1 is all of "
        "it.",
        "a larger learning rate of the value network, more epochs, a smaller agent.discount if "
        "episodes are short.",
    )


def large_steps(run: RunData) -> Finding | None:
    """PPO moves the policy further than its surrogate objective is valid."""
    kl, clipped = end(run, "kl"), end(run, "clip_fraction")
    if kl is None or clipped is None or (kl < LARGE_KL and clipped < LARGE_CLIP):
        return None
    return Finding(
        "problem" if failed(run) else "warning",
        "The policy's steps are too large",
        f"a KL divergence of {kl:.3f} nats per iteration and {clipped:.0%} of the ratios clipped "
        "at the end.",
        "a smaller agent.learning_rate, fewer agent.epochs.",
    )


def no_steps(run: RunData) -> Finding | None:
    """TRPO's line search rejects most steps."""
    fraction = run.metrics.get("step_fraction")
    # which gives no direction to step in
    if fraction is None or info_of(run).reward == "constant":
        return None
    rejected = float(np.mean(fraction == 0))
    if rejected < 0.5:
        return None
    return Finding(
        "problem",
        "TRPO takes no steps",
        f"the line search rejected {rejected:.0%} of them.",
        "more environment steps per iteration, a larger agent.damping, more agent.cg_iterations.",
    )


def early_cloning(run: RunData) -> Finding | None:
    """Cloning was best early, and got worse."""
    losses = run.metrics.get("validation_loss")
    if losses is None or losses.shape[1] < 20:
        return None
    mean = np.nanmean(losses, axis=0)
    best = int(np.nanargmin(mean))
    if best > 0.1 * len(mean) or mean[-1] < 1.5 * abs(mean[best]):
        return None
    return Finding(
        "note",
        "Cloning overfits",
        f"its validation loss was lowest ({mean[best]:.3f}) in round {best + 1} of {len(mean)} and "
        f"is {mean[-1]:.3f} at the end; the best policy was kept.",
        "more demonstrations, smaller bc.hidden, or a method that uses the environment.",
    )


def noise_helps(run: RunData) -> Finding | None:
    """Sampled and deterministic actions score differently."""
    scores = [run.summary.get(kind, {}).get("normalised") for kind in ("deterministic", "sampled")]
    if score_of(run) is None or None in scores or abs(scores[0] - scores[1]) < APART:
        return None
    return Finding(
        "warning",
        "Sampled and most likely actions differ",
        f"the score is {scores[0]:.2f} with the most likely action and {scores[1]:.2f} with "
        "sampled ones.",
        "training for longer; reporting the one that you will use.",
    )


def seeds_differ(run: RunData) -> Finding | None:
    """Some seeds learnt and others did not."""
    expert = run.summary.get("expert")
    if score_of(run) is None or not expert or expert["mean"] == run.summary["random"]["mean"]:
        return None
    random = run.summary["random"]["mean"]
    scores = [
        (x - random) / (expert["mean"] - random) for x in run.summary["sampled"]["seed_means"]
    ]
    if len(scores) < 2 or max(scores) - min(scores) < 0.5:
        return None
    return Finding(
        "warning",
        "Seeds disagree",
        f"their scores range from {min(scores):.2f} to {max(scores):.2f}, over {len(scores)} "
        "seeds.",
        "more seeds, and intervals before any claim; more iterations, smaller steps.",
    )


def few_seeds(run: RunData) -> Finding | None:
    """One or two seeds say little about others."""
    seeds, info = run.run["seeds"], info_of(run)
    if seeds >= 3 or info.exact or info.reward == "true":
        return None
    return Finding(
        "note",
        "Few seeds",
        f"this is {seeds} seed{'s' * (seeds > 1)}.",
        "--seeds 5: they train side by side.",
    )


CHECKS: tuple[Callable[[RunData], Finding | None], ...] = (
    result,
    discriminator_won,
    discriminator_idle,
    overfits,
    collapsed,
    rewards_length,
    strange_observations,
    poor_critic,
    large_steps,
    no_steps,
    early_cloning,
    noise_helps,
    seeds_differ,
    few_seeds,
)
