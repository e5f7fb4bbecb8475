// mgpu-fake-service: a fake inference server for tests that allocates memory of the simulated GPU. One thread
// per connection and blocking sockets, so that streaming, hanging and crashing at any moment stay simple.
//
//   --port N                 listens on 127.0.0.1
//   --name M                 the name in /v1/models (default "fake")
//   --bytes N --working N    memory while loaded; additional memory during each request
//   --lazy                   loads on POST /load instead of at start
//   --load-ms N --run-ms N   duration of loading and of each request; a request may set its own "run_ms"
//   --journal FILE           appends a line for each request: "start NAME NANOSECONDS USER", then "end ...",
//   or
//                            "cut ..." if the caller left before the answer was complete
//   --device N               allocates on this device (default 0); repeated: equal parts on each
//   --ollama M=BYTES ...     several AI models with Ollama's API: time to live by keep_alive, delete, copy,
//   pull
//   --llama-router M=BYTES ...   several AI models with llama-server's router
//   --reported-percent N   of their true sizes, in its lists (default 100)
//   --children               with one of these two: each loaded AI model is a child process that holds its
//   memory
//   --fault F                crash-at-load crash-at-request crash-in-stream never-healthy ignore-stop rubbish
//                            not-http oom slow-free half-free fail-unload oom-at-request oom-crash-at-request
//   --once FILE              a fault at a request is injected only while FILE exists, and deletes it
//   --faults FILE            the fault is the word in FILE, which is deleted when the fault is injected
//
// SIGUSR1 makes it write a line to stdout. Env MGPU_NVML_LIBRARY names the library of the simulated GPU;
// without it no memory is allocated.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using nlohmann::json;

namespace {

enum class Role { plain, ollama, router };

struct Options {
  Role role = Role::plain;
  std::uint16_t port = 0;
  std::vector<unsigned> devices{};
  std::string name = "fake";
  std::uint64_t bytes = 0, working = 0;
  bool lazy = false, children = false;
  int load_ms = 0, run_ms = 0;
  std::string journal{}, fault{}, once{}, faults{};
  std::map<std::string, std::uint64_t> ai_models{};
  std::uint64_t reported_percent = 100;
};

using Clock = std::chrono::steady_clock;
constexpr auto kDefaultKeepAlive = std::chrono::minutes(5);  // Ollama's

Options options;
std::mutex load_mutex;             // held during a load or an unload
std::mutex mutex;                  // guards the following, and options.ai_models
std::set<std::string> resident{};  // AI models in device memory
std::set<std::string> loading{};
std::map<std::string, Clock::time_point> expiry{};  // of resident AI models of Ollama
std::map<std::string, int> in_use{};                // requests that compute with it
std::map<std::string, pid_t> children{};            // of --children
std::map<std::string, std::uint64_t> removed{};     // deleted ones; a pull brings them back
std::atomic<bool> ready = false;
std::atomic<int> running = 0;

void pause_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

void append_to_journal(const char* what, const std::string& user) {
  if (options.journal.empty()) return;
  const auto line = std::string(what) + " " + options.name + " " +
                    std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()) + " " + user +
                    "\n";
  const int fd = open(options.journal.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  [[maybe_unused]] auto n = write(fd, line.data(), line.size());
  close(fd);
}

std::string read_word(const std::string& path) {
  char word[64];
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const auto n = fd < 0 ? 0 : read(fd, word, sizeof word);
  close(fd);
  return {word, static_cast<std::size_t>(std::max<ssize_t>(n, 0))};
}

// Whether to inject this fault now. A fault from --faults is injected once.
bool consume_fault(const char* fault) {
  if (options.fault == fault) return true;
  return !options.faults.empty() && read_word(options.faults) == fault && unlink(options.faults.c_str()) == 0;
}

// The same for faults at a request, where --once also limits --fault to one injection.
bool consume_request_fault(const char* fault) {
  return consume_fault(fault) && (options.once.empty() || unlink(options.once.c_str()) == 0);
}

using AllocationFunction = int (*)(unsigned, std::uint64_t);
int call_simgpu(const char* name, unsigned device, std::uint64_t bytes) {
  static void* library = [] {
    const char* path = std::getenv("MGPU_NVML_LIBRARY");
    return path != nullptr ? dlopen(path, RTLD_NOW) : nullptr;
  }();
  if (library == nullptr || bytes == 0) return 0;
  return reinterpret_cast<AllocationFunction>(dlsym(library, name))(device, bytes);
}
bool allocate(std::uint64_t bytes) {
  if (consume_fault("oom")) return false;
  const std::uint64_t part = bytes / options.devices.size();
  for (std::size_t i = 0; i < options.devices.size(); ++i) {
    if (call_simgpu("mgpu_simgpu_alloc", options.devices[i], part) == 0) continue;
    append_to_journal("refused", std::to_string(part));
    for (std::size_t taken = 0; taken < i; ++taken)
      call_simgpu("mgpu_simgpu_free", options.devices[taken], part);
    return false;
  }
  return true;
}
void free_memory(std::uint64_t bytes) {
  for (const unsigned device : options.devices)
    call_simgpu("mgpu_simgpu_free", device, bytes / options.devices.size());
}

std::uint64_t ai_model_bytes(const std::string& ai_model) {
  const std::lock_guard lock(mutex);
  for (const auto* names : {&options.ai_models, &removed})
    if (const auto found = names->find(ai_model); found != names->end()) return found->second;
  return options.bytes;
}

bool is_installed(const std::string& ai_model) {
  const std::lock_guard lock(mutex);
  return options.ai_models.contains(ai_model);
}

// The child process of an AI model: it takes the memory, says so on stdout, and holds it until it is killed
// or its parent is gone.
int hold_memory(std::uint64_t bytes) {
  const pid_t parent = getppid();
  const char answer = allocate(bytes) ? 'y' : 'n';
  [[maybe_unused]] const auto n = write(STDOUT_FILENO, &answer, 1);
  while (answer == 'y' && getppid() == parent) pause_ms(20);
  return 1;
}

// Whatever ends the child, its AI model is not loaded any more.
void watch_child(const std::string& ai_model, pid_t child) {
  waitpid(child, nullptr, 0);
  const std::lock_guard lock(mutex);
  if (children[ai_model] != child) return;
  children.erase(ai_model);
  resident.erase(ai_model);
}

bool start_child(const std::string& ai_model) {
  const std::string bytes = std::to_string(ai_model_bytes(ai_model));
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execl("/proc/self/exe", "mgpu-fake-service", "--hold", bytes.c_str(), nullptr);
    _exit(127);
  }
  close(ends[1]);
  char answer = 'n';
  [[maybe_unused]] const auto n = read(ends[0], &answer, 1);
  close(ends[0]);
  {
    const std::lock_guard lock(mutex);
    children[ai_model] = child;
  }
  std::thread(watch_child, ai_model, child).detach();
  return answer == 'y';
}

void stop_child(const std::string& ai_model) {
  pid_t child = 0;
  {
    const std::lock_guard lock(mutex);
    if (const auto found = children.find(ai_model); found != children.end()) child = found->second;
  }
  if (child > 0) kill(child, SIGKILL);
  while (child > 0) {
    pause_ms(1);
    const std::lock_guard lock(mutex);
    if (!children.contains(ai_model)) child = 0;
  }
}

bool load(const std::string& ai_model) {
  const std::lock_guard load_lock(load_mutex);
  {
    const std::lock_guard lock(mutex);
    if (resident.contains(ai_model)) return true;
    loading.insert(ai_model);
  }
  pause_ms(options.load_ms);
  if (consume_fault("crash-at-load")) {
    fprintf(stderr, "cannot open model.gguf: No such file or directory\n");
    _exit(1);
  }
  const bool loaded = options.children ? start_child(ai_model) : allocate(ai_model_bytes(ai_model));
  const std::lock_guard lock(mutex);
  loading.erase(ai_model);
  if (!loaded) return false;
  resident.insert(ai_model);
  expiry[ai_model] = Clock::now() + kDefaultKeepAlive;
  return true;
}

bool unload(const std::string& ai_model) {
  const std::lock_guard load_lock(load_mutex);
  if (consume_fault("fail-unload")) return false;
  if (consume_fault("slow-free")) pause_ms(500);
  const auto divisor = consume_fault("half-free") ? 2u : 1u;
  if (options.children) return stop_child(ai_model), true;
  const std::uint64_t bytes = ai_model_bytes(ai_model);
  const std::lock_guard lock(mutex);
  if (resident.erase(ai_model) > 0) free_memory(bytes / divisor);
  return true;
}

// Ollama's timer: unloads what nobody has used for its time to live.
void unload_expired() {
  while (true) {
    pause_ms(20);
    std::string expired;
    {
      const std::lock_guard lock(mutex);
      for (const std::string& ai_model : resident)
        if (in_use[ai_model] == 0 && expiry[ai_model] <= Clock::now()) expired = ai_model;
    }
    if (!expired.empty()) unload(expired);
  }
}

// "5m", "1s", "0", a number of seconds; negative: for ever. Nullopt: not given.
std::optional<std::chrono::milliseconds> parse_keep_alive(const json& value) {
  if (value.is_null()) return std::nullopt;
  double seconds = 0;
  if (value.is_number()) {
    seconds = value.get<double>();
  } else {
    const std::string text = value.get<std::string>();
    seconds = std::strtod(text.c_str(), nullptr) * (text.ends_with('m')   ? 60
                                                    : text.ends_with('h') ? 3600
                                                                          : 1);
  }
  if (seconds < 0) return std::chrono::hours(24 * 365);
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

void set_expiry(const std::string& ai_model, std::optional<std::chrono::milliseconds> keep_alive) {
  const std::lock_guard lock(mutex);
  if (keep_alive) expiry[ai_model] = Clock::now() + *keep_alive;
}

// A request that computes with the AI model; its time to live begins at the end.
class Usage {
 public:
  Usage(std::string ai_model, const json& request)
      : ai_model_(std::move(ai_model)), keep_alive_(parse_keep_alive(request.value("keep_alive", json()))) {
    const std::lock_guard lock(mutex);
    ++in_use[ai_model_];
  }
  ~Usage() {
    std::unique_lock lock(mutex);
    --in_use[ai_model_];
    lock.unlock();
    set_expiry(ai_model_, keep_alive_);
  }
  Usage(const Usage&) = delete;
  Usage& operator=(const Usage&) = delete;

 private:
  std::string ai_model_;
  std::optional<std::chrono::milliseconds> keep_alive_;
};

struct Exchange {
  int socket;
  std::string method{}, path{}, body{};

  void send_text(const std::string& text) const {
    for (std::size_t sent = 0; sent < text.size();) {
      const auto n = send(socket, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<std::size_t>(n);
    }
  }
  void answer(int status, const std::string& text, const char* type = "application/json") const {
    send_text("HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: " + type +
              "\r\nContent-Length: " + std::to_string(text.size()) + "\r\nConnection: close\r\n\r\n" + text);
  }
  void answer(int status, const json& object) const { answer(status, object.dump()); }
};

void answer_out_of_memory(const Exchange& exchange) {
  exchange.answer(500, json{{"error", {{"message", "CUDA out of memory"}, {"type", "server_error"}}}});
}

// Works for `ms`; returns false as soon as the caller has closed the connection.
bool work_while_connected(const Exchange& exchange, int ms) {
  pollfd caller{.fd = exchange.socket, .events = POLLRDHUP, .revents = 0};
  return poll(&caller, 1, ms) == 0;
}

// The work of one request: its memory and its lines in the journal. It ends before the last byte of the
// answer is sent, because the device may be granted to another consumer after that.
class Job {
 public:
  explicit Job(std::string user) : user_(std::move(user)) {
    append_to_journal("start", user_);
    ++running;
  }
  void end(const char* outcome) {
    --running;
    append_to_journal(outcome, user_);
    free_memory(options.working);
  }

 private:
  std::string user_;
};

// Five chunks spread over run_ms, in the framing of the protocol; with chunked encoding, so that a truncated
// answer is detectable.
void stream_answer(const Exchange& exchange, Job& job, bool ndjson) {
  exchange.send_text(std::string("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: ") +
                     (ndjson ? "application/x-ndjson" : "text/event-stream") +
                     "\r\nTransfer-Encoding: chunked\r\n\r\n");
  const auto send_chunk = [&](const std::string& text) {
    char size[20];
    snprintf(size, sizeof size, "%zx\r\n", text.size());
    exchange.send_text(size + text + "\r\n");
  };
  for (int i = 0; i < 5; ++i) {
    if (i == 2 && consume_fault("crash-in-stream")) _exit(9);
    if (!work_while_connected(exchange, options.run_ms / 5)) return job.end("cut");
    if (i == 4) job.end("end");
    const auto word = "word" + std::to_string(i);
    const json chunk = ndjson
                           ? json{{"message", {{"role", "assistant"}, {"content", word}}}, {"done", i == 4}}
                           : json{{"choices", {{{"index", 0}, {"delta", {{"content", word}}}}}}};
    send_chunk((ndjson ? "" : "data: ") + chunk.dump() + (ndjson ? "\n" : "\n\n"));
  }
  if (!ndjson) send_chunk("data: [DONE]\n\n");
  send_chunk("");
}

json answer_body(const Exchange& exchange, const std::string& ai_model, bool ollama) {
  const json message{{"role", "assistant"}, {"content", "answer of " + ai_model}};
  if (ollama) return {{"model", ai_model}, {"message", message}, {"done", true}};
  if (exchange.path == "/v1/embeddings") return {{"data", {{{"index", 0}, {"embedding", {0.5, 0.5}}}}}};
  if (exchange.path == "/v1/audio/transcriptions")
    return {{"text", "heard " + std::to_string(exchange.body.size()) + " bytes"}};
  return {
      {"id", "1"},
      {"object", "chat.completion"},
      {"model", ai_model},
      {"choices",
       {{{"index", 0}, {"message", message}, {"text", "answer of " + ai_model}, {"finish_reason", "stop"}}}}};
}

void run_request(const Exchange& exchange, const json& request) {
  const bool ollama = options.role == Role::ollama && exchange.path.starts_with("/api/");
  const auto ai_model = options.role == Role::plain ? options.name : request.value("model", "");
  if (consume_request_fault("crash-at-request")) _exit(9);
  if (consume_request_fault("oom-at-request")) return answer_out_of_memory(exchange);
  if (consume_request_fault("oom-crash-at-request")) {
    fprintf(stderr, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n");
    _exit(1);
  }
  if (options.role != Role::plain && !is_installed(ai_model)) {
    return exchange.answer(404, json{{"error", "model '" + ai_model + "' not found"}});
  }
  const Usage usage(ai_model, request);
  if (!load(ai_model) || !allocate(options.working)) return answer_out_of_memory(exchange);
  Job job(request.value("user", ""));
  if (request.value("stream", ollama)) return stream_answer(exchange, job, ollama);
  if (!work_while_connected(exchange, request.value("run_ms", options.run_ms))) return job.end("cut");
  job.end("end");
  exchange.answer(200, answer_body(exchange, ai_model, ollama));
}

json ai_models_json(bool only_resident) {
  const std::lock_guard lock(mutex);
  json all = json::array();
  auto names = options.ai_models;
  if (only_resident) names.insert(removed.begin(), removed.end());  // deleting the files unloads nothing
  for (const auto& [name, bytes] : names) {
    const bool is_resident = resident.contains(name);
    if (only_resident && !is_resident) continue;
    const char* value = is_resident ? "loaded" : loading.contains(name) ? "loading" : "unloaded";
    const std::uint64_t reported = bytes * options.reported_percent / 100;
    all.push_back({{"name", name},
                   {"model", name},
                   {"id", name},
                   {"size", reported},
                   {"size_vram", reported},
                   {"status", {{"value", value}}}});
  }
  return all;
}

std::string with_default_tag(const std::string& name) {
  return name.find(':') == name.npos ? name + ":latest" : name;
}

// The routes that manage files. Returns whether it is one.
bool handle_ollama_files(const Exchange& exchange, const json& request) {
  const auto name = with_default_tag(request.value("model", request.value("source", "")));
  const std::lock_guard lock(mutex);
  const auto found = options.ai_models.find(name);
  const bool is_pull = exchange.path == "/api/pull" && removed.contains(name);
  if (exchange.path != "/api/delete" && exchange.path != "/api/copy" && exchange.path != "/api/pull")
    return false;
  if (found == options.ai_models.end() && !is_pull)
    return exchange.answer(404, json{{"error", "model '" + name + "' not found"}}), true;
  if (exchange.path == "/api/copy") {
    options.ai_models[with_default_tag(request.value("destination", ""))] = found->second;
  } else if (exchange.path == "/api/delete") {
    removed[name] = found->second;
    options.ai_models.erase(found);
  } else if (is_pull) {
    options.ai_models.insert(removed.extract(name));
  }
  return exchange.answer(200, json{{"status", "success"}}), true;
}

bool handle_ollama(const Exchange& exchange, json request) {
  if (exchange.path == "/" || exchange.path == "/api/version")
    return exchange.answer(200, json{{"version", "0.33.0"}}), true;
  if (exchange.path == "/api/tags")
    return exchange.answer(200, json{{"models", ai_models_json(false)}}), true;
  if (exchange.path == "/api/ps") return exchange.answer(200, json{{"models", ai_models_json(true)}}), true;
  if (handle_ollama_files(exchange, request)) return true;
  if (exchange.path == "/api/show") {
    const auto name = with_default_tag(request.value("model", ""));
    if (!is_installed(name))
      return exchange.answer(404, json{{"error", "model '" + name + "' not found"}}), true;
    return exchange.answer(200, json{{"details", json::object()},
                                     {"model_info", json::object()},
                                     {"capabilities", {"completion"}}}),
           true;
  }
  if (request.contains("model")) request["model"] = with_default_tag(request.value("model", ""));
  const auto ai_model = request.value("model", "");
  if (exchange.path == "/api/generate" && !request.contains("prompt") && is_installed(ai_model)) {
    const auto keep_alive = parse_keep_alive(request.value("keep_alive", json()));
    const bool is_unload = keep_alive == std::chrono::milliseconds(0);
    if (is_unload ? !unload(ai_model) : !load(ai_model)) return answer_out_of_memory(exchange), true;
    if (!is_unload) set_expiry(ai_model, keep_alive);
    return exchange.answer(200, json{{"done", true}, {"done_reason", is_unload ? "unload" : "load"}}), true;
  }
  return run_request(exchange, request), true;
}

bool handle_router(const Exchange& exchange, const json& request) {
  const auto ai_model = request.value("model", "");
  if (exchange.path == "/models" || exchange.path == "/v1/models")
    return exchange.answer(200, json{{"data", ai_models_json(false)}}), true;
  if (exchange.path == "/") return exchange.answer(200, "<html>the router's page", "text/html"), true;
  if (exchange.path == "/props") return exchange.answer(200, json{{"role", "router"}}), true;
  if (exchange.path != "/models/load" && exchange.path != "/models/unload") return false;
  const bool is_load = exchange.path == "/models/load";
  const auto refuse = [&](int status, const char* text) {
    exchange.answer(status, json{{"error", {{"code", status}, {"message", text}}}});
    return true;
  };
  if (!is_installed(ai_model)) return refuse(404, "model not found");
  {
    const std::lock_guard lock(mutex);
    const bool runs = resident.contains(ai_model) || loading.contains(ai_model);
    if (is_load && runs) return refuse(400, "model is already running");
    if (!is_load && !runs) return refuse(400, "model is not running");
  }
  // Like the real server: answers 200 immediately and loads afterwards.
  exchange.answer(200, json{{"success", true}});
  return is_load ? load(ai_model) : unload(ai_model), true;
}

void handle_request(const Exchange& exchange) {
  if (options.fault == "not-http" && exchange.path.starts_with("/v1/"))
    return exchange.send_text("\x16\x03 this is no HTTP\r\n\r\n");
  auto request = json::parse(exchange.body, nullptr, false);
  if (!request.is_object()) request = json::object();
  if (options.fault == "rubbish" && exchange.path != "/api/version" && exchange.path != "/health")
    return exchange.answer(200, std::string("<rubbish>"));
  if (exchange.path == "/health") {
    return ready ? exchange.answer(200, json{{"status", "ok"}})
                 : exchange.answer(503, json{{"error", {{"code", 503}, {"message", "Loading model"}}}});
  }
  if (options.role == Role::ollama && handle_ollama(exchange, request)) return;
  if (options.role == Role::router && handle_router(exchange, request)) return;
  if (exchange.path == "/load")
    return load(options.name) ? exchange.answer(200, json::object()) : answer_out_of_memory(exchange);
  if (exchange.path == "/unload") return exchange.answer(unload(options.name) ? 200 : 500, json::object());
  if (exchange.path == "/busy") return exchange.answer(200, json{{"running", running.load()}});
  if (exchange.path == "/v1/models")
    return exchange.answer(200,
                           json{{"object", "list"}, {"data", {{{"id", options.name}, {"object", "model"}}}}});
  if (exchange.path == "/echo") return exchange.answer(200, exchange.body, "application/octet-stream");
  if (exchange.path == "/slow-stream") request["stream"] = true;
  if (exchange.method == "DELETE" || exchange.method == "OPTIONS" || exchange.method == "HEAD")
    return exchange.answer(200, std::string());
  if (exchange.path.starts_with("/v1/") || exchange.path == "/slow-stream")
    return run_request(exchange, request);
  exchange.answer(404, json{{"error", {{"message", "no such route"}}}});
}

// Decodes a complete chunked body.
std::string decode_chunks(std::string_view body) {
  std::string data;
  for (std::size_t at = 0; at < body.size();) {
    const auto size = std::stoul(std::string(body.substr(at, 16)), nullptr, 16);
    const auto from = body.find("\r\n", at) + 2;
    data += body.substr(from, size);
    at = size == 0 ? body.size() : from + size + 2;
  }
  return data;
}

// Handles one request per connection.
void serve_connection(int socket) {
  std::string text;
  char buffer[16384];
  std::size_t head = std::string::npos, length = 0;
  bool chunked = false;
  const auto complete = [&] {
    if (head == std::string::npos) return false;
    return chunked ? text.ends_with("\r\n0\r\n\r\n") : text.size() >= head + 4 + length;
  };
  while (!complete()) {
    const auto n = recv(socket, buffer, sizeof buffer, 0);
    if (n <= 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
    if (head != std::string::npos) continue;
    head = text.find("\r\n\r\n");
    if (head == std::string::npos) continue;
    std::string lower = text.substr(0, head);
    for (auto& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (const auto at = lower.find("content-length:"); at != lower.npos)
      length = std::stoul(lower.substr(at + 15));
    chunked = lower.find("transfer-encoding: chunked") != lower.npos;
  }
  if (complete()) {
    const auto space = text.find(' ');
    const auto end = text.find_first_of(" ?", space + 1);
    handle_request({socket, text.substr(0, space), text.substr(space + 1, end - space - 1),
                    chunked ? decode_chunks(text.substr(head + 4)) : text.substr(head + 4)});
  }
  shutdown(socket, SHUT_WR);
  close(socket);
}

void parse_options(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string key = argv[i];
    const auto value = [&] { return std::string(i + 1 < argc ? argv[++i] : ""); };
    if (key == "--port")
      options.port = static_cast<std::uint16_t>(std::stoi(value()));
    else if (key == "--device")
      options.devices.push_back(static_cast<unsigned>(std::stoi(value())));
    else if (key == "--name")
      options.name = value();
    else if (key == "--bytes")
      options.bytes = std::stoull(value());
    else if (key == "--working")
      options.working = std::stoull(value());
    else if (key == "--load-ms")
      options.load_ms = std::stoi(value());
    else if (key == "--run-ms")
      options.run_ms = std::stoi(value());
    else if (key == "--journal")
      options.journal = value();
    else if (key == "--once")
      options.once = value();
    else if (key == "--faults")
      options.faults = value();
    else if (key == "--fault")
      options.fault = value();
    else if (key == "--reported-percent")
      options.reported_percent = std::stoull(value());
    else if (key == "--lazy")
      options.lazy = true;
    else if (key == "--children")
      options.children = true;
    else if (key == "--ollama")
      options.role = Role::ollama;
    else if (key == "--llama-router")
      options.role = Role::router;
    else if (const auto equals_at = key.find('='); equals_at != key.npos) {
      const auto name = key.substr(0, equals_at);
      options.ai_models[options.role == Role::ollama ? with_default_tag(name) : name] =
          std::stoull(key.substr(equals_at + 1));
    }
  }
  if (options.devices.empty()) options.devices = {0};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "--hold")
    return options.devices = {0}, hold_memory(std::stoull(argv[2]));
  parse_options(argc, argv);
  std::signal(SIGUSR1, [](int) { [[maybe_unused]] auto n = write(STDOUT_FILENO, "told to talk\n", 13); });
  if (consume_fault("ignore-stop")) std::signal(SIGTERM, SIG_IGN);
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return perror("bind"), 2;
  listen(listener, 1024);
  std::thread([] {
    if (options.role == Role::plain && !options.lazy && !load(options.name)) {
      fprintf(stderr, "cudaMalloc failed: out of memory\n");
      _exit(1);
    }
    ready = !consume_fault("never-healthy");
  }).detach();
  if (options.role == Role::ollama) std::thread(unload_expired).detach();
  for (int socket; (socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;)
    std::thread(serve_connection, socket).detach();
  return 0;
}
