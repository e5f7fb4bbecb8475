// The client library: runs work of a C++20 program in its turn on the GPU.
//
//   mgpu::Client client;                                  // $MGPU_URL, or http://127.0.0.1:8090
//   auto speech = client.run("tts", stop, [&] { return speak(text); });
//   if (!speech) std::cerr << speech.failure().detail << '\n';
//
// A lease lives as long as its connection to the daemon: it ends when the job returns or throws, and also
// when the process dies. Thread rule: several threads may use one Client; only one at a time may use a Lease.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace mgpu {
inline namespace client_v1 {

// Why a call failed. `code` is an error code of the daemon (docs/api.md): queue_full, wait_limit, never_fits,
// not_found, load_failed, ...; or "cancelled": a stop was requested; "unavailable": the daemon can't be
// reached; "internal": the server at the URL is not mgpu.
struct Failure {
  std::string code;
  std::string detail;  // a sentence in English
};

// A value, or the Failure that prevented it. value(), * and -> REQUIRE has_value(); failure() REQUIRES the
// opposite.
template <class T>
class [[nodiscard]] Outcome {
 public:
  Outcome(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Outcome(Failure failure) : state_(std::in_place_index<1>, std::move(failure)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& value() { return std::get<0>(state_); }
  const T& value() const { return std::get<0>(state_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Failure& failure() const { return std::get<1>(state_); }

 private:
  std::variant<T, Failure> state_;
};

template <>
class [[nodiscard]] Outcome<void> {
 public:
  Outcome() = default;
  Outcome(Failure failure) : failure_(std::move(failure)) {}

  bool has_value() const { return !failure_; }
  explicit operator bool() const { return has_value(); }
  const Failure& failure() const { return *failure_; }

 private:
  std::optional<Failure> failure_;
};

// The position of a waiting ticket.
struct Waiting {
  std::uint64_t ticket = 0;
  std::uint32_t place = 0;  // 1: next in line; 0: memory is being freed or loaded for it
  std::optional<std::chrono::milliseconds> estimated_wait{};  // until its grant; none: unknown
};

// What the turn is for: a consumer of the daemon's configuration, or an amount of device memory.
struct Request {
  std::string consumer{};                   // name, alias or AI model
  std::uint64_t bytes = 0;                  // without a consumer: device memory to reserve
  std::string device{};                     // with bytes: id of the device; empty: the first one
  std::string who{};                        // describes the caller in `mgpu line`; empty: the program's name
  std::chrono::milliseconds wait_limit{0};  // fails with wait_limit after this time; 0: the daemon's limit
  std::string priority{};                   // realtime, interactive, normal, batch; empty: the consumer's
  std::string user{};                       // counts towards this user's fair share; empty: no user
  std::chrono::milliseconds deadline{0};    // refused if it can't be granted within this time; 0: none
  // Called on the thread that waits: at once if the ticket is not granted yet, and when its place changes.
  std::function<void(const Waiting&)> on_waiting{};
};

// The held turn. The destructor gives it back.
class Lease {
 public:
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  // The ticket's number, the same as in the daemon's logs, events and metrics.
  std::uint64_t ticket() const;

  // Why the daemon ended the lease early (its service died, the daemon stopped); none while it is held. Once
  // it has ended, other programs may use the GPU. Does not block.
  std::optional<Failure> ended();

  // A descriptor that becomes readable when ended() may have changed; for programs with an event loop.
  int native_handle() const;

  // Gives the turn back now. Further calls do nothing.
  void release();

 private:
  friend class Client;
  struct State;
  explicit Lease(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Client {
 public:
  // `url` is http://host:port; empty: environment variable MGPU_URL, else http://127.0.0.1:8090. Does not
  // connect.
  explicit Client(std::string url = {});

  // Waits for the turn; blocks the calling thread. A stop request, from any thread, takes the ticket out of
  // the line.
  Outcome<Lease> acquire(const Request& request, std::stop_token stop = {});

  // Waits for the turn, calls the job, gives the turn back (also when the job throws), and returns the job's
  // value. The job takes a Lease& (for ended()), a std::stop_token, or nothing.
  template <class Job>
  auto run(const Request& request, std::stop_token stop, Job&& job);
  template <class Job>
  auto run(const std::string& consumer, std::stop_token stop, Job&& job) {
    return run(Request{.consumer = consumer}, std::move(stop), std::forward<Job>(job));
  }

  const std::string& url() const { return url_; }

 private:
  template <class Job>
  static decltype(auto) invoke_job(Job&& job, Lease& lease, const std::stop_token& stop) {
    if constexpr (std::invocable<Job, Lease&>)
      return std::forward<Job>(job)(lease);
    else if constexpr (std::invocable<Job, std::stop_token>)
      return std::forward<Job>(job)(stop);
    else
      return std::forward<Job>(job)();
  }

  std::string url_;
};

template <class Job>
auto Client::run(const Request& request, std::stop_token stop, Job&& job) {
  using Value =
      std::remove_cvref_t<decltype(invoke_job(std::forward<Job>(job), std::declval<Lease&>(), stop))>;
  Outcome<Lease> lease = acquire(request, stop);
  if (!lease) return Outcome<Value>(lease.failure());
  if constexpr (std::is_void_v<Value>) {
    invoke_job(std::forward<Job>(job), *lease, stop);
    return Outcome<void>();
  } else {
    return Outcome<Value>(invoke_job(std::forward<Job>(job), *lease, stop));
  }
}

}  // namespace client_v1
}  // namespace mgpu
