# SPDX-License-Identifier: MIT
"""PyTorch: every operator that its own tests know, with samples of theirs, forward and backward.

What comes out must be the same natively and forwarded. An operator that fails natively has to fail forwarded in the
same way.
"""

import os
import sys
import types
import unittest
import warnings

import torch
from snippet import check, end, result

# The tests' own helper modules, which the wheel does not bring.
for name, member in (("expecttest", {"TestCase": unittest.TestCase, "assert_expected_inline": None}),
                     ("hypothesis", {})):
    try:
        __import__(name)
    except ImportError:
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(member)
os.environ.setdefault("PYTORCH_TESTING_DEVICE_ONLY_FOR", "cuda")
from torch.testing._internal.common_methods_invocations import op_db  # noqa: E402 the helpers first

warnings.filterwarnings("ignore")
torch.use_deterministic_algorithms(True, warn_only=True)
SAMPLES = 3


def tensors(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors(item)


def words(value):
    """What there is of a tensor to compare, without the digits that the order of a sum changes."""
    value = value.detach()
    if value.layout != torch.strided:
        value = value.to_dense()
    told = f"{str(value.dtype)[6:]}{list(value.shape)}".replace(" ", "")
    if value.numel() == 0:
        return told
    numbers = torch.view_as_real(value) if value.is_complex() else value
    numbers = numbers.double().nan_to_num(posinf=1e30, neginf=-1e30)
    return f"{told}={numbers.abs().mean().item():.3g}"


def run(op, sample):
    out = list(tensors(op(sample.input, *sample.args, **sample.kwargs)))
    told = [words(value) for value in out]
    wanted = [value for value in tensors([sample.input, *sample.args]) if value.requires_grad]
    total = [value.abs().sum() for value in out if value.requires_grad and value.layout == torch.strided]
    if total and wanted:
        gradients = torch.autograd.grad(sum(total), wanted, allow_unused=True)
        told += [words(value) for value in gradients if value is not None]
    return told


done = 0
for op in op_db:
    if torch.float32 not in op.supported_dtypes("cuda") or op.name.startswith(("empty", "new_empty", "_segment")):
        continue
    name = op.name + ("." + op.variant_test_name if op.variant_test_name else "")
    torch.manual_seed(1)
    told = []
    try:
        for index, sample in enumerate(op.sample_inputs("cuda", torch.float32, requires_grad=op.supports_autograd)):
            if index == SAMPLES:
                break
            torch.manual_seed(2)
            told += run(op, sample)
    except Exception as error:  # pylint: disable=broad-except
        told.append(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:100])
    result(name, *told)
    done += 1
torch.cuda.synchronize()
check("the device still works", torch.ones(3, device="cuda").sum().item() == 3)
result("operators", done)
end()
