"""BibTeX entries of methods and agents."""

import re
from importlib import resources

from imitax.errors import unknown

# Name of a method or agent -> keys in citations.bib, the main source first.
SOURCES = {
    "imitax": ("imitax",),
    "bc": ("pomerleau1989alvinn",),
    "gail": ("ho2016generative",),
    "fem": ("abbeel2004apprenticeship", "ho2016modelfree"),
    "gtal": ("syed2008gametheoretic", "ho2016modelfree"),
    "mce_irl": ("ziebart2010modeling",),
    "constant": ("imitax", "ho2016generative"),
    "rl": ("schulman2017proximal", "schulman2016high"),
    "ppo": ("schulman2017proximal", "schulman2016high"),
    "trpo": ("schulman2015trust", "schulman2016high"),
}


def cite(name: str = "imitax") -> str:
    """The BibTeX entries to cite for a method or an agent; `ImitaxError` for an unknown name."""
    if name not in SOURCES:
        raise unknown("method or agent", name, SOURCES)
    entries = bibliography()
    return "\n\n".join(entries[key] for key in SOURCES[name])


def bibliography() -> dict[str, str]:
    """Key -> BibTeX entry."""
    text = resources.files("imitax.data").joinpath("citations.bib").read_text(encoding="utf-8")
    entries = (entry.strip() for entry in re.split(r"\n(?=@)", text))
    return {entry[entry.index("{") + 1 : entry.index(",")]: entry for entry in entries}
