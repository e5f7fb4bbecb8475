// The whole configuration as values: immutable once read. Which keys exist, their defaults, ranges and texts
// stand in one table (keys.cc), from which parser, docs/config.md and the JSON schema are made.
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
  std::string id{};                      // how everybody names it
  std::optional<std::uint32_t> index{};  // which one: by the driver's index,
  std::string uuid{};                    // or by UUID; neither: the driver's order
  std::uint32_t capacity = 1;
  Bytes reserve = kMiB * 512;
};

// An HTTP request to a consumer's own service. Method and path are written as one string: "POST /unload".
struct RequestConfig {
  std::string method = "POST";
  std::string path{};
  std::string body{};  // sent as application/json where not empty
};

// After an answer the GPU may still be at work (ComfyUI's queue): the lease is kept until this GET says idle.
struct BusyConfig {
  std::string path{};     // "/prompt"
  std::string pointer{};  // JSON pointer into the answer: "/exec_info/queue_remaining"
  std::string idle{};     // the value (as text) that means idle: "0"
};

// How its server is spoken to: none, or a row of services.inc (see services.h).
enum class ServiceType : std::uint8_t {
  none,
#define MGPU_SERVICE(id, ...) id,
#include "config/services.inc"
};

struct ServiceConfig {
  ServiceType type = ServiceType::none;
  std::string url{};     // http://127.0.0.1:9001; ${PORT} is the port chosen for the process
  std::string health{};  // path; empty: the one that the service's facts name
  int health_status = 200;
  std::optional<RequestConfig> load{};  // generic only, as are the next three
  std::optional<RequestConfig> unload{};
  std::optional<RequestConfig> park{};
  std::optional<RequestConfig> resume{};
  std::optional<BusyConfig> busy{};
  bool router = false;                     // llama-server in router mode
  std::string ai_model{};                  // what to load, where the service holds one of several at a time
  std::uint32_t sleep_level = 2;           // of vLLM when it unloads: 1 keeps the weights in host memory
  std::vector<std::string> memory_tags{};  // what SGLang releases; empty: all of it
  std::string api_key_env{};   // where the key for its control requests stands: an environment variable,
  std::string api_key_file{};  // or a file. The key itself is never part of the configuration
  std::vector<std::string>
      free_paths{};  // paths (a trailing * matches the rest) that need no turn: "/ws", "/history/*"
};

struct ProcessConfig {
  std::vector<std::string> command{};        // ${PORT} or a port of 0 in it: a free port is chosen
  std::map<std::string, std::string> env{};  // added to the daemon's own
  std::string cwd{};
  std::string log_file{};  // empty: only the ring in memory
  std::string stop_signal = "SIGTERM";
};

// How a consumer is moved into host memory: as its service does it (if it can), or its processes whole, by
// NVIDIA's utility cuda-checkpoint.
enum class ParkMethod : std::uint8_t { service, cuda_checkpoint };

// What becomes of an AI model that somebody loaded without asking us, once it is idle.
enum class UninvitedPolicy : std::uint8_t { allow, leave };

enum class BusType : std::uint8_t { system, user };

struct SystemdConfig {
  std::string unit{};  // "ollama.service"
  BusType bus = BusType::system;
};

// One that exists, by `name`, or one made of `image` and what follows.
struct ContainerConfig {
  std::string socket{};  // of the engine; empty: the usual places
  std::string name{};
  std::string image{};
  std::vector<std::string> command{};  // ${PORT} in it or in ports: a free port is chosen
  std::map<std::string, std::string> env{};
  std::vector<std::string> ports{};    // as with docker run -p: "127.0.0.1:${PORT}:8000"
  std::vector<std::string> gpus{};     // all; or indices, UUIDs, CDI names
  std::vector<std::string> volumes{};  // as with docker run -v: "/srv/models:/models:ro"
  std::string network{};               // host, bridge, a network's name; empty: the engine's default
  Bytes shm_size{};                    // 0: the engine's default
};

struct ConsumerConfig {
  std::string name{};
  ConsumerKind kind = ConsumerKind::other;
  std::string device{};                // id; empty: the first device
  std::vector<std::string> devices{};  // instead: ids of those that it may be placed on
  std::vector<std::uint32_t> split{};  // on all `devices` at once: the part of its memory that each holds
  ServiceConfig service{};
  // Its runner: one of these, or none of them (external).
  std::optional<ProcessConfig> process{};
  std::optional<SystemdConfig> systemd{};
  std::optional<ContainerConfig> container{};
  std::vector<std::string> aliases{};
  std::map<std::string, Bytes>
      ai_models{};  // AI models of one service with footprints of their own; 0 = consumer's
  std::vector<std::string> weights{};  // the files that it loads
  Bytes footprint{};
  Bytes working{};
  Bytes residue{};
  FootprintDeclaration footprint_is = FootprintDeclaration::guess;
  Priority priority = Priority::normal;
  std::uint32_t weight = 1;
  std::uint32_t max_queue = 0;  // its own waiting tickets; 0: only limits.max_queue
  Duration max_turn{0};         // 0: no bound
  bool reserved = false;
  std::vector<std::string> followed_by{};  // names of consumers
  std::uint32_t concurrency = 1;
  bool exclusive = false;
  bool turnless = false;
  bool pinned = false;
  UninvitedPolicy uninvited = UninvitedPolicy::allow;
  ParkMethod park_method = ParkMethod::service;  // yaml: park: cuda-checkpoint
  Duration idle_unload{0};
  Duration load_limit{60'000'000};
  Duration stop_limit{10'000'000};
};

// Nobody of ours starts and stops it.
bool is_external(const ConsumerConfig& consumer);

// Whether a port is to be chosen for it.
bool needs_free_port(const ContainerConfig& container);

// What a container that we make for a consumer is called.
std::string managed_container_name(const std::string& consumer);

struct LimitsConfig {
  std::uint32_t max_queue = 1000;   // waiting tickets a device
  std::uint32_t max_leases = 1000;  // leases over the API at once
  std::uint32_t max_connections = 4096;
  std::uint32_t connections_per_address = 1024;
  Bytes max_header = kKiB * 64;
  Bytes max_body = kGiB * 4;
  Bytes body_memory =
      kMiB * 1;  // of a body held in memory before it has its turn; more goes to a file or stays unread
  Bytes body_memory_total = kMiB * 256;  // of all such bodies together; more goes to files
  Bytes spool_total = kGiB * 4;          // of all such files together
  Bytes min_upload_rate = kKiB * 16;     // a second, of a body that is not complete when it has its turn
  // Of weights that are read ahead for one consumer; none: a quarter of the memory that is available then.
  std::optional<Bytes> prefetch_memory{};
  Duration wait_limit{600'000'000};  // of a ticket that names none
  Duration room_limit{30'000'000};   // how long foreign or pinned memory may be in the way of the next ticket
  Duration overtake_limit{0};        // how long the first of a line may be overtaken; 0: by cost
  Duration ageing{30'000'000};       // until a waiting ticket stands with the next class' newcomers
  Duration reading_age{1'000'000};   // a load starts only on a reading no older than this
  Bytes park_memory{};               // host memory that parked residents may hold together
  Duration run_limit{3'600'000'000};     // of one request's work at the service
  Duration stall_limit{300'000'000};     // of a client that neither sends its body on nor takes its answer
  Duration lease_ttl{60'000'000};        // of a lease that names none and is not bound to a connection
  Duration drain_limit{30'000'000};      // running work at shutdown
  std::uint32_t events = 10'000;         // kept for /v1/events,
  Bytes events_memory = kMiB * 64;       // and what they may take
  std::uint32_t event_subscribers = 64;  // of /v1/events
  std::uint32_t log_lines = 200;         // kept of each process
  std::uint32_t history_rows = 50'000;   // finished jobs kept in the store
};

// yaml: auto, nvml, drm
enum class GpuProvider : std::uint8_t { automatic, nvml, drm };

struct GpuConfig {
  GpuProvider provider = GpuProvider::automatic;
  std::string library = "libnvidia-ml.so.1";  // env MGPU_NVML_LIBRARY wins
  Duration sample_busy{100'000};              // how often readings are taken while something changes
  Duration sample_idle{2'000'000};            // and otherwise
};

// Whom fair shares tell apart: by the header X-Mgpu-User, by the API key, by the one or else the other, or
// nobody.
enum class UserSource : std::uint8_t { header_or_key, header, key, none };

struct Config {
  std::string listen = "127.0.0.1:8090";  // port 0: a free one, printed at start
  std::string policy = "affinity";        // or fifo
  bool load_ahead = true;                 // (affinity) the next consumer may load while another computes
  UserSource users = UserSource::header_or_key;
  std::vector<std::string> yield_to{};  // foreign programs that a device is left to: "steam", "*.exe"
  std::string cuda_checkpoint = "cuda-checkpoint";  // where the utility is; a bare name is looked for in PATH
  std::string store{};  // file that outlives us; "none"; empty: in the user's or the service's state folder
  GpuConfig gpu{};
  LimitsConfig limits{};
  std::vector<DeviceConfig> devices{};      // empty: every device of the driver, gpu0, gpu1, ...
  std::vector<ConsumerConfig> consumers{};  // in the file's order
};

// One complaint about the file: "mgpu.yaml:12:5: consumers.chat.footprnt: unknown key, did you mean ...".
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
  std::vector<Diagnostic> diagnostics{};  // all of them at once; the config is usable only if empty
};

// Reads and checks a YAML text, and looks at nothing else; `file` is only used in complaints.
ParseResult parse(const std::string& text, const std::string& file);

enum class CheckScope : bool { text, text_and_files };

// The file at `path`; a file that can't be read is one complaint. `text_and_files`: the programs and folders
// that it names must be there, for it is to run here and now.
ParseResult parse_file(const std::string& path, CheckScope scope = CheckScope::text);

// The config written back as complete YAML with every default visible (`mgpu config show`).
std::string to_yaml(const Config& config);

// docs/config.md and the JSON schema, made from the table of keys.
std::string reference_page();
std::string json_schema();

}  // namespace mgpu::config
