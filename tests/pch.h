#pragma once
// The precompiled header of tests without torch: the rooms' own and what nearly every test includes. As there, every
// file must also build without it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/pch.h"
