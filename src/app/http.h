#pragma once
// Getting things over HTTP. libcurl stays behind this; proxies come from the environment as libcurl reads them.
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct HttpRequest {
  std::string url;
  std::vector<std::string> headers;  ///< "Name: value"; Authorization is not sent on to another host by a redirect
  double connect_timeout_s = 10;
  double stall_timeout_s = 30;  ///< a transfer that stands still for that long has failed
};

struct HttpResponse {
  int status = 0;     ///< of the last answer; 0: there was none
  std::string error;  ///< what broke the transfer; empty: it came whole
  /// Lower-case names. Answers on the way (redirects) count where the last one does not have the header.
  std::map<std::string, std::string> headers;
};

/// Follows redirects. sink gets the body piece by piece, only of an answer with status 200 or 206; start is called once
/// before the first piece with that status. A stop request (base/signals.h) ends the transfer with Error(kInterrupted).
[[nodiscard]] HttpResponse http_get(const HttpRequest& request, const std::function<void(int status)>& start,
                                    const std::function<void(std::string_view)>& sink);

}  // namespace lathe
