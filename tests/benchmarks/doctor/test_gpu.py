"""What is said of GPUs, with made-up answers of nvidia-smi and of the libraries."""

from __future__ import annotations

from pathlib import Path

import pytest
from facebench.benchmarks.doctor.facts import Package, Reply
from facebench.benchmarks.doctor.gpu import gpu
from facebench.tests.support.made_up_machine import assert_says, made_up, only, says

IDLE = Reply(0, "NVIDIA H200, 570.86, 143771, 4, 0\n")
BROKEN = Reply(9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n")
CPU_TORCH = says(version="2.13.0+cpu", built_for="", devices=[], fault="")
CUDA_TORCH = says(version="2.13.0", built_for="cuda 13.0", devices=["NVIDIA H200"], fault="")
LOST_TORCH = says(version="2.13.0", built_for="cuda 13.0", devices=[], fault="The NVIDIA driver is too old")
CPU_ORT = says(version="1.31", providers=["AzureExecutionProvider", "CPUExecutionProvider"], fault="")
CUDA_ORT = says(version="1.31", providers=["CUDAExecutionProvider", "CPUExecutionProvider"], fault="")
LOST_ORT = says(version="1.31", providers=["CUDAExecutionProvider"], fault="asked for CUDA, got CPU")
NO_MODULE = Reply(1, "", "Traceback (most recent call last):\nOSError: libtorch.so: undefined symbol\n")

# answers of programs, modules, variables; check, level, words
CHECKS = {
    # driver
    "no GPU": ({}, "", {}, "driver", "note", "no nvidia-smi"),
    "a driver that does not answer": ({"nvidia-smi": BROKEN}, "", {}, "driver", "warning", "couldn't communicate"),
    "a driver that hangs": ({"nvidia-smi": Reply(None)}, "", {}, "driver", "warning", "no answer in time"),
    "a driver without GPUs": (
        {"nvidia-smi": Reply(0, "No devices were found\n")}, "", {}, "driver", "warning", "No devices were found",
    ),
    "a GPU": ({"nvidia-smi": IDLE}, "", {}, "gpu-0", "ok", "GPU 0: NVIDIA H200, driver 570.86, 143771 MB"),
    "an idle GPU": ({"nvidia-smi": IDLE}, "", {}, "gpu-0-busy", None),
    "the second GPU computes": (
        {"nvidia-smi": Reply(0, IDLE.output + "A, 1, 1000, 9, 10\n")}, "", {}, "gpu-1-busy", "warning", "10 % busy",
    ),
    "memory is taken": (
        {"nvidia-smi": Reply(0, "A, 1, 1000, 100, 0\n")}, "", {}, "gpu-0-busy", "warning", "100 MB taken",
    ),
    "a GPU that does not tell": ({"nvidia-smi": Reply(0, "A, 1, [N/A], 9, [N/A]\n")}, "", {}, "gpu-0-busy", None),
    # variables
    "GPUs hidden": (
        {"nvidia-smi": IDLE}, "", {"CUDA_VISIBLE_DEVICES": ""}, "visible-devices", "warning", "unset CUDA_VIS",
    ),
    "some GPUs hidden": ({"nvidia-smi": IDLE}, "", {"CUDA_VISIBLE_DEVICES": "1"}, "visible-devices", "note", "=1"),
    "no GPU to hide": ({}, "", {"CUDA_VISIBLE_DEVICES": ""}, "visible-devices", None),
    # PyTorch
    "no PyTorch": ({}, "", {}, "torch", None),
    "PyTorch of the CPU, no GPU": ({"torch": CPU_TORCH}, "torch", {}, "torch", "ok", "2.13.0+cpu is a CPU build"),
    "PyTorch of the CPU beside a GPU": (
        {"torch": CPU_TORCH, "nvidia-smi": IDLE}, "torch", {}, "torch", "warning", "retinaface", "pip install torch",
    ),
    "PyTorch computes": (
        {"torch": CUDA_TORCH, "nvidia-smi": IDLE}, "torch", {}, "torch", "ok", "cuda 13.0, computes on NVIDIA H200",
    ),
    "PyTorch does not find the GPU": (
        {"torch": LOST_TORCH, "nvidia-smi": IDLE}, "torch", {}, "torch", "warning", "driver is too old",
    ),
    "PyTorch of CUDA without a GPU": ({"torch": LOST_TORCH}, "torch", {}, "torch", "note", "cannot use a GPU"),
    "PyTorch is broken": ({"torch": NO_MODULE}, "torch", {}, "torch", "warning", "undefined symbol", "--force"),
    "PyTorch crashes": ({"torch": Reply(-11)}, "torch", {}, "torch", "warning", "Segmentation fault"),
    "PyTorch hangs": ({"torch": Reply(None)}, "torch", {}, "torch", "warning", "no answer in time"),
    "PyTorch says nothing": ({"torch": Reply(0, "hello\n")}, "torch", {}, "torch", "warning", "answered 'hello'"),
    "PyTorch says something else": ({"torch": Reply(0, "[1]")}, "torch", {}, "torch", "warning", "answered [1]"),
    # ONNX Runtime
    "no ONNX Runtime": ({}, "", {}, "onnxruntime", None),
    "a CPU build, no GPU": ({"onnxruntime": CPU_ORT}, "onnxruntime", {}, "onnxruntime", "ok", "AzureExecution"),
    "a CPU build beside a GPU": (
        {"onnxruntime": CPU_ORT, "nvidia-smi": IDLE}, "onnxruntime", {}, "onnxruntime", "warning",
        "centerface", "&& pip install onnxruntime-gpu",
    ),
    "a session opens": (
        {"onnxruntime": CUDA_ORT, "nvidia-smi": IDLE}, "onnxruntime", {}, "onnxruntime", "ok", "opens sessions",
    ),
    "CUDA libraries are missing": (
        {"onnxruntime": LOST_ORT, "nvidia-smi": IDLE}, "onnxruntime", {}, "onnxruntime", "warning", "got CPU",
    ),
    "a GPU build without a GPU": ({"onnxruntime": LOST_ORT}, "onnxruntime", {}, "onnxruntime", "note", "got CPU"),
    "ONNX Runtime is broken": (
        {"onnxruntime": NO_MODULE}, "onnxruntime", {}, "onnxruntime", "warning", "cannot be imported",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHECKS.values(), ids=CHECKS)
def test_what_is_said(case, tmp_path):
    answers, module, variables, check, level, *words = case
    machine = made_up(
        tmp_path,
        answers=answers,
        environment=variables,
        module=lambda name: Path(name) if name == module else None,
    )
    assert_says(gpu(machine), check, level, *words)


def test_a_driver_without_its_program(tmp_path):
    machine = made_up(tmp_path, {"proc/driver/nvidia/version": "NVRM version: 570"})
    assert_says(gpu(machine), "driver", "warning", "without nvidia-smi")


@pytest.mark.parametrize(
    ("package", "smi", "level", "words"),
    [
        ("tensorflow-cpu", {}, "ok", ("TensorFlow 2.21 is a CPU build",)),
        ("tensorflow-cpu", {"nvidia-smi": IDLE}, "warning", ("mtcnn", "tensorflow[and-cuda]")),
        ("tensorflow", {"nvidia-smi": IDLE}, None, ()),
    ],
)
def test_tensorflow_is_judged_by_its_wheel(package, smi, level, words, tmp_path):
    machine = made_up(tmp_path, answers=smi, packages=[Package(package, "2.21")])
    assert_says(gpu(machine), "tensorflow", level, *words)


def test_two_gpus_are_two_findings(tmp_path):
    found = gpu(made_up(tmp_path, answers={"nvidia-smi": Reply(0, IDLE.output + "A100, 570.86, 40000, 0, 0\n")}))
    assert only(found, "gpu-1") is not None and [finding.level for finding in found] == ["ok", "ok"]
