#pragma once
// The tests' precompiled header below the torch line: src/ops/pch.h and what nearly every test includes. As there,
// every file must also build without it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "ops/pch.h"
