"""Quantises the tiny models of fixtures/oracles with onnxruntime's own tools, into fixtures/quantized.

Usage: python scripts/write_quantized_models.py
Needs: numpy, onnx, onnxruntime.
"""

import pathlib
import tempfile

import numpy as np
import onnx
import onnx.version_converter
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.matmul_bnb4_quantizer import MatMulBnb4Quantizer
from onnxruntime.quantization.matmul_nbits_quantizer import (
    DefaultWeightOnlyQuantConfig,
    MatMulNBitsQuantizer,
    QuantFormat as WeightFormat,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

ROOT = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
MODELS = ROOT / "oracles" / "models"
OUT = ROOT / "quantized"


class RandomBatches(CalibrationDataReader):
    """Batches that fit the inputs of a model: ids below 60, masks of ones, images around zero."""

    def __init__(self, path, count=4):
        rng = np.random.default_rng(0)
        inputs = onnx.load(path, load_external_data=False).graph.input
        self.batches = iter([{i.name: self.draw(rng, i) for i in inputs} for _ in range(count)])

    @staticmethod
    def draw(rng, value):
        kind = value.type.tensor_type
        shape = [d.dim_value or n for d, n in zip(kind.shape.dim, (2, 7, 16, 16), strict=False)]
        if kind.elem_type == onnx.TensorProto.FLOAT:
            return rng.normal(size=shape).astype(np.float32)
        if "mask" in value.name:
            return np.ones(shape, np.int64)
        return rng.integers(0, 2 if "type" in value.name else 60, size=shape, dtype=np.int64)

    def get_next(self):
        return next(self.batches, None)


def prepared(name, into):
    path = into / f"{name}.onnx"
    quant_pre_process(str(MODELS / name / "model.onnx"), str(path), skip_symbolic_shape=True)
    return path


def newer(path):
    """The quantisers of weights raise the opset without a look at the nodes, so the nodes are raised first."""
    model = onnx.version_converter.convert_version(onnx.load(str(path)), 21)
    onnx.save(model, str(path))
    return path


def static(source, name, **options):
    quantize_static(str(source), str(OUT / name), RandomBatches(source), **options)


def four_bits(source, name, **options):
    config = DefaultWeightOnlyQuantConfig(block_size=16, **options)
    quantizer = MatMulNBitsQuantizer(onnx.load(str(source)), algo_config=config)
    quantizer.process()
    onnx.save(quantizer.model.model, str(OUT / name))


def main():
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        into = pathlib.Path(folder)
        bert, llama, conv = (prepared(name, into) for name in ("bert", "llama", "smallconv"))
        newer(llama)
        quantize_dynamic(str(bert), str(OUT / "bert-dynamic.onnx"), weight_type=QuantType.QInt8, per_channel=True)
        quantize_dynamic(str(conv), str(OUT / "smallconv-dynamic.onnx"), weight_type=QuantType.QUInt8)
        static(bert, "bert-qdq.onnx", quant_format=QuantFormat.QDQ, per_channel=True, weight_type=QuantType.QInt8)
        static(bert, "bert-qoperator.onnx", quant_format=QuantFormat.QOperator, activation_type=QuantType.QUInt8, weight_type=QuantType.QUInt8)
        static(conv, "smallconv-qdq.onnx", quant_format=QuantFormat.QDQ, per_channel=True, weight_type=QuantType.QInt8)
        static(conv, "smallconv-qoperator.onnx", quant_format=QuantFormat.QOperator, activation_type=QuantType.QUInt8, per_channel=True, weight_type=QuantType.QInt8)
        four_bits(llama, "llama-nbits.onnx", is_symmetric=False, op_types_to_quantize=("MatMul", "Gather"))
        four_bits(llama, "llama-int4-qdq.onnx", is_symmetric=True, quant_format=WeightFormat.QDQ)
        four_bits(llama, "llama-8bits.onnx", is_symmetric=True, bits=8)
        quantizer = MatMulBnb4Quantizer(onnx.load(str(llama)), MatMulBnb4Quantizer.NF4, 16)
        quantizer.process()
        onnx.save(quantizer.model.model, str(OUT / "llama-nf4.onnx"))
    for path in sorted(OUT.glob("*.onnx")):
        graph = onnx.load(path).graph
        print(path.name, path.stat().st_size, sorted({n.op_type for n in graph.node}))


if __name__ == "__main__":
    main()
