#include "config/keys.h"

#include <algorithm>
#include <utility>

#include "config/services.h"

namespace mgpu::config {
namespace {

constexpr std::int64_t kMillisecond = 1'000;
constexpr std::int64_t kSecond = 1'000'000;
constexpr Range kUnbounded{};
// Counts: a limit above these bounds would limit nothing.
constexpr Range kCountRange{1, 1'000'000};
constexpr Range kRowCountRange{1, 100'000'000};
constexpr Range kAtLeastMillisecond{kMillisecond};
constexpr Range kSamplingRange{10 * kMillisecond, 3600 * kSecond};

std::string unwrap(Path path) { return std::move(path.text); }
std::string unwrap(FilePath file) { return std::move(file.text); }
std::vector<std::string> unwrap(FilePaths files) { return std::move(files.texts); }
std::string unwrap(AnyText text) { return std::move(text.text); }
std::string unwrap(VariableName name) { return std::move(name.text); }
std::string unwrap(PolicyName policy) { return std::move(policy.text); }
std::vector<std::string> unwrap(Command command) { return std::move(command.words); }
std::vector<std::string> unwrap(Arguments arguments) { return std::move(arguments.words); }
template <class T>
T unwrap(T value) {
  return value;
}

template <class T>
std::optional<YAML::Node> optional_node(const T& value) {
  return write(value);
}
template <class T>
std::optional<YAML::Node> optional_node(const std::optional<T>& value) {
  return value ? std::optional(write(*value)) : std::nullopt;
}

// A row whose value is the field `accessor(context)`. `As` is the type that reads and writes it, where that
// is not the field's own type.
template <class As, class Accessor>
Key make_key_as(std::string path, Range range, Accessor accessor, std::string example,
                std::string description) {
  Key key{.path = std::move(path),
          .type = type_of(range, static_cast<const As*>(nullptr)),
          .description = std::move(description),
          .example = std::move(example),
          .is_command_line = std::is_same_v<As, Command> || std::is_same_v<As, Arguments>};
  key.read = [range, accessor](const Node& node, KeyContext context) {
    As value{};
    ReadErrors errors = read(node, range, value);
    if (errors.empty()) accessor(context) = unwrap(std::move(value));
    return errors;
  };
  key.write = [accessor](KeyContext context) { return optional_node(As{accessor(context)}); };
  return key;
}

template <class Accessor>
Key make_key(std::string path, Range range, Accessor accessor, std::string example, std::string description) {
  return make_key_as<std::remove_reference_t<decltype(accessor(KeyContext{}))>>(
      std::move(path), range, accessor, std::move(example), std::move(description));
}

// A row of an optional part of a consumer: not written while the part is absent.
template <class IsPresent>
Key omit_unless(IsPresent is_present, Key key) {
  key.write = [is_present, write = std::move(key.write)](KeyContext context) {
    return is_present(*context.consumer) ? write(context) : std::nullopt;
  };
  return key;
}

// A row of a service: not written for service types that do not support the key.
Key omit_unless_supported(Key key) {
  const std::string name = key.path.substr(key.path.rfind('.') + 1);
  const auto& specific_keys = service_specific_keys();
  const bool is_common = std::ranges::find(specific_keys, name) == specific_keys.end();
  return omit_unless(
      [name, is_common](const ConsumerConfig& consumer) {
        const ServiceType type = consumer.service.type;
        return type != ServiceType::none && (is_common || supports_key(type, name));
      },
      std::move(key));
}

Key required(Key key) { return key.required = true, key; }
Key with_port(Key key) { return key.allows_port = true, key; }
Key with_fallback(std::string fallback, Key key) { return key.fallback = std::move(fallback), key; }

// Not written while the text, list or mapping is empty: that equals an absent key.
Key omit_if_empty(Key key) {
  key.write = [write = std::move(key.write)](KeyContext context) -> std::optional<YAML::Node> {
    std::optional<YAML::Node> node = write(context);
    if (node && node->IsScalar() && node->Scalar().empty()) return std::nullopt;
    if (node && !node->IsScalar() && node->size() == 0) return std::nullopt;
    return node;
  };
  return key;
}

ProcessConfig& ensure_process(KeyContext c) {
  return c.consumer->process ? *c.consumer->process : c.consumer->process.emplace();
}
SystemdConfig& ensure_systemd(KeyContext c) {
  return c.consumer->systemd ? *c.consumer->systemd : c.consumer->systemd.emplace();
}
ContainerConfig& ensure_container(KeyContext c) {
  return c.consumer->container ? *c.consumer->container : c.consumer->container.emplace();
}
BusyConfig& ensure_busy(KeyContext c) {
  return c.consumer->service.busy ? *c.consumer->service.busy : c.consumer->service.busy.emplace();
}
bool has_process(const ConsumerConfig& consumer) { return consumer.process.has_value(); }
bool has_systemd(const ConsumerConfig& consumer) { return consumer.systemd.has_value(); }
bool has_container(const ConsumerConfig& consumer) { return consumer.container.has_value(); }
bool has_busy(const ConsumerConfig& consumer) { return consumer.service.busy.has_value(); }

// `park` has two forms: a request to the service, or the name of the utility, which needs no request.
Key park_key() {
  static constexpr std::string_view kCudaCheckpoint = "cuda-checkpoint";
  Key key{
      .path = "consumers.*.park",
      .type = type_of(kUnbounded, static_cast<const RequestConfig*>(nullptr)),
      .description =
          "How the consumer is parked in host memory: a request (generic only), or `cuda-checkpoint` for any "
          "CUDA process (needs driver 570 or later, or NVIDIA's utility with driver 550, and the right to "
          "trace the process; its service does not answer while it is parked).",
      .example = "POST /sleep"};
  key.type.name += ", or `cuda-checkpoint`";
  key.type.schema["oneOf"].push_back({{"const", kCudaCheckpoint}});
  key.read = [](const Node& node, KeyContext context) -> ReadErrors {
    if (node.is_scalar() && node.text == kCudaCheckpoint) {
      context.consumer->park_method = ParkMethod::cuda_checkpoint;
      return {};
    }
    return read(node, kUnbounded, context.consumer->service.park);
  };
  key.write = [](KeyContext context) -> std::optional<YAML::Node> {
    if (context.consumer->park_method == ParkMethod::cuda_checkpoint)
      return YAML::Node(std::string(kCudaCheckpoint));
    return supports_key(context.consumer->service.type, "park")
               ? optional_node(context.consumer->service.park)
               : std::nullopt;
  };
  return key;
}

constexpr std::string_view kRunnerType = "external, or a mapping with one key: process, systemd, container";

// `runner: external` is the only form of this key that is not a mapping.
Key runner_key() {
  Key key{
      .path = "consumers.*.runner",
      .type = {std::string(kRunnerType), {{"const", "external"}}},
      .description =
          "What starts and stops the server: `external` (nothing: it runs already), `process` (the daemon "
          "itself), `systemd` or `container` (systemd or the container engine, on the daemon's request). A "
          "unit or container that runs already is used as it is and may be evicted; when the daemon ends, "
          "it stops only what it started itself.",
      .example = "external"};
  key.read = [](const Node& node, KeyContext) -> ReadErrors {
    if (node.is_scalar() && node.text == "external") return {};
    return {{node.mark, "expected " + std::string(kRunnerType) + ", found " + describe(node)}};
  };
  key.write = [](KeyContext context) {
    return is_external(*context.consumer) ? std::optional(YAML::Node("external")) : std::nullopt;
  };
  return key;
}

std::vector<Key> top_keys() {
  return {
      make_key(
          "listen", kUnbounded, [](KeyContext c) -> auto& { return c.config->listen; }, "0.0.0.0:8090",
          "Address and port of the gateway and the API. Port 0 takes a free port, printed at start."),
      make_key_as<PolicyName>(
          "policy", kUnbounded, [](KeyContext c) -> auto& { return c.config->policy; }, "fifo",
          "The order of the line: `fifo` is by arrival alone; `affinity` prefers consumers that are loaded "
          "over "
          "those that are not, within `limits.overtake_limit`."),
      make_key(
          "load_ahead", kUnbounded, [](KeyContext c) -> auto& { return c.config->load_ahead; }, "false",
          "Whether the next consumer may load while another computes, if both fit in memory (`affinity` "
          "only)."),
      make_key(
          "users", kUnbounded, [](KeyContext c) -> auto& { return c.config->users; }, "header",
          "What identifies a user for fair shares: the header `X-Mgpu-User`, the API key, the header or else "
          "the key, or `none` (all requests count as one user)."),
      make_key(
          "hosts", kUnbounded, [](KeyContext c) -> auto& { return c.config->hosts; },
          "[gpu.example.org, \"*.corp.example\"]",
          "Names under which clients reach the daemon (their `Host` header; `*` and `?` match as in a "
          "shell). "
          "Addresses, names without a dot and those below .localhost, .local, .internal, .lan and .home.arpa "
          "are known; requests for all other names are refused, since a web page could have its name "
          "resolved to this machine (DNS rebinding)."),
      make_key(
          "origins", kUnbounded, [](KeyContext c) -> auto& { return c.config->origins; },
          "[\"https://chat.example\", \"app://*\"]",
          "Web pages and desktop applications of other origins whose requests browsers may pass to the AI "
          "models (CORS; `*` and `?` match as in a shell). The API under /v1/status, /v1/leases, ... is "
          "never "
          "open to them."),
      make_key(
          "yield_to", kUnbounded, [](KeyContext c) -> auto& { return c.config->yield_to; },
          "[steam, \"*.exe\"]",
          "Foreign programs (file names; `*` and `?` match as in a shell) that have priority: while one uses "
          "a "
          "device, nothing new is granted there and idle consumers are evicted."),
      with_fallback("mgpu.db in $STATE_DIRECTORY, $XDG_STATE_HOME/mgpu or ~/.local/state/mgpu",
                    omit_if_empty(make_key_as<FilePath>(
                        "store", kUnbounded, [](KeyContext c) -> auto& { return c.config->store; },
                        "/var/lib/mgpu/mgpu.db",
                        "The SQLite file with learned footprints, history and started processes; `none` "
                        "stores nothing. Each daemon needs its own."))),
  };
}

std::vector<Key> cuda_checkpoint_keys() {
  return {
      with_fallback(
          "none",
          omit_if_empty(make_key(
              "macros", kUnbounded, [](KeyContext c) -> auto& { return c.config->macros; },
              "{models: /srv/models, server: \"llama-server --port ${PORT}\"}",
              "Names for texts: `${models}` in any value is replaced by that text, in other macros too."))),
      make_key_as<FilePath>(
          "cuda_checkpoint", kUnbounded, [](KeyContext c) -> auto& { return c.config->cuda_checkpoint; },
          "/opt/bin/cuda-checkpoint",
          "NVIDIA's utility, for consumers with `park: cuda-checkpoint` where the driver lacks the calls "
          "(before driver 570): a path, or a name in PATH."),
  };
}

std::vector<Key> gpu_keys() {
  return {
      make_key(
          "gpu.provider", kUnbounded, [](KeyContext c) -> auto& { return c.config->gpu.provider; }, "drm",
          "Which devices are used: `nvml` NVIDIA's, `drm` AMD's and Intel's, `auto` all of them. An "
          "integrated "
          "GPU (APU) is used only if there is no other device."),
      make_key_as<FilePath>(
          "gpu.library", kUnbounded, [](KeyContext c) -> auto& { return c.config->gpu.library; },
          "/opt/lib/libmgpu-simgpu.so",
          "The NVML library to load. The environment variable MGPU_NVML_LIBRARY overrides it."),
      make_key(
          "gpu.sample_busy", kSamplingRange, [](KeyContext c) -> auto& { return c.config->gpu.sample_busy; },
          "50ms", "Interval between readings of device memory while something changes."),
      make_key(
          "gpu.sample_idle", kSamplingRange, [](KeyContext c) -> auto& { return c.config->gpu.sample_idle; },
          "5s", "Interval between readings of device memory while nothing changes."),
  };
}

std::vector<Key> limits_keys() {
  return {
      make_key(
          "limits.max_queue", kCountRange, [](KeyContext c) -> auto& { return c.config->limits.max_queue; },
          "200", "Tickets that may wait for one device; the next is refused with queue_full (429)."),
      make_key(
          "limits.max_leases", kCountRange, [](KeyContext c) -> auto& { return c.config->limits.max_leases; },
          "100",
          "Leases that programs may wait for or hold over the API at once; the next is refused with "
          "queue_full "
          "(429)."),
      make_key(
          "limits.max_connections", kCountRange,
          [](KeyContext c) -> auto& { return c.config->limits.max_connections; }, "1024",
          "Open client connections. One more closes the connection that has been idle longest. If none is "
          "idle, "
          "a few more from this machine are accepted for the API alone, and others are closed."),
      make_key(
          "limits.connections_per_address", kCountRange,
          [](KeyContext c) -> auto& { return c.config->limits.connections_per_address; }, "256",
          "Open connections from one address. One more closes an idle one from the same address or, if none "
          "is "
          "idle, is closed itself."),
      make_key(
          "limits.max_header", Range{1024}, [](KeyContext c) -> auto& { return c.config->limits.max_header; },
          "32KiB", "Size of a request's header; a larger one is refused with too_large (413)."),
      make_key(
          "limits.max_body", kUnbounded, [](KeyContext c) -> auto& { return c.config->limits.max_body; },
          "512MiB", "Size of a request's body; a larger one is refused with too_large (413)."),
      make_key(
          "limits.body_memory", Range{1024},
          [](KeyContext c) -> auto& { return c.config->limits.body_memory; }, "4MiB",
          "How much of a body is read into memory before its request waits for a turn. If the model's name "
          "is "
          "not found in that part, more is read into a file; otherwise the rest is read during the turn."),
      make_key(
          "limits.body_memory_total", kUnbounded,
          [](KeyContext c) -> auto& { return c.config->limits.body_memory_total; }, "1GiB",
          "Memory for the bodies of all requests that wait; the rest goes to files."),
      make_key(
          "limits.spool_total", kUnbounded,
          [](KeyContext c) -> auto& { return c.config->limits.spool_total; }, "10GiB",
          "Size of the files that hold bodies (in `TMPDIR`, or else /tmp); a body beyond it is refused with "
          "queue_full (429)."),
      make_key(
          "limits.min_upload_rate", kUnbounded,
          [](KeyContext c) -> auto& { return c.config->limits.min_upload_rate; }, "64KiB",
          "Bytes per second, measured over five seconds, at which a client must send the rest of its body "
          "during its turn; a slower request ends with request_timeout (408). 0 means no minimum."),
      with_fallback("a quarter of the host memory available at that time",
                    make_key(
                        "limits.prefetch_memory", kUnbounded,
                        [](KeyContext c) -> auto& { return c.config->limits.prefetch_memory; }, "8GiB",
                        "How much of a consumer's weights is read into the page cache before its load; 0 "
                        "disables reading "
                        "ahead.")),
      make_key(
          "limits.wait_limit", kAtLeastMillisecond,
          [](KeyContext c) -> auto& { return c.config->limits.wait_limit; }, "2m",
          "How long a ticket without a limit of its own may wait; then it ends with wait_limit (504)."),
      make_key(
          "limits.room_limit", kUnbounded, [](KeyContext c) -> auto& { return c.config->limits.room_limit; },
          "1m",
          "How long foreign or pinned memory may block the next ticket; then it ends with no_room (507)."),
      make_key(
          "limits.overtake_limit", kUnbounded,
          [](KeyContext c) -> auto& { return c.config->limits.overtake_limit; }, "20s",
          "How long the first ticket of a line may be overtaken (`affinity` only). 0 means 10 s, or three "
          "times "
          "the duration of the pending loads and evictions if that is longer."),
      make_key(
          "limits.ageing", kAtLeastMillisecond, [](KeyContext c) -> auto& { return c.config->limits.ageing; },
          "1m",
          "After waiting this long a ticket ranks with new ones of the next more urgent priority class."),
      make_key(
          "limits.reading_age", Range{10 * kMillisecond, 60 * kSecond},
          [](KeyContext c) -> auto& { return c.config->limits.reading_age; }, "2s",
          "Greatest age of a reading of the device's memory on which a load may start."),
      make_key(
          "limits.park_memory", kUnbounded,
          [](KeyContext c) -> auto& { return c.config->limits.park_memory; }, "16GiB",
          "Host memory for all parked consumers; 0 disables parking to make room."),
      make_key(
          "limits.run_limit", kAtLeastMillisecond,
          [](KeyContext c) -> auto& { return c.config->limits.run_limit; }, "10m",
          "How long one request may run at its service."),
      make_key(
          "limits.stall_limit", kAtLeastMillisecond,
          [](KeyContext c) -> auto& { return c.config->limits.stall_limit; }, "1m",
          "How long a client may neither send more of its body nor read more of its answer; then its "
          "connection "
          "is closed. Waiting for a turn does not count."),
      make_key(
          "limits.lease_ttl", kAtLeastMillisecond,
          [](KeyContext c) -> auto& { return c.config->limits.lease_ttl; }, "5m",
          "How long a lease lasts without a heartbeat, if it has no TTL of its own and is not bound to a "
          "connection."),
      make_key(
          "limits.drain_limit", kUnbounded,
          [](KeyContext c) -> auto& { return c.config->limits.drain_limit; }, "5s",
          "How long running work may continue after SIGTERM."),
      make_key(
          "limits.events", kCountRange, [](KeyContext c) -> auto& { return c.config->limits.events; },
          "50000", "Events kept for `/v1/events`."),
      make_key(
          "limits.events_memory", Range{64 * 1024},
          [](KeyContext c) -> auto& { return c.config->limits.events_memory; }, "16MiB",
          "Memory for these events; the oldest are dropped first."),
      make_key(
          "limits.event_subscribers", kCountRange,
          [](KeyContext c) -> auto& { return c.config->limits.event_subscribers; }, "16",
          "Clients that may follow `/v1/events` at once; the next is refused with queue_full (429). A client "
          "that "
          "falls behind the kept events is disconnected."),
      make_key(
          "limits.log_lines", kCountRange, [](KeyContext c) -> auto& { return c.config->limits.log_lines; },
          "1000", "Number of last lines kept of each process' output."),
      make_key(
          "limits.history_rows", kRowCountRange,
          [](KeyContext c) -> auto& { return c.config->limits.history_rows; }, "500000",
          "Finished jobs kept in the store; the oldest are deleted first."),
  };
}

std::vector<Key> device_keys() {
  return {
      required(make_key(
          "devices[].id", kUnbounded, [](KeyContext c) -> auto& { return c.device->id; }, "gpu0",
          "The name of the device in requests, answers and logs.")),
      with_fallback("the driver's order",
                    make_key(
                        "devices[].index", kUnbounded, [](KeyContext c) -> auto& { return c.device->index; },
                        "1", "Selects the device by the driver's index.")),
      with_fallback("the driver's order",
                    omit_if_empty(make_key(
                        "devices[].uuid", kUnbounded, [](KeyContext c) -> auto& { return c.device->uuid; },
                        "GPU-8f6d0e6c-1a2b-4c3d-9e8f-001122334455", "Selects the device by its UUID."))),
      make_key(
          "devices[].capacity", Range{1, 64}, [](KeyContext c) -> auto& { return c.device->capacity; }, "2",
          "Number of consumers that may have a turn on the device at once; 1 means one after the other."),
      make_key(
          "devices[].reserve", kUnbounded, [](KeyContext c) -> auto& { return c.device->reserve; }, "1GiB",
          "Device memory that is never granted: for the desktop, CUDA contexts and fragmentation."),
  };
}

std::vector<Key> consumer_keys() {
  return {
      make_key(
          "consumers.*.kind", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->kind; }, "llm",
          "The kind of work, for display and for choosing among consumers."),
      with_fallback("the first device",
                    omit_if_empty(make_key(
                        "consumers.*.device", kUnbounded,
                        [](KeyContext c) -> auto& { return c.consumer->device; }, "gpu1",
                        "The id of the device that the consumer uses. Of several devices what the daemon "
                        "starts sees this one alone."))),
      make_key(
          "consumers.*.devices", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->devices; },
          "[gpu0, gpu1]",
          "Instead of `device`: the ids of the devices that it may be placed on while it holds no memory; "
          "the "
          "first is preferred. A process started by the daemon sees only the chosen one (by "
          "`CUDA_VISIBLE_DEVICES`, unless its `env` sets it)."),
      with_fallback(
          "one device at a time",
          make_key(
              "consumers.*.split", Range{1, 1'000'000},
              [](KeyContext c) -> auto& { return c.consumer->split; }, "[1, 1]",
              "For an AI model that is split over all `devices` (as with `--tensor-parallel-size` or "
              "`--tensor-split`): the part of its memory on each of them, in their order. It gets a turn and "
              "memory on all of them at once, or waits without holding any.")),
      make_key(
          "consumers.*.aliases", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->aliases; },
          "[gpt-4o-mini]", "Further values of a request's `model` that select this consumer."),
      with_fallback(
          "what the command names (-m, --model, --models-dir, ...), or the service's usual folder",
          make_key_as<FilePaths>(
              "consumers.*.weights", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->weights; },
              "[/models/qwen3-8b-q4_k_m.gguf]",
              "The weights that it loads: GGUF or safetensors files, or a folder of them; for a service with "
              "several AI models, the folder that contains them. If no footprint is declared, it is "
              "estimated "
              "from them.")),
      make_key(
          "consumers.*.footprint", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->footprint; },
          "14GiB", "Device memory that the consumer holds once loaded."),
      make_key(
          "consumers.*.footprint_is", kUnbounded,
          [](KeyContext c) -> auto& { return c.consumer->footprint_is; }, "at_least",
          "How `footprint` and measurements combine: a first `guess` that measurements replace, a minimum "
          "(`at_least`) or a maximum (`at_most`)."),
      make_key(
          "consumers.*.working", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->working; },
          "1GiB", "Device memory that one running job adds to the footprint."),
      make_key(
          "consumers.*.residue", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->residue; },
          "300MiB", "Device memory that its process keeps after it has unloaded (a CUDA context)."),
      make_key(
          "consumers.*.priority", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->priority; },
          "interactive",
          "The priority class of requests that name none. A more urgent class goes first; waiting raises the "
          "class (`limits.ageing`)."),
      make_key(
          "consumers.*.weight", Range{1, 1000}, [](KeyContext c) -> auto& { return c.consumer->weight; }, "3",
          "Each second that its requests wait counts as this many when compared with other consumers."),
      make_key(
          "consumers.*.max_queue", Range{0, 1'000'000},
          [](KeyContext c) -> auto& { return c.consumer->max_queue; }, "20",
          "How many of its requests may wait; the next is refused with queue_full (429). 0 means only "
          "`limits.max_queue`."),
      make_key(
          "consumers.*.max_turn", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->max_turn; },
          "2m", "After a turn this long its next request waits in line like any other; 0 means no limit."),
      make_key(
          "consumers.*.reserved", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->reserved; },
          "true", "It is evicted last and reloaded as soon as there is room."),
      make_key(
          "consumers.*.followed_by", kUnbounded,
          [](KeyContext c) -> auto& { return c.consumer->followed_by; }, "[tts]",
          "Consumers that usually run next: one is loaded ahead if it fits, and is evicted later than "
          "others."),
      make_key(
          "consumers.*.concurrency", Range{1, 4096},
          [](KeyContext c) -> auto& { return c.consumer->concurrency; }, "4",
          "Jobs that it may run at once within its turn; more than 1 if the service batches."),
      make_key(
          "consumers.*.exclusive", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->exclusive; },
          "true", "No other consumer has a turn on the device during its turn, whatever the capacity."),
      make_key(
          "consumers.*.turnless", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->turnless; },
          "true", "It needs device memory but no turn (for tiny AI models)."),
      make_key(
          "consumers.*.pinned", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->pinned; }, "true",
          "It is never evicted to make room."),
      make_key(
          "consumers.*.uninvited", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->uninvited; },
          "leave",
          "What happens to an AI model that its external service loaded without a request through "
          "mGPUmanager: "
          "`leave` unloads it once it is idle."),
      make_key(
          "consumers.*.idle_unload", kUnbounded,
          [](KeyContext c) -> auto& { return c.consumer->idle_unload; }, "15m",
          "It is evicted after this long without work; 0 means never."),
      with_fallback("idle_unload",
                    make_key(
                        "consumers.*.max_keep_alive", kUnbounded,
                        [](KeyContext c) -> auto& { return c.consumer->max_keep_alive; }, "1h",
                        "The longest keep_alive of a client (Ollama's API) that counts, in place of "
                        "`idle_unload`; 0: none counts.")),
      make_key(
          "consumers.*.load_limit", kAtLeastMillisecond,
          [](KeyContext c) -> auto& { return c.consumer->load_limit; }, "5m",
          "A load that takes longer counts as failed."),
      make_key(
          "consumers.*.stop_limit", kAtLeastMillisecond,
          [](KeyContext c) -> auto& { return c.consumer->stop_limit; }, "30s",
          "Limit for each step of an eviction: first for the answer, then for the memory to become free."),
  };
}

std::vector<Key> service_keys() {
  return {
      with_fallback(
          "none; generic if there is a url",
          make_key(
              "consumers.*.service", kUnbounded,
              [](KeyContext c) -> auto& { return c.consumer->service.type; }, "llama-server",
              "The protocol of its server. A consumer with neither service nor runner can only be leased.")),
      with_fallback(
          "http://127.0.0.1:${PORT} if the command has ${PORT}",
          omit_if_empty(with_port(make_key(
              "consumers.*.url", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->service.url; },
              "http://127.0.0.1:9001",
              "Where its server listens; ${PORT} is the free port chosen for its process.")))),
  };
}

// Keys of consumers with a service.
std::vector<Key> service_detail_keys() {
  std::vector<Key> rows{
      make_key(
          "consumers.*.ai_models", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->ai_models; },
          "{\"llama3.2:3b\": 4GiB}",
          "AI models that its service offers, each with a footprint; 0, or a plain list, means the "
          "consumer's "
          "`footprint`."),
      with_fallback(
          "the service's own; /health for generic",
          omit_if_empty(make_key_as<Path>(
              "consumers.*.health", kUnbounded,
              [](KeyContext c) -> auto& { return c.consumer->service.health; }, "/healthz",
              "The path that answers with 200 (generic: `health_status`) once the server is ready."))),
      make_key(
          "consumers.*.health_status", Range{100, 599},
          [](KeyContext c) -> auto& { return c.consumer->service.health_status; }, "204",
          "The HTTP status that means ready (generic only)."),
      make_key(
          "consumers.*.load", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->service.load; },
          "POST /load", "The request that loads it (generic only)."),
      make_key(
          "consumers.*.unload", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->service.unload; },
          R"({request: POST /free, body: '{"unload_models": true}'})",
          "The request that unloads it (generic only)."),
      make_key(
          "consumers.*.resume", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->service.resume; },
          "POST /wake", "The request that brings it back from host memory (generic only)."),
      make_key(
          "consumers.*.router", kUnbounded, [](KeyContext c) -> auto& { return c.consumer->service.router; },
          "true",
          "Whether llama-server runs in router mode, in which it loads and unloads AI models on request."),
      with_fallback(
          "the one loaded when the daemon first sees it",
          omit_if_empty(make_key(
              "consumers.*.ai_model", kUnbounded,
              [](KeyContext c) -> auto& { return c.consumer->service.ai_model; }, "gemma-3-12b-exl3",
              "The AI model to load, for services that hold one of several at a time (" +
                  services_supporting("ai_model") + "). Without it they are never unloaded."))),
      make_key(
          "consumers.*.sleep_level", Range{1, 2},
          [](KeyContext c) -> auto& { return c.consumer->service.sleep_level; }, "1",
          "vLLM's sleep level when it unloads: 1 keeps the weights in host memory, 2 drops them. Parking "
          "always "
          "uses level 1."),
      with_fallback("all memory",
                    make_key(
                        "consumers.*.memory_tags", kUnbounded,
                        [](KeyContext c) -> auto& { return c.consumer->service.memory_tags; }, "[kv_cache]",
                        "What SGLang releases when it unloads: any of weights, kv_cache, cuda_graph.")),
      with_fallback(
          "none",
          omit_if_empty(make_key_as<VariableName>(
              "consumers.*.api_key_env", kUnbounded,
              [](KeyContext c) -> auto& { return c.consumer->service.api_key_env; }, "TABBY_ADMIN_KEY",
              "The environment variable that holds the key (or user:password) for the daemon's control "
              "requests to it."))),
      with_fallback("none",
                    omit_if_empty(make_key_as<FilePath>(
                        "consumers.*.api_key_file", kUnbounded,
                        [](KeyContext c) -> auto& { return c.consumer->service.api_key_file; },
                        "/etc/mgpu/tabby.key", "A file whose first line is that key (or user:password)."))),
      make_key(
          "consumers.*.free_paths", kUnbounded,
          [](KeyContext c) -> auto& { return c.consumer->service.free_paths; }, "[/ws, /history/*]",
          "Paths of its server that need no turn, besides those that its service type knows; a * at the end "
          "matches the rest."),
      make_key(
          "consumers.*.turn_for", kUnbounded,
          [](KeyContext c) -> auto& { return c.consumer->service.turn_for; }, "[POST, GET /render/*]",
          "Requests that need a turn: a method, a path (a * at the end matches the rest), or both. For "
          "generic "
          "these are all that do; without the key POST and WebSockets do. For the other types they are "
          "added. "
          "Where free_paths matches as well, the longer path counts."),
  };
  for (Key& row : rows) row = omit_unless_supported(std::move(row));
  const auto before_resume = std::ranges::find(rows, "consumers.*.resume", &Key::path);
  rows.insert(before_resume, park_key());  // after the loop: cuda-checkpoint needs no service
  return rows;
}

std::vector<Key> busy_keys() {
  return {
      required(omit_unless(
          has_busy,
          make_key_as<Path>(
              "consumers.*.busy.path", kUnbounded, [](KeyContext c) -> auto& { return ensure_busy(c).path; },
              "/prompt",
              "The path of a GET request that tells whether the GPU still works after an answer."))),
      required(omit_unless(
          has_busy,
          make_key_as<AnyText>(
              "consumers.*.busy.pointer", kUnbounded,
              [](KeyContext c) -> auto& { return ensure_busy(c).pointer; }, "/exec_info/queue_remaining",
              "JSON pointer to the value in the answer that is compared with `idle`."))),
      required(omit_unless(has_busy, make_key_as<AnyText>(
                                         "consumers.*.busy.idle", kUnbounded,
                                         [](KeyContext c) -> auto& { return ensure_busy(c).idle; }, "\"0\"",
                                         "The value, as text, that means that the GPU is idle."))),
  };
}

std::vector<Key> runner_keys() {
  return {
      runner_key(),
      required(omit_unless(has_process,
                           with_port(make_key_as<Command>(
                               "consumers.*.runner.process.command", kUnbounded,
                               [](KeyContext c) -> auto& { return ensure_process(c).command; },
                               "[llama-server, -m, model.gguf, --port, \"${PORT}\"]",
                               "The program and its arguments, split as by a shell if it is one text "
                               "(with \\ at a line's end, quotes and # comments). ${PORT} becomes a "
                               "free port. No shell runs it: for its operators, variables and patterns "
                               "write [sh, -c, '...'].")))),
      omit_unless(has_process,
                  with_port(make_key(
                      "consumers.*.runner.process.env", kUnbounded,
                      [](KeyContext c) -> auto& { return ensure_process(c).env; },
                      "{CUDA_VISIBLE_DEVICES: \"0\"}", "Environment variables, added to the daemon's own."))),
      with_fallback("the daemon's",
                    omit_unless(has_process, omit_if_empty(make_key_as<FilePath>(
                                                 "consumers.*.runner.process.cwd", kUnbounded,
                                                 [](KeyContext c) -> auto& { return ensure_process(c).cwd; },
                                                 "/srv/tts", "The working directory.")))),
      with_fallback("memory only",
                    omit_unless(has_process,
                                omit_if_empty(make_key_as<FilePath>(
                                    "consumers.*.runner.process.log_file", kUnbounded,
                                    [](KeyContext c) -> auto& { return ensure_process(c).log_file; },
                                    "/var/log/mgpu/tts.log", "The file to which its output is appended.")))),
      omit_unless(has_process,
                  make_key(
                      "consumers.*.runner.process.stop_signal", kUnbounded,
                      [](KeyContext c) -> auto& { return ensure_process(c).stop_signal; }, "SIGINT",
                      "The signal that asks it to end; after `stop_limit` its process group is killed.")),
  };
}

std::vector<Key> systemd_keys() {
  std::vector<Key> rows{
      required(make_key(
          "consumers.*.runner.systemd.unit", kUnbounded,
          [](KeyContext c) -> auto& { return ensure_systemd(c).unit; }, "ollama.service",
          "The unit to start and stop, with its suffix.")),
      make_key(
          "consumers.*.runner.systemd.bus", kUnbounded,
          [](KeyContext c) -> auto& { return ensure_systemd(c).bus; }, "user",
          "Which systemd: `system` (needs root, or a polkit rule for "
          "`org.freedesktop.systemd1.manage-units`), or the `user`'s own."),
  };
  for (Key& row : rows) row = omit_unless(has_systemd, std::move(row));
  return rows;
}

std::vector<Key> container_keys() {
  std::vector<Key> rows{
      omit_if_empty(make_key(
          "consumers.*.runner.container.name", kUnbounded,
          [](KeyContext c) -> auto& { return ensure_container(c).name; }, "vllm",
          "The name of an existing container. Without it, a container is created from `image`.")),
      omit_if_empty(make_key(
          "consumers.*.runner.container.image", kUnbounded,
          [](KeyContext c) -> auto& { return ensure_container(c).image; }, "vllm/vllm-openai:latest",
          "The image of the container to create, named mgpu-CONSUMER. The image is not pulled.")),
      omit_if_empty(with_port(make_key_as<Arguments>(
          "consumers.*.runner.container.command", kUnbounded,
          [](KeyContext c) -> auto& { return ensure_container(c).command; }, "[--model, Qwen/Qwen3-8B]",
          "Arguments for the image's entry point. ${PORT} becomes a free port."))),
      with_port(make_key(
          "consumers.*.runner.container.env", kUnbounded,
          [](KeyContext c) -> auto& { return ensure_container(c).env; }, "{HF_HUB_OFFLINE: \"1\"}",
          "Environment variables of the container.")),
      with_port(make_key(
          "consumers.*.runner.container.ports", kUnbounded,
          [](KeyContext c) -> auto& { return ensure_container(c).ports; }, "[\"127.0.0.1:${PORT}:8000\"]",
          "Ports to publish, each [ADDRESS:]HOST:CONTAINER[/udp].")),
      make_key(
          "consumers.*.runner.container.gpus", kUnbounded,
          [](KeyContext c) -> auto& { return ensure_container(c).gpus; }, "[all]",
          "The GPUs that it sees: `all` that the consumer is bound to, or indices or UUIDs of NVIDIA "
          "devices, or CDI names (nvidia.com/gpu=0)."),
      make_key(
          "consumers.*.runner.container.volumes", kUnbounded,
          [](KeyContext c) -> auto& { return ensure_container(c).volumes; }, "[/srv/models:/models:ro]",
          "Folders of the host to mount, each HOST:CONTAINER[:ro]."),
      with_fallback("the engine's", omit_if_empty(make_key(
                                        "consumers.*.runner.container.network", kUnbounded,
                                        [](KeyContext c) -> auto& { return ensure_container(c).network; },
                                        "host", "The network of the container."))),
      with_fallback(
          "the engine's",
          make_key(
              "consumers.*.runner.container.shm_size", kUnbounded,
              [](KeyContext c) -> auto& { return ensure_container(c).shm_size; }, "8GiB",
              "Size of its shared memory; servers with several processes need more than the default.")),
      with_fallback("the first that answers: DOCKER_HOST, Docker's, Podman's",
                    omit_if_empty(make_key_as<FilePath>(
                        "consumers.*.runner.container.socket", kUnbounded,
                        [](KeyContext c) -> auto& { return ensure_container(c).socket; },
                        "/run/podman/podman.sock", "The Unix socket of the container engine."))),
  };
  for (Key& row : rows) row = omit_unless(has_container, std::move(row));
  return rows;
}

std::vector<Key> all_keys() {
  std::vector<Key> all;
  for (auto group : {top_keys, cuda_checkpoint_keys, gpu_keys, limits_keys, device_keys, consumer_keys,
                     service_keys, service_detail_keys, busy_keys, runner_keys, systemd_keys, container_keys})
    for (Key& key : group()) all.push_back(std::move(key));
  return all;
}

}  // namespace

const std::vector<Key>& keys() {
  static const std::vector<Key> all = all_keys();
  return all;
}

const Key* find_key(std::string_view path) {
  const auto found = std::ranges::find(keys(), path, &Key::path);
  return found == keys().end() ? nullptr : &*found;
}

std::vector<std::string> child_names(std::string_view path) {
  const std::string prefix = path.empty() ? "" : std::string(path) + ".";
  std::vector<std::string> names;
  for (const Key& key : keys()) {
    if (!key.path.starts_with(prefix)) continue;
    const std::string_view rest = std::string_view(key.path).substr(prefix.size());
    std::string name(rest.substr(0, rest.find_first_of(".[")));
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

std::string join_path(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : std::string(path) + "." + std::string(name);
}

}  // namespace mgpu::config
