"""Why a run may not have learnt."""
