#include "app/hub_file.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "base/memory_ledger.h"
#include "base/progress.h"
#include "base/sha256.h"
#include "base/signals.h"
#include "base/write_calls.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

int64_t size_on_disk(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

std::string header(const HttpResponse& response, const std::string& name) {
  const auto found = response.headers.find(name);
  return found == response.headers.end() ? "" : found->second;
}

// An etag is the content's SHA-256 for large files and something shorter for others.
std::optional<std::string> sha256_of_etag(std::string etag) {
  if (etag.starts_with("W/")) etag = etag.substr(2);
  std::erase(etag, '"');
  const bool is_hex = std::all_of(etag.begin(), etag.end(), [](unsigned char c) { return std::isxdigit(c); });
  return etag.size() == 64 && is_hex ? std::optional(etag) : std::nullopt;
}

void take_expectations(const HttpResponse& response, HubFile& expected) {
  if (!expected.sha256) expected.sha256 = sha256_of_etag(header(response, "x-linked-etag"));
  if (!expected.sha256) expected.sha256 = sha256_of_etag(header(response, "etag"));
  const std::string size = header(response, "x-linked-size");
  if (expected.size < 0 && !size.empty() && std::all_of(size.begin(), size.end(), ::isdigit)) {
    expected.size = std::stoll(size);
  }
}

// One try. Bytes go behind those that are there when the server gives the rest alone, and replace them otherwise.
HttpResponse fetch_rest(const HubSettings& settings, const std::string& url, const std::string& partial,
                        const HubFile& file) {
  const int64_t have = size_on_disk(partial);
  HttpRequest request = hub_request(settings, url);
  if (have > 0) request.headers.push_back(fmt::format("Range: bytes={}-", have));
  std::unique_ptr<AppendFile> out;
  ProgressBar bar(file.name, std::max<int64_t>(file.size, 1), 0, file.size > (int64_t{1} << 20));
  const HttpResponse response = http_get(
      request, [&](int status) { out = std::make_unique<AppendFile>(partial, status == 206 ? have : 0); },
      [&](std::string_view piece) {
        out->append(piece);
        bar.update(std::min(out->size(), file.size), format_bytes(out->size()));
      });
  if (out) {
    sync_file(partial);
  } else if (response.status == 200) {
    out = std::make_unique<AppendFile>(partial, 0);  // an empty file
  }
  return response;
}

[[noreturn]] void refuse(const std::string& url, const HttpResponse& response) {
  if (response.status == 401 || response.status == 403) {
    throw Error(ErrorKind::kConfig, fmt::format("{} is not given to us (status {})", url, response.status), {},
                "for a private or gated model set HF_TOKEN to a token that may read it");
  }
  throw Error(ErrorKind::kIo,
              fmt::format("{} cannot be had: {}", url,
                          response.error.empty() ? fmt::format("status {}", response.status) : response.error));
}

bool is_worth_another_try(const HttpResponse& response) {
  return !response.error.empty() || response.status == 408 || response.status == 429 || response.status >= 500;
}

// Nothing, or what is wrong with the bytes.
std::string check_content(const std::string& partial, const HubFile& expected) {
  const int64_t size = size_on_disk(partial);
  if (expected.size >= 0 && size != expected.size) {
    return fmt::format("has {} bytes instead of {}", size, expected.size);
  }
  if (!expected.sha256) return "";
  const std::string actual = sha256_file(partial);
  return actual == *expected.sha256 ? "" : fmt::format("has SHA-256 {} instead of {}", actual, *expected.sha256);
}

// True when the bytes are all there; false when another try may bring the rest.
bool try_once(const HubSettings& settings, const std::string& url, const std::string& partial, HubFile& expected,
              std::string& trouble) {
  if (expected.size > 0 && size_on_disk(partial) == expected.size) return true;
  const HttpResponse response = fetch_rest(settings, url, partial, expected);
  take_expectations(response, expected);
  if (response.status == 416) {  // our bytes are more than the file has: begin anew
    fs::remove(partial);
    trouble = "the bytes kept from an earlier try do not fit";
    return false;
  }
  if (is_worth_another_try(response)) {
    trouble = response.error.empty() ? fmt::format("status {}", response.status) : response.error;
    return false;
  }
  if (response.status != 200 && response.status != 206) refuse(url, response);
  return true;
}

void wait(double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    throw_if_stopped();
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(seconds, 0.1)));
  }
}

}  // namespace

HttpRequest hub_request(const HubSettings& settings, const std::string& url) {
  HttpRequest request{url, {}};
  if (!settings.token.empty()) request.headers.push_back("Authorization: Bearer " + settings.token);
  return request;
}

void download_hub_file(const HubSettings& settings, const std::string& url, const HubFile& file,
                       const std::string& path) {
  HubFile expected = file;
  const std::string id = Sha256().update(file.sha256.value_or(url)).hex().substr(0, 16);
  const std::string partial = fmt::format("{}.{}.incomplete", path, id);
  std::string trouble;
  double delay = settings.retry_delay_s;
  bool whole = false;
  for (int attempt = 0; attempt < settings.tries && !whole; ++attempt) {
    if (attempt > 0) {
      log::warning("{}: {}; trying again", file.name, trouble);
      wait(delay);
      delay *= 2;
    }
    whole = try_once(settings, url, partial, expected, trouble);
  }
  if (!whole) {
    throw Error(ErrorKind::kIo, fmt::format("{} broke off {} times: {}", url, settings.tries, trouble), {},
                "the same command goes on where it stopped");
  }
  if (const std::string wrong = check_content(partial, expected); !wrong.empty()) {
    fs::remove(partial);
    throw Error(ErrorKind::kIo, fmt::format("{} {}; it was removed", url, wrong), {}, "run the same command again");
  }
  if (write_calls().rename(partial.c_str(), path.c_str()) != 0) {
    throw Error(ErrorKind::kIo, fmt::format("cannot rename {} to {}", partial, path));
  }
  sync_directory(fs::path(path).parent_path().string());
}

}  // namespace lathe
