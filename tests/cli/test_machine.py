"""Commands about the installation: methods, envs, cite, doctor."""


def test_methods(imitax, read):
    text, listing = imitax("methods").out, read("methods")
    assert listing["presets"] == ["original", "paper"]
    assert listing["method gail"]["settings"]["reward.learning_rate"]["default"] == 0.003
    assert listing["agent ppo"]["settings"]["agent.hidden"]["default"] == [100, 100]
    assert listing["loop"]["settings"]["loop.env_steps"]["default"] == 5120
    for title, entry in listing.items():
        for key in entry["settings"] if title != "presets" else ():
            assert key in text
    assert {f"method {name}" for name in ("bc", "gail", "constant", "rl")} < set(listing)


def test_envs(imitax, read):
    listing = read("envs")
    assert "Acrobot-v1" in listing["native"] and "LunarLander-v3" in listing["gymnasium"]
    assert listing["demonstrations"] == [f"Acrobot-v1/{count}" for count in (1, 4, 7, 10)]
    assert "Acrobot-v1/10" in imitax("envs").out


def test_cite(imitax):
    assert "Ho" in imitax("cite", "gail").out and "imitax" in imitax("cite").out


def test_doctor(imitax, read, monkeypatch):
    from imitax.doctor import judge

    report = read("doctor")
    facts = {"versions", "extras", "machine", "cache", "renderers", "minari"}
    assert report["works"] and facts < set(report)
    monkeypatch.setattr(judge, "probe", lambda: [{"stage": "JAX", "error": "it [exploded]"}])
    answer = imitax("doctor")
    assert answer.code == 1 and "it [exploded]" in answer.out and "cannot run" in answer.out
    monkeypatch.setattr(judge, "probe", lambda: [])
    assert imitax("doctor").code == 0
