#pragma once
// The one precompiled header below the torch line. Lean on purpose: torch/torch.h would cost 724 MB and 28 s
// (docs/architecture.md, "Compile time"). Every file must also build without it.
#include <ATen/ATen.h>

#include "base/pch.h"
