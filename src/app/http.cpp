#include "app/http.h"

#include <curl/curl.h>
#include <lathe/error.h>

#include <algorithm>
#include <cctype>
#include <exception>
#include <memory>

#include "base/signals.h"

namespace lathe {
namespace {

struct Transfer {
  CURL* handle;
  const std::function<void(int)>& start;
  const std::function<void(std::string_view)>& sink;
  HttpResponse response;
  bool started = false;
  std::exception_ptr failure;  // thrown by start or sink; may not pass through libcurl's C frames
};

size_t receive_body(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  long status = 0;
  curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
  if (status != 200 && status != 206) return size * count;
  try {
    if (!transfer.started) transfer.start(static_cast<int>(status));
    transfer.started = true;
    transfer.sink({data, size * count});
  } catch (...) {
    transfer.failure = std::current_exception();
    return 0;
  }
  return size * count;
}

size_t receive_header(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  std::string line(data, size * count);
  const size_t colon = line.find(':');
  if (colon == std::string::npos) return size * count;
  std::string name = line.substr(0, colon);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  const size_t first = line.find_first_not_of(" \t", colon + 1);
  const size_t last = line.find_last_not_of(" \t\r\n");
  transfer.response.headers[name] =
      first == std::string::npos || first > last ? "" : line.substr(first, last - first + 1);
  return size * count;
}

int stop_when_asked(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return stop_signal() != 0 ? 1 : 0;
}

void set_options(CURL* handle, const HttpRequest& request, curl_slist* headers, Transfer& transfer, char* error) {
  curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "lathe");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(handle, CURLOPT_MAXREDIRS, 10L);
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_timeout_s * 1000));
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.stall_timeout_s));
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, receive_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, receive_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, stop_when_asked);
}

}  // namespace

HttpResponse http_get(const HttpRequest& request, const std::function<void(int)>& start,
                      const std::function<void(std::string_view)>& sink) {
  static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(curl_easy_init(), curl_easy_cleanup);
  if (global != CURLE_OK || !handle) throw Error(ErrorKind::kInternal, "libcurl cannot be started");
  curl_slist* list = nullptr;
  for (const std::string& header : request.headers) list = curl_slist_append(list, header.c_str());
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(list, curl_slist_free_all);
  Transfer transfer{handle.get(), start, sink, {}, false, nullptr};
  char error[CURL_ERROR_SIZE] = "";
  set_options(handle.get(), request, headers.get(), transfer, error);
  const CURLcode code = curl_easy_perform(handle.get());
  if (transfer.failure) std::rethrow_exception(transfer.failure);
  throw_if_stopped();
  long status = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  transfer.response.status = static_cast<int>(status);
  if (code != CURLE_OK) transfer.response.error = *error != 0 ? error : curl_easy_strerror(code);
  return std::move(transfer.response);
}

}  // namespace lathe
