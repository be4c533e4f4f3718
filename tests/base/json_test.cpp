#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace lathe {
namespace {

using ::testing::HasSubstr;

std::string error_of(std::string_view text) {
  try {
    (void)parse_json(text, "a.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    return error.what();
  }
  return "no error";
}

TEST(Json, KeepsValuesAndOrder) {
  const Json json = parse_json(R"({"b": 1, "a": [true, null, -2, 2.5, "é\n\u00e9"], "c": {}})", "a.json");
  EXPECT_EQ(json.begin().key(), "b");
  EXPECT_EQ(json, Json::parse(R"({"b": 1, "a": [true, null, -2, 2.5, "é\n\u00e9"], "c": {}})"));
}

TEST(Json, KnowsWhereKeysAndElementsStand) {
  const std::string text =
      "{\n  \"a\": {\"x\\\"\\\\\": 1,\n\t\"b/c~\": [1,\n  22 , {\"d\": 2}, \"s\\\"t\", true,3]},\n \"é\": 1, \"z\":0}";
  JsonPositions positions;
  (void)parse_json(text, "a.json", 10, &positions);
  const auto expect = [&](const std::string& pointer, int64_t line, int64_t column) {
    ASSERT_TRUE(positions.contains(pointer)) << pointer;
    EXPECT_EQ(positions[pointer].line, line) << pointer;
    EXPECT_EQ(positions[pointer].column, column) << pointer;
  };
  expect("/a", 11, 3);
  expect("/a/x\"\\", 11, 9);
  expect("/a/b~1c~0", 12, 2);
  expect("/a/b~1c~0/0", 12, 11);
  expect("/a/b~1c~0/1", 13, 3);
  expect("/a/b~1c~0/2", 13, 8);
  expect("/a/b~1c~0/2/d", 13, 9);
  expect("/a/b~1c~0/3", 13, 18);
  expect("/a/b~1c~0/4", 13, 26);
  expect("/a/b~1c~0/5", 13, 31);
  expect("/é", 14, 2);
  expect("/z", 14, 11);
}

TEST(Json, NamesTheLineOfAnError) {
  EXPECT_THAT(error_of("{\n\"a\": 1,\n}"), HasSubstr("a.json:3: no valid JSON at column 1"));
  EXPECT_THAT(error_of(""), HasSubstr("a.json:1: no valid JSON"));
  EXPECT_THAT(error_of("{\"a\": \"\xff\"}"), HasSubstr("invalid"));
  EXPECT_THAT(error_of("{\"a\": 1e999}"), HasSubstr("a.json:1"));
  EXPECT_THAT(error_of("{} x"), HasSubstr("a.json:1"));
  EXPECT_THAT(error_of("{\"a\": 1,\n \"b\": 2,\n \"a\": 3}"),
              HasSubstr("a.json:3: the key 'a' is given twice (first in line 1)"));
}

TEST(Json, RefusesDepthThatCouldOverflowTheStack) {
  EXPECT_THAT(error_of(std::string(100000, '[')), HasSubstr("nested deeper than 256 levels"));
  EXPECT_EQ(error_of(std::string(256, '[') + std::string(256, ']')), "no error");
}

TEST(Json, ReadsAndWritesNonFiniteNumbersAsPythonDoes) {
  const Json json = parse_json("{\"a\": [NaN, -Infinity,Infinity], \"b\": \"NaN Infinity\", \"c\":NaN}", "a.json");
  EXPECT_TRUE(std::isnan(json["a"][0].get<double>()));
  EXPECT_EQ(json["a"][1].get<double>(), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(json["a"][2].get<double>(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(json["b"], "NaN Infinity");
  EXPECT_TRUE(std::isnan(json["c"].get<double>()));
  EXPECT_EQ(dump_json(json), R"({"a":[NaN,-Infinity,Infinity],"b":"NaN Infinity","c":NaN})");
  EXPECT_TRUE(std::isnan(parse_json("NaN", "a.json").get<double>()));
  for (const char* bad : {"1NaN", "NaN1", "-NaN", "nan", "Infinit", "[--Infinity]", "NaN:", "{NaN: 1}"}) {
    EXPECT_THAT(error_of(bad), HasSubstr("no valid JSON")) << bad;
  }
}

TEST(Json, WritesDoublesAsPythonsRepr) {
  // Right-hand sides: json.dumps of Python 3.11.
  const std::pair<double, const char*> cases[] = {{1.0, "1.0"},
                                                  {0.1, "0.1"},
                                                  {1e-5, "1e-05"},
                                                  {0.0001, "0.0001"},
                                                  {1e16, "1e+16"},
                                                  {123456789012345680.0, "1.2345678901234568e+17"},
                                                  {5e-324, "5e-324"},
                                                  {-0.0, "-0.0"},
                                                  {1e15, "1000000000000000.0"},
                                                  {2.0 / 3, "0.6666666666666666"},
                                                  {1.7976931348623157e308, "1.7976931348623157e+308"}};
  for (const auto& [value, text] : cases) {
    EXPECT_EQ(dump_json(Json(value)), text);
    EXPECT_EQ(parse_json(text, "a.json").get<double>(), value);
  }
}

TEST(Json, IndentsAsPythonDoes) {
  const Json json = parse_json(R"({"a":[1,{"b":[]}],"c":{},"d":"é\u0001\"\\/"})", "a.json");
  // json.dumps(value, indent=2, ensure_ascii=False) of Python 3.11.
  EXPECT_EQ(
      dump_json(json, 2),
      "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {},\n  \"d\": \"é\\u0001\\\"\\\\/\"\n}");
  EXPECT_EQ(parse_json(dump_json(json), "a.json"), json);
}

TEST(Json, ReadsAnObjectOfManyKeysInLinearTime) {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) text += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":" + std::to_string(i);
  text += "}";
  const Json json = parse_json(text, "a.json");  // minutes if each key were looked up in a list
  EXPECT_EQ(json.size(), 200000U);
}

}  // namespace
}  // namespace lathe
