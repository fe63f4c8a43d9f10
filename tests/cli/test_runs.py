"""Commands about finished runs: evaluate, watch, report, export; and those that judge a run."""

import shutil

import numpy as np
import pytest

from imitax.runs.folder import load_policy


def test_evaluate(trained, imitax, read):
    path, _ = trained("gymnasium")
    result = read("evaluate", path, "--episodes", 2)
    assert np.shape(result["lengths"]) == np.shape(result["returns"]) == (2, 2)
    assert result["lengths"] == result["returns"]  # CartPole's reward is 1 at each step
    assert result["episodes"] == 4 and result["mean"] == pytest.approx(np.mean(result["returns"]))
    assert read("evaluate", path, "--episodes", 2) == result
    for option in (("--seed", 1), ("--stochastic",)):
        assert read("evaluate", path, "--episodes", 2, *option)["lengths"] != result["lengths"]
    text = imitax("evaluate", path, "--episodes", 2).out
    assert all(word in text for word in ("all seeds", "seed 0", "seed 1", "95 % interval"))


def test_watch_writes_a_film(trained, imitax, read, tmp_path):
    from PIL import Image

    path, _ = trained("gymnasium")
    result = read("watch", path, "--save", "episode.gif", "--policy", 1)
    assert result["file"] == "episode.gif"
    assert result["lengths"] == result["returns"] and result["lengths"][0] > 1
    with Image.open(tmp_path / "episode.gif") as image:
        assert image.format == "GIF" and 1 < image.n_frames <= result["lengths"][0] + 1
    answer = imitax("watch", path, "--save", "other.gif", "--stochastic", "--episodes", 2)
    assert answer.code == 0 and answer.out.count("Return") == 2
    assert answer.out.endswith("Written to other.gif\n")


def test_watch_in_a_window(trained, read):
    result = read("watch", trained("gymnasium")[0])  # a window that nobody sees
    assert result["file"] is None and result["lengths"] == result["returns"]


def test_export(trained, imitax, read):
    import onnxruntime

    path, _ = trained("gymnasium")
    result = read("export", path, "--out", "policy.onnx", "--seed-index", 1)
    assert result["file"] == "policy.onnx" and result["observations"] > 512
    assert result["ties"] == 0 and result["largest_difference"]["logits"] < 1e-4
    observations = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    session = onnxruntime.InferenceSession("policy.onnx")
    (actions,) = session.run(["action"], {"observation": observations})
    np.testing.assert_array_equal(actions, load_policy(path, 1)(observations))
    assert "checked on" in imitax("export", path, "--out", "first.onnx").out


def test_export_of_parameters(trained, imitax, read):
    command = ["export", trained("gymnasium")[0], "--format", "safetensors"]
    assert read(*command, "--out", "all.safetensors")["policies"] == 2
    answer = imitax(*command, "--out", "one.safetensors", "--seed-index", 1)
    assert answer.code == 0 and "1 of 2 policies" in answer.out
    observations = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    one, all_ = load_policy("one.safetensors"), load_policy("all.safetensors", 1)
    np.testing.assert_array_equal(one(observations), all_(observations))


def test_export_where_the_environment_is_missing(trained, imitax, read, tmp_path):
    shutil.copytree(trained("expert")[0], tmp_path / "run")
    for name in ("config.json", "policy.json"):
        text = (tmp_path / "run" / name).read_text()
        (tmp_path / "run" / name).write_text(text.replace("Acrobot-v1", "Elsewhere-v0"))
    assert read("export", "run", "--out", "policy.onnx")["observations"] == 512
    assert "0 of them from episodes" in imitax("export", "run", "--out", "other.onnx").out


def test_report_compares_runs(trained, imitax, read, tmp_path):
    paths = [trained(name)[0] for name in ("gail", "bc", "constant", "expert")]
    result = read("report", *paths, "--out", "all.html")
    assert result == {"file": "all.html", "bytes": (tmp_path / "all.html").stat().st_size}
    text = (tmp_path / "all.html").read_text()
    assert text.startswith("<!doctype html>")
    assert "GAIL on Acrobot-v1" in text and 'id="films"' in text
    answer = imitax("report", paths[1], "--still")
    assert answer.code == 0 and answer.out.startswith("Written to report.html (0.")
    assert 'id="films"' not in (tmp_path / "report.html").read_text()


def test_diagnose(trained, imitax, read):
    path, _ = trained("gail")
    findings = read("diagnose", path)
    assert {"severity", "title", "evidence", "advice"} == set(findings[0])
    assert "Few seeds" in {finding["title"] for finding in findings}
    text = imitax("diagnose", path).out
    assert "Try: --seeds 5" in text and "Checked: result, discriminator won" in text


def test_control(trained, read, refuse):
    path, summary = trained("gail")
    result = read("control", path, "--out", "controls")
    assert result["run"]["return"] == summary["sampled"]["mean"]
    assert result["verdict"].startswith("The run scores")
    refuse(["control", trained("bc")[0]], "controls are for gail, fem and gtal")
