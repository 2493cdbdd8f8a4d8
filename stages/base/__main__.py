"""base: the encoder every recipe starts from, bootstrapped or pretrained, in `models/base`."""

import logging

from stages.shared import collection, errors, models, params, tables

log = logging.getLogger("base")


def main() -> None:
    base, languages, seed = params.read("base", "languages", "seed")
    # torch takes seconds to import: not before the params are known to be right.
    from stages.base import static
    from stages.shared import pretrained, training

    name = None
    if base.name == "static":
        unused = [key for key in ("pooling", "prompts", "max_length", "padding", "attention") if getattr(base, key)]
        if unused:
            raise errors.UserError(f"base.{unused[0]} does not apply to base.name static: write null")
        files = [folder / "passages.parquet" for folder in (collection.CORPUS, collection.SYNTHETIC)]
        name = training.fingerprint("static", base.static, languages, seed, *files)
        model = static.bootstrap(collection.read_passages(), languages, base.static, seed, name)
        record = {"name": "static", "preset": None, "revision": None, **pretrained.describe(model)}
    else:
        model, record = pretrained.load(base, "base")
    with tables.replacing(models.BASE) as draft:
        training.save(model, draft)
        tables.write_json(record, draft / models.RECORD)
    if name:
        training.forget(name)
    log.info(f"models/base: {base.name}, {record['dimension']} dimensions")


if __name__ == "__main__":
    errors.run(main)
