// The client library: take a turn on the GPU from any C++20 program.
//
//   mgpu::Client client;                                  // $MGPU_URL, or http://127.0.0.1:8090
//   auto speech = client.run("tts", stop, [&] { return speak(text); });
//   if (!speech) std::cerr << speech.failure().detail << '\n';
//
// A lease lives as long as its connection to the daemon: it is given back when the job returns or throws, and
// also when the process dies. A Client may be used by several threads; a Lease belongs to one at a time.
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

// Why something did not happen. `exit_code` is one of the daemon's (docs/api.md): queue_full, wait_limit,
// never_fits_error, not_found, load_failed, ...; or `cancelled` by the stop token, or `unavailable_failure`:
// the daemon can't be reached.
struct Failure {
  std::string code;
  std::string detail;  // a sentence for people
};

// A value, or why there is none. REQUIRES for value(), * and ->: has_value(); for failure(): not.
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

// Where a waiting ticket stands.
struct Waiting {
  std::uint64_t ticket = 0;
  std::uint32_t place = 0;                                    // 1 = next; 0: its room is being made
  std::optional<std::chrono::milliseconds> estimated_wait{};  // until it starts, as far as can be told
};

// What to take a turn for: a consumer of the daemon's configuration, or bare bytes.
struct Request {
  std::string consumer{};                   // name, alias or AI model
  std::uint64_t bytes = 0;                  // without a consumer: how much device memory to reserve
  std::string device{};                     // with bytes: where; empty: the first device
  std::string who{};                        // shown to people in the line; empty: the program's name
  std::chrono::milliseconds wait_limit{0};  // 0: the daemon's
  std::string priority{};                   // realtime, interactive, normal, batch; empty: the consumer's
  std::string user{};                       // on whose behalf, for fair shares; empty: nobody in particular
  std::chrono::milliseconds deadline{0};    // refused if it can't start by then; 0: none
  std::function<void(const Waiting&)>
      on_waiting{};  // called at once if there is a line, and whenever the place changes
};

// The turn, held. Gives itself back when destroyed.
class Lease {
 public:
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  // The ticket's number, the same as in the daemon's logs, events and metrics.
  std::uint64_t ticket() const;

  // Set once the daemon ended the lease early (its service died, the daemon stopped): somebody else may
  // compute now. Looks, and returns at once.
  std::optional<Failure> ended();

  // Readable when it is worth asking ended(): for programs with an event loop.
  int native_handle() const;

  // Gives the turn back now. Nothing happens the second time.
  void release();

 private:
  friend class Client;
  struct State;
  explicit Lease(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Client {
 public:
  // `url` is http://host:port; empty: environment variable MGPU_URL, or http://127.0.0.1:8090. Connects to
  // nobody yet.
  explicit Client(std::string url = {});

  // Waits for the turn; blocks the calling thread. A stop request takes the ticket out of the line.
  Outcome<Lease> acquire(const Request& request, std::stop_token stop = {});

  // Waits for the turn, runs the job, gives the turn back (also when the job throws), and returns what the
  // job returned. The job may take the Lease& to ask whether it ended early, the stop token, or nothing.
  template <class Job>
  auto run(const Request& request, std::stop_token stop, Job&& job);
  template <class Job>
  auto run(const std::string& consumer, std::stop_token stop, Job&& job) {
    return run(Request{.consumer = consumer}, std::move(stop), std::forward<Job>(job));
  }

  const std::string& url() const { return url_; }

 private:
  template <class Job>
  static decltype(auto) call(Job&& job, Lease& lease, const std::stop_token& stop) {
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
  using Value = std::remove_cvref_t<decltype(call(std::forward<Job>(job), std::declval<Lease&>(), stop))>;
  Outcome<Lease> lease = acquire(request, stop);
  if (!lease) return Outcome<Value>(lease.failure());
  if constexpr (std::is_void_v<Value>) {
    call(std::forward<Job>(job), *lease, stop);
    return Outcome<void>();
  } else {
    return Outcome<Value>(call(std::forward<Job>(job), *lease, stop));
  }
}

}  // namespace client_v1
}  // namespace mgpu
