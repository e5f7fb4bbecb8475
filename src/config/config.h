// The configuration as values. A row in keys.cc describes each key (range, text, example); the parser,
// docs/config.md and the JSON schema are made from these rows. The defaults are the initializers below.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "domain/consumer.h"

namespace mgpu::config {

struct DeviceConfig {
  std::string id{};                      // its name in requests, answers and logs
  std::optional<std::uint32_t> index{};  // selects it by the driver's index,
  std::string uuid{};                    // or by UUID; neither: in the driver's order
  std::uint32_t capacity = 1;
  Bytes reserve = kMiB * 512;
};

// An HTTP request to a consumer's service. Method and path are written as one string: "POST /unload".
struct RequestConfig {
  std::string method = "POST";
  std::string path{};
  std::string body{};  // sent as application/json; empty: no body
};

// A check whether the GPU still works after an answer (ComfyUI's queue): the lease is kept until this GET
// returns the idle value.
struct BusyConfig {
  std::string path{};     // "/prompt"
  std::string pointer{};  // JSON pointer into the answer: "/exec_info/queue_remaining"
  std::string idle{};     // the value, as text, that means idle: "0"
};

// The protocol of a consumer's server: none, or a row of services.inc (see services.h).
enum class ServiceType : std::uint8_t {
  none,
#define MGPU_SERVICE(id, ...) id,
#include "config/services.inc"
};

struct ServiceConfig {
  ServiceType type = ServiceType::none;
  std::string url{};     // http://127.0.0.1:9001; ${PORT} is the port chosen for the process
  std::string health{};  // path; empty: the service type's default
  int health_status = 200;
  std::optional<RequestConfig> load{};  // generic only, as are the next three
  std::optional<RequestConfig> unload{};
  std::optional<RequestConfig> park{};
  std::optional<RequestConfig> resume{};
  std::optional<BusyConfig> busy{};
  bool router = false;                     // llama-server in router mode
  std::string ai_model{};                  // what to load, for services that hold one AI model at a time
  std::uint32_t sleep_level = 2;           // of vLLM when it unloads: 1 keeps the weights in host memory
  std::vector<std::string> memory_tags{};  // what SGLang releases; empty: all of it
  std::string api_key_env{};               // the environment variable with the key for control requests,
  std::string api_key_file{};              // or the file. The key itself is never part of the configuration
  // In addition to the service type's own (service/request_table.h). Paths (a trailing * matches the rest)
  // that need no turn: "/ws", "/history/*"; and requests that need one: "POST", "/render", "GET /render/*".
  std::vector<std::string> free_paths{};
  std::vector<std::string> turn_for{};
};

struct ProcessConfig {
  std::vector<std::string> command{};        // ${PORT} or a port argument of 0 becomes a free port
  std::map<std::string, std::string> env{};  // added to the daemon's own
  std::string cwd{};
  std::string log_file{};  // empty: output is kept only in the ring buffer
  std::string stop_signal = "SIGTERM";
};

// How a consumer is parked: by a request to its service, or by the CUDA driver (or NVIDIA's utility
// cuda-checkpoint), which suspends whole processes.
enum class ParkMethod : std::uint8_t { service, cuda_checkpoint };

// What happens to an idle AI model that was loaded without a request through the gateway or the API:
// `leave` unloads it.
enum class UninvitedPolicy : std::uint8_t { allow, leave };

enum class BusType : std::uint8_t { system, user };

struct SystemdConfig {
  std::string unit{};  // "ollama.service"
  BusType bus = BusType::system;
};

// An existing container (`name`), or one created from `image` and the fields after it.
struct ContainerConfig {
  std::string socket{};  // of the container engine; empty: the usual places
  std::string name{};
  std::string image{};
  std::vector<std::string> command{};  // ${PORT} here and in ports becomes a free port
  std::map<std::string, std::string> env{};
  std::vector<std::string> ports{};    // as with docker run -p: "127.0.0.1:${PORT}:8000"
  std::vector<std::string> gpus{};     // all; or indices, UUIDs, CDI names
  std::vector<std::string> volumes{};  // as with docker run -v: "/srv/models:/models:ro"
  std::string network{};               // host, bridge, a network's name; empty: the engine's default
  Bytes shm_size{};                    // 0: the engine's default
};

// One variable of the environment in the value of a key. It is used, and never shown.
struct EnvironmentUse {
  std::string key{};      // the path of the key: "consumers.chat.url"
  std::string written{};  // the whole text in the file, if the value is one text: "http://${env.HOST}:9001"
  std::string variable{};
  std::string value{};
};

struct ConsumerConfig {
  std::string name{};
  ConsumerKind kind = ConsumerKind::other;
  std::string device{};                // id; empty: the first device
  std::vector<std::string> devices{};  // instead of device: ids of those it may be placed on
  std::vector<std::uint32_t> split{};  // it needs all `devices`: the part of its memory on each
  ServiceConfig service{};
  // At most one of these is set; none: external.
  std::optional<ProcessConfig> process{};
  std::optional<SystemdConfig> systemd{};
  std::optional<ContainerConfig> container{};
  std::vector<std::string> aliases{};
  std::map<std::string, Bytes> ai_models{};  // name -> footprint; 0: the consumer's footprint
  std::vector<std::string> weights{};        // files or folders of the weights that it loads
  Bytes footprint{};
  Bytes working{};
  Bytes residue{};
  FootprintDeclaration footprint_is = FootprintDeclaration::guess;
  Priority priority = Priority::normal;
  std::uint32_t weight = 1;
  std::uint32_t max_queue = 0;  // its waiting tickets; 0: only limits.max_queue applies
  Duration max_turn{0};         // 0: unlimited
  bool reserved = false;
  std::vector<std::string> followed_by{};  // names of consumers
  std::uint32_t concurrency = 1;
  bool exclusive = false;
  bool turnless = false;
  bool pinned = false;
  UninvitedPolicy uninvited = UninvitedPolicy::allow;
  ParkMethod park_method = ParkMethod::service;  // yaml: park: cuda-checkpoint
  Duration idle_unload{0};
  std::optional<Duration> max_keep_alive{};  // of the clients' wishes; unset: idle_unload
  Duration load_limit{60'000'000};
  Duration stop_limit{10'000'000};
  std::vector<EnvironmentUse> environment{};  // in its keys: hidden from its log and errors (hide_values)
};

// Whether the consumer has no runner: mgpu neither starts nor stops it.
bool is_external(const ConsumerConfig& consumer);

// Whether ${PORT} occurs in its command or ports.
bool needs_free_port(const ContainerConfig& container);

// The name of the container that is created for a consumer.
std::string managed_container_name(const std::string& consumer);

struct LimitsConfig {
  std::uint32_t max_queue = 1000;   // waiting tickets per device
  std::uint32_t max_leases = 1000;  // leases that the API may hand out at once
  std::uint32_t max_connections = 4096;
  std::uint32_t connections_per_address = 1024;
  Bytes max_header = kKiB * 64;
  Bytes max_body = kGiB * 4;
  Bytes body_memory = kMiB * 1;  // of one body before its turn; the rest goes to a file or stays unread
  Bytes body_memory_total = kMiB * 256;  // of all such bodies; the rest goes to files
  Bytes spool_total = kGiB * 4;          // of all such files
  Bytes min_upload_rate = kKiB * 16;     // per second, for a body that is still incomplete at its turn
  // Of weights read ahead for one consumer; unset: a quarter of the host memory available at that time.
  std::optional<Bytes> prefetch_memory{};
  Duration wait_limit{600'000'000};      // of a ticket without a limit of its own
  Duration room_limit{30'000'000};       // how long foreign or pinned memory may block the next ticket
  Duration overtake_limit{0};            // how long the first ticket of a line may be overtaken; 0: by cost
  Duration ageing{30'000'000};           // after this a waiting ticket ranks with new ones of the next class
  Duration reading_age{1'000'000};       // the greatest age of the reading on which a load starts
  Bytes park_memory{};                   // host memory of all parked residents
  Duration run_limit{3'600'000'000};     // of one request at the service
  Duration stall_limit{300'000'000};     // of a client that neither sends its body nor reads the answer
  Duration lease_ttl{60'000'000};        // of a lease without a TTL of its own or a connection
  Duration drain_limit{30'000'000};      // for running work at shutdown
  std::uint32_t events = 10'000;         // kept for /v1/events,
  Bytes events_memory = kMiB * 64;       // and the memory they may take
  std::uint32_t event_subscribers = 64;  // of /v1/events
  std::uint32_t log_lines = 200;         // kept of each process' output
  std::uint32_t history_rows = 50'000;   // finished jobs kept in the store
};

// yaml: auto, nvml, drm
enum class GpuProvider : std::uint8_t { automatic, nvml, drm };

struct GpuConfig {
  GpuProvider provider = GpuProvider::automatic;
  std::string library = "libnvidia-ml.so.1";  // env MGPU_NVML_LIBRARY wins
  Duration sample_busy{100'000};              // interval of readings while something changes
  Duration sample_idle{2'000'000};            // interval otherwise
};

// What identifies the user of a request for fair shares: the header X-Mgpu-User, the API key, the header or
// else the key, or nothing (all requests count as one user).
enum class UserSource : std::uint8_t { header_or_key, header, key, none };

struct Config {
  std::string listen = "127.0.0.1:8090";  // port 0: a free port, printed at start
  std::string policy = "affinity";        // or fifo
  bool load_ahead = true;                 // affinity only: the next consumer may load while another computes
  UserSource users = UserSource::header_or_key;
  // Names under which the daemon is reached, beside those of this machine and its local network.
  std::vector<std::string> hosts{};
  // Pages that may use the data plane: "https://chat.example", "app://*"; "*": all. Empty: none.
  std::vector<std::string> origins{};
  std::vector<std::string> yield_to{};  // programs for which a device is cleared: "steam", "*.exe"
  std::string cuda_checkpoint = "cuda-checkpoint";  // a path, or a name looked up in PATH
  std::string store{};                              // SQLite file; "none"; empty: in the state folder
  GpuConfig gpu{};
  LimitsConfig limits{};
  std::vector<DeviceConfig> devices{};          // empty: every device of the driver, gpu0, gpu1, ...
  std::vector<ConsumerConfig> consumers{};      // in the file's order
  std::map<std::string, std::string> macros{};  // as written; they are replaced in the values above
  std::vector<EnvironmentUse> environment{};    // in all keys
};

// One error in the file: "mgpu.yaml:12:5: consumers.chat.footprnt: unknown key, did you mean ...".
struct Diagnostic {
  std::string file{};
  int line = 0;       // from 1
  int column = 0;     // from 1
  std::string key{};  // dotted path
  std::string message{};
};
std::string to_string(const Diagnostic& diagnostic);

struct ParseResult {
  Config config{};
  std::vector<Diagnostic> diagnostics{};  // all errors; the config is usable only if there are none
};

// Reads and checks a YAML text without any file access; `file` is the name used in diagnostics. ${env.NAME}
// is looked up in the environment of this process.
ParseResult parse(const std::string& text, const std::string& file);

enum class CheckScope : bool { text, text_and_files };

// Reads and checks the file at `path`; a file that can't be read gives one diagnostic. `text_and_files`: also
// checks that the programs and folders it names exist on this machine, as `mgpu serve` needs them.
ParseResult parse_file(const std::string& path, CheckScope scope = CheckScope::text);

// The config as complete YAML, with every default (`mgpu config show`).
std::string to_yaml(const Config& config);

// docs/config.md and the JSON schema, made from the table of keys.
std::string reference_page();
std::string json_schema();

}  // namespace mgpu::config
