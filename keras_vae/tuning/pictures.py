"""The pictures of a search."""

import os
from pathlib import Path

import numpy as np

from keras_vae.tuning.results import COMPLETED, RUNNING, Search


def draw_search(search: Search, folder: str | os.PathLike | None = None) -> dict[str, Path]:
    """Writes the pictures of a search as PNG files.

    Args:
        search: with a completed trial.
        folder: where to; `pictures` in the folder of the search by default.

    Returns:
        Paths by name: "progress", the objective of each finished trial; and "rate_distortion", all trials in
        the plane of rate and distortion with their front, of models with a density of q(z|x).

    Raises:
        ValueError: where no trial was completed.
    """
    from keras_vae import plots

    search.best()
    path = search.folder / "pictures" if folder is None else Path(folder)
    finished = [trial for trial in search.trials if trial.status != RUNNING]
    goal = search.goal
    figure = plots.search_progress(
        [trial.figures.get(goal.metric, np.nan) for trial in finished],
        failed=[trial.status != COMPLETED for trial in finished],
        direction=goal.direction,
        name=f"{goal.metric} ({goal.unit})",
    )
    drawn = {"progress": plots.save(figure, path / "progress.png")}
    names = ("rate", "distortion")
    known = [t for t in search.completed if all(np.isfinite(t.figures.get(name, np.nan)) for name in names)]
    if known:
        front = [known.index(trial) for trial in search.front()]
        betas = [trial.values.get("beta") for trial in known]
        active = [trial.figures.get("active_units") for trial in known]
        figure = plots.rate_distortion(
            [trial.figures["rate"] for trial in known],
            [trial.figures["distortion"] for trial in known],
            # A schedule has no place on a scale of colours.
            betas=betas if all(isinstance(beta, (int, float)) and beta > 0 for beta in betas) else None,
            latent_sizes=[trial.config.model.latent_size for trial in known],
            front=front,
            collapsed=[trial.collapsed for trial in known],
            active_units=None if None in active else active,
        )
        drawn["rate_distortion"] = plots.save(figure, path / "rate_distortion.png")
    return drawn
