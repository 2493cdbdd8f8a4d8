"""chosen: the model that `compare` chose in a folder of its own, with its card, ready to be loaded and published.

`SentenceTransformer("models/chosen")` loads it. Beside it lie the exports that params.yaml asks for, each measured on
the benchmark on which the model was chosen. How fast they are is measured too: it is of this machine, and so the one
number of a study that is another each time; it is in `metrics/chosen.json` alone, on which nothing depends.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import jinja2

from stages.chosen import measured, smaller, transformer
from stages.schemas.chosen import CHOSEN_FOLDER, CHOSEN_METRICS
from stages.schemas.summary import SUMMARY_FILE
from stages.settings.base import read_base
from stages.settings.benchmarks import read_benchmarks
from stages.settings.chosen import Exports, read_chosen
from stages.settings.corpus import Corpus, read_corpus
from stages.settings.merges import Merge, read_merges
from stages.settings.recipes import Recipe, read_recipes
from stages.settings.retrieve import Retrieve, read_retrieve
from stages.settings.windows import read_windows
from stages.shared import encoder, errors, models, query_normalizer, ranking, tables
from stages.shared.errors import UserError
from stages.shared.roles import Encoder
from stages.shared.tasks import GROUPS
from stages.shared.windows import WindowedEncoder

log = logging.getLogger("chosen")
CARD = Path("metrics/report/model_card.md")


def main() -> None:
    asked, summary = read_chosen(), tables.read_json(SUMMARY_FILE)
    name, selected_on = summary["chosen_model"], summary["selected_on"]
    folder = _folder(name)
    if not CARD.is_file():
        raise UserError(f"{CARD} is missing: run `dvc repro`")
    static = encoder.is_static(folder)
    refuse_unsuited(static, asked)
    metric = read_benchmarks()[selected_on].metric or summary["metric"]
    retrieve = read_retrieve()
    facts = {"model": name, "benchmark": selected_on, "metric": metric}
    with tables.replacing(CHOSEN_FOLDER) as draft:
        shutil.copytree(folder, draft, copy_function=shutil.copyfile)
        facts["exports"] = {}
        if asked.any:
            make = _static_exports if static else _transformer_exports
            windows = read_windows()
            whole, exports = make(folder, draft, asked, retrieve.batch_size)
            read = {path: WindowedEncoder(export, windows, path) for path, export in exports.items()}
            benchmark = ranking.benchmarks()[selected_on]
            facts["exports"] = _measured(
                WindowedEncoder(whole, windows, name), read, draft, benchmark, metric, retrieve
            )
        parts = params(name, read_recipes(), read_merges())
        licenses = {source: asked.licenses.get(source, "") for source in sources(read_corpus(), read_base().name)}
        more = _rendered(**facts, params=parts, licenses=licenses, static=static)
        (draft / "README.md").write_text(CARD.read_text(encoding="utf-8") + more, encoding="utf-8")
    tables.write_json(facts, CHOSEN_METRICS)
    log.info(f"{name} is {CHOSEN_FOLDER}{', with ' + ', '.join(facts['exports']) if facts['exports'] else ''}")


def _folder(name: str) -> Path:
    folder = models.MERGED / name if (models.MERGED / name).is_dir() else models.source(name)
    if not (folder / "modules.json").is_file():
        raise UserError(f"{SUMMARY_FILE} names the model {name!r}, of which there is no folder: run `dvc repro`")
    return folder


def refuse_unsuited(static: bool, asked: Exports) -> None:
    """Raise `UserError` for an export that such a model cannot have, or that nothing here can make."""
    if static:
        for key in ("onnx", "openvino"):
            if getattr(asked, key):
                raise UserError(f"chosen.{key} is of transformers, but the chosen model is static: write false")
        return
    if asked.dimensions is not None:
        raise UserError("chosen.dimensions is of static models, but the chosen model is a transformer: write null")
    if asked.int8 and not (asked.onnx or asked.openvino):
        raise UserError("chosen.int8 of a transformer is that of its exports: set chosen.onnx or chosen.openvino")
    transformer.refuse_without(asked)


def _static_exports(folder: Path, draft: Path, asked: Exports, batch_size: int) -> tuple[Encoder, dict[str, Encoder]]:
    """The model, and its exports by the paths at which they lie in `draft`."""
    exports: dict[str, Encoder] = {}
    for dimensions in dict.fromkeys([None, asked.dimensions]):
        for int8 in dict.fromkeys([False, asked.int8]):
            words = [f"dimensions-{dimensions}" if dimensions else "", "int8" if int8 else ""]
            if path := "-".join(filter(None, words)):
                smaller.export(folder, draft / path, dimensions, int8)
                exports[path] = encoder.load(draft / path, batch_size)
    return encoder.load(folder, batch_size), exports


def _transformer_exports(
    folder: Path, draft: Path, asked: Exports, batch_size: int
) -> tuple[Encoder, dict[str, Encoder]]:
    trusted = models.record(folder)["trust_remote_code"]
    # Other attention than eager is of kernels that another runtime does not have.
    model = encoder.opened(folder, "cpu", trust_remote_code=trusted, attn_implementation="eager").float()
    whole = encoder.TransformerEncoder(model, batch_size, query_normalizer.read(folder))
    runs = transformer.export(model, draft, asked)
    return whole, {path: transformer.ExportedEncoder(whole, run) for path, run in runs.items()}


def _measured(
    whole: WindowedEncoder,
    exports: dict[str, WindowedEncoder],
    draft: Path,
    benchmark: ranking.Tables,
    metric: str,
    settings: Retrieve,
) -> dict[str, dict[str, Any]]:
    own, spent = measured.means(whole, benchmark, metric, settings.depth), measured.seconds(whole, benchmark)
    found = {}
    for path, model in exports.items():
        means = measured.means(model, benchmark, metric, settings.depth)
        lost = {group: round(own[group] - means[group], 5) for group in means}
        speed = float(f"{spent / measured.seconds(model, benchmark):.2g}")
        found[path] = {**means, "lost": lost, "megabytes": measured.megabytes(draft / path), "speed": speed}
        told = ", ".join(f"{group} {-100 * loss:+.2f}" for group, loss in lost.items())
        log.info(f"{path}: {metric} x 100 {told}, {speed} x as fast")
    return found


def params(name: str, recipes: dict[str, Recipe], merges: dict[str, Merge]) -> dict[str, str]:
    """What `name` is made of, by the keys of params.yaml, each on one line."""
    if name in merges:
        found = {f"merges.{name}": merges[name].model_dump_json(exclude_defaults=True)}
        return found | {key: own for part in merges[name].parts for key, own in params(part, recipes, merges).items()}
    return {f"recipes.{name}": recipes[name].model_dump_json(exclude_defaults=True)} if name in recipes else {}


def sources(corpus: Corpus, base: str) -> list[str]:
    """What the model's texts and its weights come from: paths and names as params.yaml has them."""
    read = [part.path for part in corpus.parts.values()]
    if corpus.dataset and corpus.dataset.name:
        read.append(corpus.dataset.name)
    elif corpus.path and not read:
        read.append(corpus.path)
    return [*read, *([base] if base != "static" else [])]


def _rendered(**shown: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    groups = [group for group in GROUPS if any(group in found for found in shown["exports"].values())]
    return environment.get_template("card.md.j2").render(groups=groups, **shown)


if __name__ == "__main__":
    errors.run(main)
