#include "base/program_id.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace lathe {
namespace {

TEST(ProgramId, IsTheOneThatReadelfPrints) {
  const std::string command = "readelf -n /proc/" + std::to_string(::getpid()) + "/exe 2>/dev/null";
  FILE* pipe = ::popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string printed;
  char buffer[4096];
  for (size_t count = 0; (count = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) printed.append(buffer, count);
  const int status = ::pclose(pipe);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) GTEST_SKIP() << "no readelf here";  // the shell did not find it
  ASSERT_EQ(status, 0);
  const size_t at = printed.find("Build ID: ");
  const std::string wanted = at == std::string::npos ? "" : printed.substr(at + 10, printed.find('\n', at) - at - 10);
  EXPECT_EQ(program_id(), wanted);
}

}  // namespace
}  // namespace lathe
