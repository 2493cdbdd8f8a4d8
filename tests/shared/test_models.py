"""Models' records: how a model is run is what the base said, and its own code runs in the study's folders alone."""

import json
import shutil
from pathlib import Path

import pytest

from stages.shared import encoder, models
from stages.shared.errors import UserError
from tests.fakes.checkpoints import save_record, save_sentence_transformer


def test_a_record_is_what_the_base_wrote_and_is_handed_on(workspace):
    save_record("models/base", dtype="bfloat16", attention="eager")
    wanted = {"name": "base", "dtype": "bfloat16", "attention": "eager", "trust_remote_code": False}
    assert models.record(models.BASE) == models.base_record() == wanted
    Path("models/trained/x").mkdir(parents=True)
    models.copy_record(models.BASE, Path("models/trained/x"))
    assert models.record(Path("models/trained/x")) == wanted
    frozen = {"layers": 1, "embeddings": True}
    models.copy_record(models.BASE, Path("models/trained/x"), {"frozen": frozen})
    assert models.record(Path("models/trained/x")) == wanted | {"frozen": frozen}


def test_a_folder_that_no_stage_made_has_no_record(workspace):
    Path("elsewhere").mkdir()
    assert models.record(Path("elsewhere")) == models.record(Path("nowhere")) == {}
    with pytest.raises(UserError, match=r"^models/base/encoder\.json is missing: run `dvc repro`$"):
        models.base_record()


def test_a_record_without_the_key_trusts_nothing(workspace):
    Path("models/base").mkdir(parents=True)
    Path("models/base/encoder.json").write_text('{"dtype": "float32"}')
    assert models.base_record() == {"dtype": "float32", "trust_remote_code": False}


OURS = ["models/base", "models/trained/x", "models/merged/x", "{}/models/base", "models/../models/merged/x"]
FOREIGN = ["elsewhere", "models/downloaded", "models/trained/../../elsewhere", "models/trained/linked", "{}/elsewhere"]


@pytest.mark.parametrize(("place", "trusted"), [*((p, True) for p in OURS), *((p, False) for p in FOREIGN)])
def test_only_the_studys_own_folders_can_ask_for_their_code_to_run(workspace, place, trusted):
    for folder in ("models/base", "models/trained/x", "models/merged/x", "models/downloaded", "elsewhere"):
        save_record(folder, trust_remote_code=True)
    Path("models/trained/linked").symlink_to(workspace.path / "elsewhere")
    assert models.record(Path(place.format(workspace.path)))["trust_remote_code"] is trusted


@pytest.mark.parametrize("place", ["elsewhere", "models/downloaded"])
def test_code_of_a_foreign_folder_does_not_run_though_its_record_says_so(workspace, place):
    folder = save_sentence_transformer(workspace.path / place, "custom", pooling="cls")
    save_record(folder, trust_remote_code=True)
    code = folder / "modeling_tiny.py"
    assert "auto_map" in json.loads((folder / "config.json").read_text())
    code.write_text(f"open({str(workspace.path / 'ran')!r}, 'w').close()\n{code.read_text()}")
    with pytest.raises(UserError, match=f"^{place} cannot be loaded \\(.* contains custom code") as caught:
        encoder.load(Path(place), 4)
    assert "\n" not in str(caught.value) and not Path("ran").exists()
    # Asked for by name, or in the study's own folder, it does.
    shutil.copytree(folder, "models/base")
    for trusted in ({"folder": place, "trust_remote_code": True}, {"folder": "models/base"}):
        assert encoder.load(batch_size=4, **trusted).encode(["w1"], "query").shape == (1, 32)
        Path("ran").unlink()
