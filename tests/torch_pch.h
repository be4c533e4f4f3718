#pragma once
// The precompiled header of tests below the torch line.
#include "ops/pch.h"
#include "pch.h"
