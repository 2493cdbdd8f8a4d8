"""A transformer exported to ONNX and OpenVINO, in the places where sentence-transformers' backends look for them.

Its own way there leads through packages (optimum) that hold transformers back by a major version, so what exports is
torch, and what quantises are the runtimes' own tools: onnxruntime's dynamic quantisation, and NNCF's compression of
weights. Only the transformer is exported: tokenising, pooling and normalising stay sentence-transformers'.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.settings.chosen import Exports
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

GRAPH_INPUTS, GRAPH_OUTPUT = ("input_ids", "attention_mask"), "last_hidden_state"
# What each export imports: pyproject.toml's extra `export`.
NEEDED = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino", "nncf")}
# From inputs, [texts, tokens], to the last hidden state, [texts, tokens, dimension].
Runtime = Callable[[dict[str, np.ndarray]], np.ndarray]


def refuse_without(asked: Exports) -> None:
    """Raise `UserError` if a package is missing of what is asked for."""
    for name, packages in NEEDED.items():
        missing = [package for package in packages if find_spec(package) is None]
        if getattr(asked, name) and missing:
            raise UserError(f"chosen.{name} needs {missing[0]}: install {' '.join(missing)}, or write false")


def export(model: SentenceTransformer, folder: Path, asked: Exports) -> dict[str, Runtime]:
    """Write the exports of `model` below `folder`; what runs each, by its file's path there."""
    runs: dict[str, Runtime] = {}
    graph = folder / "onnx/model.onnx"
    graph.parent.mkdir()
    _to_onnx(model, graph)
    if asked.onnx:
        runs["onnx/model.onnx"] = _onnxruntime(graph)
        if asked.int8:
            from onnxruntime.quantization import QuantType, quantize_dynamic

            small = graph.with_name("model_qint8.onnx")
            # onnxruntime advises a preprocessing that torch's own optimisation has done.
            logging.disable(logging.WARNING)
            try:
                beside = len(list(graph.parent.iterdir())) > 1
                quantize_dynamic(str(graph), str(small), weight_type=QuantType.QInt8, use_external_data_format=beside)
            finally:
                logging.disable(logging.NOTSET)
            runs["onnx/model_qint8.onnx"] = _onnxruntime(small)
    if asked.openvino:
        runs |= _to_openvino(graph, folder / "openvino", asked.int8)
        if not asked.onnx:
            shutil.rmtree(graph.parent)
    return runs


def _to_onnx(model: SentenceTransformer, file: Path) -> None:
    """The transformer alone, for any number of texts and tokens; without what says where and from what it was made."""
    import torch

    network: Any = model[0].auto_model

    class Hidden(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.network(input_ids=input_ids, attention_mask=attention_mask, return_dict=True).last_hidden_state

    features = model.preprocess(["one text of some words", "another"])
    texts, tokens = torch.export.Dim("texts"), torch.export.Dim("tokens")
    program: Any = torch.onnx.export(
        Hidden().eval(),
        tuple(features[name] for name in GRAPH_INPUTS),
        input_names=list(GRAPH_INPUTS),
        output_names=[GRAPH_OUTPUT],
        dynamo=True,
        dynamic_shapes=({0: texts, 1: tokens}, {0: texts, 1: tokens}),
        verbose=False,
    )
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # the paths of the code
    program.save(str(file))  # weights of more than 2 GB in a file beside it


def _onnxruntime(file: Path) -> Runtime:
    from onnxruntime import InferenceSession

    session = InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda given: np.asarray(session.run([GRAPH_OUTPUT], given)[0])


def _to_openvino(graph: Path, folder: Path, int8: bool) -> dict[str, Runtime]:
    import openvino

    made = {"openvino/openvino_model.xml": openvino.convert_model(str(graph))}
    if int8:
        import nncf

        nncf.set_log_level(logging.ERROR)
        copy = openvino.convert_model(str(graph))
        made["openvino/openvino_model_qint8_quantized.xml"] = nncf.compress_weights(copy)
    for name, network in made.items():
        openvino.save_model(network, str(folder.parent / name), compress_to_fp16=False)
    return {name: _compiled(folder.parent / name) for name in made}


def _compiled(file: Path) -> Runtime:
    import openvino

    compiled = openvino.compile_model(str(file), "CPU")
    return lambda given: np.asarray(compiled(given)[0])


def run_by(model: SentenceTransformer, run: Runtime) -> None:
    """Have `run` compute what the transformer of `model` does."""
    import torch
    from transformers.modeling_outputs import BaseModelOutput

    def forward(**features: Any) -> BaseModelOutput:
        hidden = run({name: features[name].cpu().numpy() for name in GRAPH_INPUTS})
        return BaseModelOutput(last_hidden_state=torch.from_numpy(hidden))

    network: Any = model[0].auto_model
    network.forward = forward
