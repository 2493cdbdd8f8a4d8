"""base: the encoder every recipe starts from, bootstrapped or pretrained, in `models/base`."""

import logging

from stages.shared import collection, errors, models, params, tables

log = logging.getLogger("base")


def main() -> None:
    base, languages, seed = params.read("base", "languages", "seed")
    # torch takes seconds to import: not before the params are known to be right.
    from stages.base import pretrained, static
    from stages.shared import training

    name = None
    if base.name == "static":
        if base.pooling or base.max_length or base.prompts:
            raise errors.UserError(
                "base.pooling, base.prompts and base.max_length do not apply to base.name static: write null"
            )
        files = [folder / "passages.parquet" for folder in (collection.CORPUS, collection.SYNTHETIC)]
        name = training.fingerprint("static", base.static, languages, seed, *files)
        model = static.bootstrap(collection.read_passages(), languages, base.static, seed, name)
    else:
        model = pretrained.load(base)
    with tables.replacing(models.BASE) as draft:
        training.save(model, draft)
    if name:
        training.forget(name)
    log.info(
        f"models/base: {base.name}, {model.get_embedding_dimension()} dimensions, prompts {model.prompts or 'none'}"
    )


if __name__ == "__main__":
    errors.run(main)
