"""What the tests of training share: a training set of words, and settings of a few steps."""

import numpy as np
import polars as pl
from safetensors.torch import load_file

from stages.schemas.trainsets import BATCHES, TRAINING_ROWS, TRAINING_TEXTS
from stages.shared import tables
from tests.fakes.checkpoints import WORDS, save_record

SETTINGS = {"steps": 6, "batch_size": 8, "learning_rate": 0.01, "log_every": 2}


def trainset(count=24, compositions=("enenen",), pools=()):
    rng = np.random.default_rng(0)
    texts = sorted({" ".join(rng.choice(WORDS, 5)) for _ in range(3 * count)})
    rows = [
        (
            compositions[i * len(compositions) // count],
            i,
            count + i,
            [2 * count + i, 2 * count + (i + 1) % count],
            [i, 100 + i, 200 + i],
        )
        for i in range(count)
    ]
    table = pl.DataFrame(list(pools), schema=BATCHES, orient="row")
    tables.write(table, "data/trainsets/r/batches.parquet", BATCHES)
    tables.write(pl.DataFrame({"text": texts}), "data/trainsets/r/texts.parquet", TRAINING_TEXTS)
    table = pl.DataFrame(rows, schema=TRAINING_ROWS, orient="row")
    tables.write(table, "data/trainsets/r/rows.parquet", TRAINING_ROWS)
    return texts


def prepared(workspace, model=None, compositions=("enenen",), pools=(), **changes):
    """Write the training set, its texts returned, `model` as the base, and `changes` of the settings."""
    texts = trainset(compositions=compositions, pools=pools)
    if model is not None:
        model.save_pretrained(str(workspace.path / "models/base"), create_model_card=False)
        save_record("models/base")
    workspace.edit(
        recipes__r={"compositions": ["enenen"], "negatives": "window"},
        **{f"train__{k}": v for k, v in {**SETTINGS, **changes}.items()},
    )
    return texts


def weights(folder):
    return load_file(str(folder / "model.safetensors"))["embedding.weight"]
