"""Why a run did not learn, in plain words with the numbers behind them. Never imports JAX.

Every check is a function of a run, finished or still on its way, that returns a `Finding` or nothing. "At the
end" is the mean over seeds and the last tenth of the iterations.
"""

from collections.abc import Callable

import numpy as np

from imitax.diagnosis.findings import Finding
from imitax.runs.read import RunData

GOOD = 0.9  # normalised score from which a run is not asked why it failed
WON_ACCURACY, WON_GAP = 0.95, 4.0  # e⁴: the discriminator is 50 times surer of the expert's pairs
IDLE = 0.52  # accuracy of guessing, with some noise
COLLAPSED = 0.05  # of the entropy at the start
SURE = -2.2  # the same for a Gaussian, whose entropy may be negative: deviations below 4 % of half the range
PAYS = 0.9  # share of the squared reward that its mean makes: the same for every step
POOR_FIT = 0.1  # explained variance of the critic
LARGE_KL, LARGE_CLIP = 0.1, 0.5  # nats per iteration; a PPO of ε = 0.2 stays an order below
SCALE = 20.0  # between ranges of one dimension
APART = 0.3  # scores
BY_HEART = 0.7  # share of comparisons; ½ without overfitting, but episodes differ a little


def diagnose(run: RunData) -> list[Finding]:
    """All findings, problems first."""
    found = [finding for check in CHECKS for finding in [check(run)] if finding is not None]
    order = ("problem", "warning", "note")
    return sorted(found, key=lambda finding: order.index(finding.severity))


def sentences(run: RunData) -> list[str]:
    """Findings as the report shows them."""
    return [str(finding) for finding in diagnose(run)]


def score_of(run: RunData) -> float | None:
    """The better of the two normalised scores; None where no expert is known, or nothing is imitated."""
    scores = [run.summary.get(kind, {}).get("normalised") for kind in ("deterministic", "sampled")]
    known = [score for score in scores if isinstance(score, int | float)]
    return max(known) if known and run.run["method"] not in ("constant", "rl") else None


def end(run: RunData, name: str) -> float | None:
    """A metric at the end; None where the run has none."""
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
    """No better than random."""
    score = score_of(run)
    if score is None or score >= 0.1:
        return None
    return Finding(
        "problem", "No better than random",
        f"the better of its two normalised scores is {score:.2f}; 0 is the random policy, 1 the expert.",
        "see the other findings; `imitax train … --check` for the data; more iterations; cloning as a "
        "first step.",
    )  # fmt: skip


def discriminator_won(run: RunData) -> Finding | None:
    """It is certain of everything, so its score tells the policy nothing."""
    accuracy, expert, policy = (
        end(run, name) for name in ("discriminator_accuracy", "expert_logit", "policy_logit")
    )
    if accuracy is None or expert is None or policy is None or not failed(run):
        return None
    if accuracy < WON_ACCURACY or expert - policy < WON_GAP:
        return None
    return Finding(
        "problem", "The discriminator has won",
        f"it tells expert from policy in {accuracy:.0%} of the pairs at the end, with logits "
        f"{expert - policy:.1f} apart.",
        "fewer reward.steps, a smaller reward.learning_rate, reward.gradient_penalty=1, more "
        "demonstrations, more "
        "environment steps per iteration; if it wins at once, look at units and order of the observations.",
    )  # fmt: skip


def discriminator_idle(run: RunData) -> Finding | None:
    """It never learnt to tell them apart, although they differ."""
    accuracy = run.metrics.get("discriminator_accuracy")
    if accuracy is None or not failed(run) or np.nanmax(accuracy) > IDLE:
        return None
    return Finding(
        "problem", "The discriminator has learnt nothing",
        f"its accuracy was never above {np.nanmax(accuracy):.2f}, that of guessing.",
        "more reward.steps or a larger reward.learning_rate; reward.entropy=0.",
    )  # fmt: skip


def by_heart(run: RunData) -> Finding | None:
    """The reward prefers the demonstrations that it was shown to others of the same expert."""
    known = run.summary.get("held_out")
    if known is None:
        return None
    share = float(np.mean(known["preference"]))
    if share < BY_HEART:
        return None
    return Finding(
        "problem" if failed(run) else "warning", "The reward knows its demonstrations by heart",
        f"a pair that it was shown is paid more than one of the {known['episodes']} demonstrated episodes "
        f"that were left out in {share:.0%} of comparisons; 50% would be right.",
        "more demonstrations, reward.gradient_penalty=1, fewer reward.steps, a smaller discriminator "
        "(reward.hidden=32).",
    )  # fmt: skip


def collapsed(run: RunData) -> Finding | None:
    """The policy chooses always the same before it is any good."""
    entropy, last = run.metrics.get("entropy"), end(run, "entropy")
    if entropy is None or last is None or not failed(run):
        return None
    start = float(np.nanmean(entropy[:, 0]))
    if start <= 0 or last > COLLAPSED * start or SURE * start < last < 0:
        return None
    return Finding(
        "problem", "The policy has collapsed",
        f"its entropy fell from {start:.2f} to {last:.3f} nats.",
        "a smaller agent.learning_rate, agent.entropy=0.01, more minibatches.",
    )  # fmt: skip


def pays_for_time(run: RunData) -> Finding | None:
    """The reward is the same whatever is done: it pays for living or for ending."""
    reward = run.run["settings"].get("reward", {})
    mean, spread = end(run, "reward_mean"), end(run, "reward_std")
    if reward.get("absorbing", True) or mean is None or spread is None or mean == 0:
        return None
    share = mean**2 / (mean**2 + spread**2)
    if share < PAYS:
        return None
    what = "staying alive" if mean > 0 else "ending the episode"
    return Finding(
        "problem", f"The reward pays for {what}",
        f"every step is worth {mean:.2f} ± {spread:.2f} whatever is done, so the length of an episode "
        f"explains {share:.0%} "
        "of what it is paid.",
        "reward.absorbing=true (the default); and look at `imitax control`: a constant may do as well.",
    )  # fmt: skip


def strange_observations(run: RunData) -> Finding | None:
    """A dimension of the demonstrations that the policy never saw anything like."""
    visits = run.visits
    if visits is None or not len(visits.demonstrations):
        return None
    shown, seen = visits.demonstrations, visits.policy.reshape(-1, visits.policy.shape[-1])
    low, high = (np.nanpercentile(shown, q, axis=0) for q in (1, 99))
    least, most = (np.nanpercentile(seen, q, axis=0) for q in (1, 99))
    told = []
    for i in range(shown.shape[1]):
        width, range_ = high[i] - low[i], most[i] - least[i]
        apart = low[i] > most[i] or high[i] < least[i]
        scaled = width > 0 and range_ > 0 and not 1 / SCALE < width / range_ < SCALE
        if apart or (scaled and failed(run)):
            told.append(
                f"dimension {i}: {low[i]:.3g} … {high[i]:.3g} shown, {least[i]:.3g} … {most[i]:.3g} seen"
            )
    if not told:
        return None
    more = f" and {len(told) - 4} more" if len(told) > 4 else ""
    return Finding(
        "problem" if failed(run) else "warning", "Demonstrations and environment differ",
        f"{'; '.join(told[:4])}{more}.",
        "the same units, order and normalisation in both: raw observations, as the environment hands "
        "them out.",
    )  # fmt: skip


def poor_critic(run: RunData) -> Finding | None:
    """The value function predicts nothing."""
    fit, spread = end(run, "explained_variance"), end(run, "reward_std")
    if fit is None or fit >= POOR_FIT or not spread or not failed(run):
        return None
    return Finding(
        "warning", "The value function does not learn",
        f"it explains {fit:.2f} of the variance of the returns at the end; 1 is all.",
        "a larger learning rate of the value network, more epochs, a smaller agent.discount where "
        "episodes are short.",
    )  # fmt: skip


def large_steps(run: RunData) -> Finding | None:
    """PPO moves further than its surrogate holds."""
    kl, clipped = end(run, "kl"), end(run, "clip_fraction")
    if kl is None or clipped is None or (kl < LARGE_KL and clipped < LARGE_CLIP):
        return None
    return Finding(
        "problem" if failed(run) else "warning", "The policy's steps are too large",
        f"KL divergence {kl:.3f} nats and {clipped:.0%} of the ratios clipped in an iteration at the end.",
        "a smaller agent.learning_rate, fewer agent.epochs.",
    )  # fmt: skip


def no_steps(run: RunData) -> Finding | None:
    """TRPO's line search refuses everything."""
    fraction = run.metrics.get("step_fraction")
    if fraction is None or run.run["method"] == "constant":
        return None
    refused = float(np.mean(fraction == 0))
    if refused < 0.5:
        return None
    return Finding(
        "problem", "TRPO makes no steps",
        f"the line search refused {refused:.0%} of them.",
        "more environment steps per iteration, a larger agent.damping, more agent.cg_iterations.",
    )  # fmt: skip


def early_cloning(run: RunData) -> Finding | None:
    """Cloning was best at once and got worse."""
    losses = run.metrics.get("validation_loss")
    if losses is None or losses.shape[1] < 20:
        return None
    mean = np.nanmean(losses, axis=0)
    best = int(np.nanargmin(mean))
    if best > 0.1 * len(mean) or mean[-1] < 1.5 * abs(mean[best]):
        return None
    return Finding(
        "note", "Cloning overfits",
        f"validation loss was least ({mean[best]:.3f}) in epoch {best + 1} of {len(mean)}, "
        f"{mean[-1]:.3f} at the end; the best is "
        "what was kept.",
        "more demonstrations, smaller bc.hidden, or a method that uses the environment.",
    )  # fmt: skip


def noise_helps(run: RunData) -> Finding | None:
    """Sampled and deterministic actions score differently."""
    two = [run.summary.get(kind, {}).get("normalised") for kind in ("deterministic", "sampled")]
    if score_of(run) is None or None in two or abs(two[0] - two[1]) < APART:
        return None
    return Finding(
        "warning", "Sampled and most likely actions differ",
        f"deterministic {two[0]:.2f}, sampled {two[1]:.2f}.",
        "train longer; report the one that you will use.",
    )  # fmt: skip


def seeds_differ(run: RunData) -> Finding | None:
    """Some seeds learnt and others did not."""
    expert = run.summary.get("expert")
    if score_of(run) is None or not expert or expert["mean"] == run.summary["random"]["mean"]:
        return None
    random = run.summary["random"]["mean"]
    scores = [(x - random) / (expert["mean"] - random) for x in run.summary["sampled"]["seed_means"]]
    if len(scores) < 2 or max(scores) - min(scores) < 0.5:
        return None
    return Finding(
        "warning", "Seeds disagree",
        f"scores from {min(scores):.2f} to {max(scores):.2f} over {len(scores)} seeds.",
        "more seeds and intervals before any claim; more iterations, smaller steps.",
    )  # fmt: skip


def one_seed(run: RunData) -> Finding | None:
    """An anecdote."""
    if run.run["seeds"] >= 3 or run.run["method"] in ("rl", "mce_irl"):
        return None
    return Finding(
        "note", "Few seeds", f"this is {run.run['seeds']} seed(s).", "--seeds 5: they train side by side."
    )


CHECKS: tuple[Callable[[RunData], Finding | None], ...] = (
    result, discriminator_won, discriminator_idle, by_heart, collapsed, pays_for_time, strange_observations,
    poor_critic, large_steps, no_steps, early_cloning, noise_helps, seeds_differ, one_seed,
)  # fmt: skip
