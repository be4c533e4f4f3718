#pragma once
// A server on the loopback address that gives scripted answers, one connection a request.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace lathe {

class TinyHttpServer {
 public:
  /// @param answer from a request's head (method line and headers) to all bytes of the answer; the connection is closed
  /// after them, so an answer shorter than its Content-Length is a dropped connection.
  explicit TinyHttpServer(std::function<std::string(const std::string&)> answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(listener_, 8) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
      throw std::runtime_error("no port on the loopback address");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~TinyHttpServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  TinyHttpServer(const TinyHttpServer&) = delete;
  TinyHttpServer& operator=(const TinyHttpServer&) = delete;

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  /// Heads of the requests so far.
  [[nodiscard]] std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  /// A whole answer. @param promised Content-Length when it shall not be the body's own.
  static std::string make(const std::string& status, const std::string& body, const std::string& headers = "",
                          int64_t promised = -1) {
    return "HTTP/1.1 " + status + "\r\nConnection: close\r\nContent-Length: " +
           std::to_string(promised < 0 ? static_cast<int64_t>(body.size()) : promised) + "\r\n" + headers + "\r\n" +
           body;
  }

 private:
  void serve() {
    for (;;) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      std::string head;
      char buffer[4096];
      while (head.find("\r\n\r\n") == std::string::npos) {
        const ssize_t count = ::recv(connection, buffer, sizeof(buffer), 0);
        if (count <= 0) break;
        head.append(buffer, static_cast<size_t>(count));
      }
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(head);
      }
      const std::string bytes = answer_(head);
      for (size_t sent = 0; sent < bytes.size();) {
        const ssize_t count = ::send(connection, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (count <= 0) break;
        sent += static_cast<size_t>(count);
      }
      ::close(connection);
    }
  }

  std::function<std::string(const std::string&)> answer_;
  int listener_ = -1, port_ = 0;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
};

}  // namespace lathe
