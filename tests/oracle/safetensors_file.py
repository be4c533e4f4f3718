"""Writes tests/oracle/values/safetensors_python.safetensors with safetensors 0.8.0 and torch 2.11.0."""
import pathlib

import torch
from safetensors.torch import save_file

values = pathlib.Path(__file__).parent / "values"
save_file({"ramp": torch.arange(15, dtype=torch.float32).reshape(3, 5) * 0.5, "half": torch.ones(4, dtype=torch.bfloat16)},
          values / "safetensors_python.safetensors", metadata={"made_by": "safetensors"})
