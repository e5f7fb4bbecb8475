#include "config/keys.h"

#include <algorithm>
#include <utility>

#include "config/services.h"

namespace mgpu::config {
namespace {

constexpr std::int64_t kMillisecond = 1'000;
constexpr std::int64_t kSecond = 1'000'000;
constexpr Range kUnbounded{};
// Of what is counted: beyond them a limit would be none.
constexpr Range kCountRange{1, 1'000'000};
constexpr Range kRowCountRange{1, 100'000'000};
constexpr Range kAtLeastMillisecond{kMillisecond};
constexpr Range kSamplingRange{10 * kMillisecond, 3600 * kSecond};

std::string unwrap(Path path) { return std::move(path.text); }
std::string unwrap(PolicyName policy) { return std::move(policy.text); }
std::vector<std::string> unwrap(Command command) { return std::move(command.words); }
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

// A row whose value lives where `at(place)` says; `As` is how it is read and written, where that is not its
// C++ type.
template <class As, class Accessor>
Key make_key_as(std::string path, Range range, Accessor accessor, std::string example,
                std::string description) {
  Key key{.path = std::move(path),
          .type = type_of(range, static_cast<const As*>(nullptr)),
          .description = std::move(description),
          .example = std::move(example)};
  key.read = [range, accessor](const YAML::Node& node, KeyContext context) {
    As value{};
    ReadResult result = read(node, range, value);
    if (result) accessor(context) = unwrap(std::move(value));
    return result;
  };
  key.write = [accessor](KeyContext context) { return optional_node(As{accessor(context)}); };
  return key;
}

template <class Accessor>
Key make_key(std::string path, Range range, Accessor accessor, std::string example, std::string description) {
  return make_key_as<std::remove_reference_t<decltype(accessor(KeyContext{}))>>(
      std::move(path), range, accessor, std::move(example), std::move(description));
}

// Rows of an optional part of a consumer: nothing to show while the part is not there.
template <class IsPresent>
Key omit_unless(IsPresent is_present, Key key) {
  key.write = [is_present, write = std::move(key.write)](KeyContext context) {
    return is_present(*context.consumer) ? write(context) : std::nullopt;
  };
  return key;
}

// Rows of a service: nothing to show for one that does not have them.
Key omit_unless_supported(Key key) {
  const std::string name = key.path.substr(key.path.rfind('.') + 1);
  const auto& specific_keys = service_specific_keys();
  const bool everywhere = std::ranges::find(specific_keys, name) == specific_keys.end();
  return omit_unless(
      [name, everywhere](const ConsumerConfig& consumer) {
        const ServiceType type = consumer.service.type;
        return type != ServiceType::none && (everywhere || supports_key(type, name));
      },
      std::move(key));
}

Key required(Key key) { return key.required = true, key; }
Key with_fallback(std::string fallback, Key key) { return key.fallback = std::move(fallback), key; }

// Nothing to show while the text or list is empty: that says no more than an absent key.
Key omit_if_empty(Key key) {
  key.write = [write = std::move(key.write)](KeyContext context) -> std::optional<YAML::Node> {
    std::optional<YAML::Node> node = write(context);
    if (node && node->IsScalar() && node->Scalar().empty()) return std::nullopt;
    if (node && node->IsSequence() && node->size() == 0) return std::nullopt;
    return node;
  };
  return key;
}

ProcessConfig& ensure_process(KeyContext p) {
  return p.consumer->process ? *p.consumer->process : p.consumer->process.emplace();
}
SystemdConfig& ensure_systemd(KeyContext p) {
  return p.consumer->systemd ? *p.consumer->systemd : p.consumer->systemd.emplace();
}
ContainerConfig& ensure_container(KeyContext p) {
  return p.consumer->container ? *p.consumer->container : p.consumer->container.emplace();
}
BusyConfig& ensure_busy(KeyContext p) {
  return p.consumer->service.busy ? *p.consumer->service.busy : p.consumer->service.busy.emplace();
}
bool has_process(const ConsumerConfig& consumer) { return consumer.process.has_value(); }
bool has_systemd(const ConsumerConfig& consumer) { return consumer.systemd.has_value(); }
bool has_container(const ConsumerConfig& consumer) { return consumer.container.has_value(); }
bool has_busy(const ConsumerConfig& consumer) { return consumer.service.busy.has_value(); }

// One key for two things: the service's own request, or the utility that needs none.
Key park_key() {
  static constexpr std::string_view kCudaCheckpoint = "cuda-checkpoint";
  Key key{.path = "consumers.*.park",
          .type = type_of(kUnbounded, static_cast<const RequestConfig*>(nullptr)),
          .description =
              "How it is moved into host memory: the request that does it (generic only), or "
              "`cuda-checkpoint` for any CUDA process (needs driver 550 and the rights to trace it; its "
              "service then hangs until it is brought back).",
          .example = "POST /sleep"};
  key.type.name += ", or `cuda-checkpoint`";
  key.type.schema["oneOf"].push_back({{"const", kCudaCheckpoint}});
  key.read = [](const YAML::Node& node, KeyContext context) -> ReadResult {
    if (node.IsScalar() && node.Scalar() == kCudaCheckpoint) {
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

// `runner: external` is the only runner without settings of its own.
Key runner_key() {
  Key key{.path = "consumers.*.runner",
          .type = {std::string(kRunnerType), {{"const", "external"}}},
          .description =
              "Who starts and stops it: `external` (not us); `process` (we do); `systemd` or `container` "
              "(they do, when we ask). A unit or container that runs already counts as up, may be evicted "
              "like any other, and is left running when the daemon ends, unless the daemon started it.",
          .example = "external"};
  key.read = [](const YAML::Node& node, KeyContext) -> ReadResult {
    if (node.IsScalar() && node.Scalar() == "external") return {};
    return std::unexpected(ValueError{node.Mark(), "expected " + std::string(kRunnerType)});
  };
  key.write = [](KeyContext context) {
    return is_external(*context.consumer) ? std::optional(YAML::Node("external")) : std::nullopt;
  };
  return key;
}

std::vector<Key> top_keys() {
  return {
      make_key(
          "listen", kUnbounded, [](KeyContext p) -> auto& { return p.config->listen; }, "0.0.0.0:8090",
          "Address and port of the gateway and the API; port 0 takes a free one and prints it."),
      make_key_as<PolicyName>(
          "policy", kUnbounded, [](KeyContext p) -> auto& { return p.config->policy; }, "fifo",
          "The order of the line: `fifo` is strictly by arrival; `affinity` lets consumers that are loaded "
          "go before those that are not, within a bound (`limits.overtake_limit`)."),
      make_key(
          "load_ahead", kUnbounded, [](KeyContext p) -> auto& { return p.config->load_ahead; }, "false",
          "Whether the next consumer may load while another computes, if both fit (`affinity` only)."),
      make_key(
          "users", kUnbounded, [](KeyContext p) -> auto& { return p.config->users; }, "header",
          "Whom fair shares tell apart: by the header `X-Mgpu-User`, by the API key, by the header or else "
          "the key, or nobody."),
      make_key(
          "yield_to", kUnbounded, [](KeyContext p) -> auto& { return p.config->yield_to; },
          "[steam, \"*.exe\"]",
          "Foreign programs (their file's name; `*` and `?` match as in a shell) that a device is left to "
          "for "
          "as long as they use it: nothing new is granted there and idle consumers leave."),
      with_fallback("mgpu.db in $STATE_DIRECTORY, $XDG_STATE_HOME/mgpu or ~/.local/state/mgpu",
                    omit_if_empty(make_key(
                        "store", kUnbounded, [](KeyContext p) -> auto& { return p.config->store; },
                        "/var/lib/mgpu/mgpu.db",
                        "The file that keeps what was learned, the history, and which processes run; `none` "
                        "keeps nothing. Each daemon needs its own."))),
  };
}

std::vector<Key> cuda_checkpoint_keys() {
  return {
      make_key(
          "cuda_checkpoint", kUnbounded, [](KeyContext p) -> auto& { return p.config->cuda_checkpoint; },
          "/opt/bin/cuda-checkpoint",
          "NVIDIA's utility, for consumers with `park: cuda-checkpoint`; a bare name is looked for in PATH."),
  };
}

std::vector<Key> gpu_keys() {
  return {
      make_key(
          "gpu.provider", kUnbounded, [](KeyContext p) -> auto& { return p.config->gpu.provider; }, "drm",
          "Whose devices are used: `nvml` is NVIDIA's, `drm` AMD's and Intel's, `auto` all that are there. "
          "The "
          "graphics of a processor (an APU) count only where nothing else is."),
      make_key(
          "gpu.library", kUnbounded, [](KeyContext p) -> auto& { return p.config->gpu.library; },
          "/opt/lib/libmgpu-simgpu.so",
          "The NVML library to load; the environment variable MGPU_NVML_LIBRARY wins."),
      make_key(
          "gpu.sample_busy", kSamplingRange, [](KeyContext p) -> auto& { return p.config->gpu.sample_busy; },
          "50ms", "How often device memory is read while something changes."),
      make_key(
          "gpu.sample_idle", kSamplingRange, [](KeyContext p) -> auto& { return p.config->gpu.sample_idle; },
          "5s", "How often device memory is read while nothing changes."),
  };
}

std::vector<Key> limits_keys() {
  return {
      make_key(
          "limits.max_queue", kCountRange, [](KeyContext p) -> auto& { return p.config->limits.max_queue; },
          "200", "Tickets that may wait for one device; the next is refused with queue_full (429)."),
      make_key(
          "limits.max_leases", kCountRange, [](KeyContext p) -> auto& { return p.config->limits.max_leases; },
          "100", "Leases that programs may ask for or hold over the API at once."),
      make_key(
          "limits.max_connections", kCountRange,
          [](KeyContext p) -> auto& { return p.config->limits.max_connections; }, "1024",
          "Open connections from callers. One more closes the one that has been idle the longest; where all "
          "work, a few more of this machine are let in for the control plane alone, and others are closed."),
      make_key(
          "limits.connections_per_address", kCountRange,
          [](KeyContext p) -> auto& { return p.config->limits.connections_per_address; }, "256",
          "Open connections from one address; one more closes an idle one of the same address, or is "
          "closed."),
      make_key(
          "limits.max_header", Range{1024}, [](KeyContext p) -> auto& { return p.config->limits.max_header; },
          "32KiB", "The header of a request; a larger one is refused with too_large (413)."),
      make_key(
          "limits.max_body", kUnbounded, [](KeyContext p) -> auto& { return p.config->limits.max_body; },
          "512MiB", "The body of a request; a larger one is refused with too_large (413)."),
      make_key(
          "limits.body_memory", Range{1024},
          [](KeyContext p) -> auto& { return p.config->limits.body_memory; }, "4MiB",
          "How much of a body is read into memory before its request waits for a turn. What is larger goes "
          "to a file while the model's name is looked for in it, and else is read once it has its turn."),
      make_key(
          "limits.body_memory_total", kUnbounded,
          [](KeyContext p) -> auto& { return p.config->limits.body_memory_total; }, "1GiB",
          "How much all bodies together may hold in memory before they have their turn; the rest goes to "
          "files."),
      make_key(
          "limits.spool_total", kUnbounded,
          [](KeyContext p) -> auto& { return p.config->limits.spool_total; }, "10GiB",
          "How much all bodies together may hold in files (in `TMPDIR`, or else /tmp); one more is refused "
          "with queue_full (429)."),
      make_key(
          "limits.min_upload_rate", kUnbounded,
          [](KeyContext p) -> auto& { return p.config->limits.min_upload_rate; }, "64KiB",
          "How much of its body a client must send in a second, over five seconds, once its request has its "
          "turn; a slower one loses the turn with request_timeout (408). 0 means no bound."),
      with_fallback(
          "a quarter of the memory that is available then",
          make_key(
              "limits.prefetch_memory", kUnbounded,
              [](KeyContext p) -> auto& { return p.config->limits.prefetch_memory; }, "8GiB",
              "How much of a consumer's weights is read into the page cache ahead of its load; 0 reads "
              "nothing ahead.")),
      make_key(
          "limits.wait_limit", kAtLeastMillisecond,
          [](KeyContext p) -> auto& { return p.config->limits.wait_limit; }, "2m",
          "How long a ticket may wait that names no limit itself; after that it ends with wait_limit (504)."),
      make_key(
          "limits.room_limit", kUnbounded, [](KeyContext p) -> auto& { return p.config->limits.room_limit; },
          "1m",
          "How long foreign or pinned memory may be in the way of the next ticket before it is refused with "
          "no_room."),
      make_key(
          "limits.overtake_limit", kUnbounded,
          [](KeyContext p) -> auto& { return p.config->limits.overtake_limit; }, "20s",
          "How long the first of a line may be overtaken (`affinity` only); 0 means the larger of 10 s and "
          "three times what the change of residents costs."),
      make_key(
          "limits.ageing", kAtLeastMillisecond, [](KeyContext p) -> auto& { return p.config->limits.ageing; },
          "1m", "After waiting this long a ticket stands with the newcomers of the next priority class."),
      make_key(
          "limits.reading_age", Range{10 * kMillisecond, 60 * kSecond},
          [](KeyContext p) -> auto& { return p.config->limits.reading_age; }, "2s",
          "A load starts only on a reading of the device's memory that is no older than this."),
      make_key(
          "limits.park_memory", kUnbounded,
          [](KeyContext p) -> auto& { return p.config->limits.park_memory; }, "16GiB",
          "Host memory that parked consumers may hold together; 0 means that no plan parks."),
      make_key(
          "limits.run_limit", kAtLeastMillisecond,
          [](KeyContext p) -> auto& { return p.config->limits.run_limit; }, "10m",
          "How long one request may run at its service."),
      make_key(
          "limits.stall_limit", kAtLeastMillisecond,
          [](KeyContext p) -> auto& { return p.config->limits.stall_limit; }, "1m",
          "How long a client may neither send the next part of its body nor take the next part of its "
          "answer; after that its connection is closed. Waiting for a turn does not count."),
      make_key(
          "limits.lease_ttl", kAtLeastMillisecond,
          [](KeyContext p) -> auto& { return p.config->limits.lease_ttl; }, "5m",
          "How long a lease lives without a heartbeat if it names no time itself and is bound to no "
          "connection."),
      make_key(
          "limits.drain_limit", kUnbounded,
          [](KeyContext p) -> auto& { return p.config->limits.drain_limit; }, "5s",
          "How long running work may go on after SIGTERM."),
      make_key(
          "limits.events", kCountRange, [](KeyContext p) -> auto& { return p.config->limits.events; },
          "50000", "Events kept for `/v1/events`."),
      make_key(
          "limits.events_memory", Range{64 * 1024},
          [](KeyContext p) -> auto& { return p.config->limits.events_memory; }, "16MiB",
          "Memory that the kept events may take; the oldest go first."),
      make_key(
          "limits.event_subscribers", kCountRange,
          [](KeyContext p) -> auto& { return p.config->limits.event_subscribers; }, "16",
          "Who may follow `/v1/events` at once; the next is refused with queue_full (429). Who falls behind "
          "the kept events is sent away."),
      make_key(
          "limits.log_lines", kCountRange, [](KeyContext p) -> auto& { return p.config->limits.log_lines; },
          "1000", "Last lines kept of each process' output."),
      make_key(
          "limits.history_rows", kRowCountRange,
          [](KeyContext p) -> auto& { return p.config->limits.history_rows; }, "500000",
          "Finished jobs kept in the store; the oldest go first."),
  };
}

std::vector<Key> device_keys() {
  return {
      required(make_key(
          "devices[].id", kUnbounded, [](KeyContext p) -> auto& { return p.device->id; }, "gpu0",
          "How everybody names the device.")),
      with_fallback("the driver's order",
                    make_key(
                        "devices[].index", kUnbounded, [](KeyContext p) -> auto& { return p.device->index; },
                        "1", "Chooses the device by the driver's index.")),
      with_fallback("the driver's order",
                    omit_if_empty(make_key(
                        "devices[].uuid", kUnbounded, [](KeyContext p) -> auto& { return p.device->uuid; },
                        "GPU-8f6d0e6c-1a2b-4c3d-9e8f-001122334455", "Chooses the device by its UUID."))),
      make_key(
          "devices[].capacity", Range{1, 64}, [](KeyContext p) -> auto& { return p.device->capacity; }, "2",
          "Consumers that may have a turn on it at once; 1 means one after the other."),
      make_key(
          "devices[].reserve", kUnbounded, [](KeyContext p) -> auto& { return p.device->reserve; }, "1GiB",
          "Memory that is never handed out: room for the desktop, CUDA contexts and fragmentation."),
  };
}

std::vector<Key> consumer_keys() {
  return {
      make_key(
          "consumers.*.kind", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->kind; }, "llm",
          "What sort of work it does; used for display and for choosing among consumers."),
      with_fallback("the first device", omit_if_empty(make_key(
                                            "consumers.*.device", kUnbounded,
                                            [](KeyContext p) -> auto& { return p.consumer->device; }, "gpu1",
                                            "The id of the device it is bound to."))),
      make_key(
          "consumers.*.devices", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->devices; },
          "[gpu0, gpu1]",
          "Instead of `device`: the ids of the devices that it may be placed on while it holds nothing; the "
          "first is preferred. A process that we start sees that one alone (`CUDA_VISIBLE_DEVICES`, unless "
          "its "
          "`env` sets it)."),
      with_fallback(
          "it is on one device at a time",
          make_key(
              "consumers.*.split", Range{1, 1'000'000},
              [](KeyContext p) -> auto& { return p.consumer->split; }, "[1, 1]",
              "It needs all its `devices` at once, since its AI model is cut over them (as with "
              "`--tensor-parallel-size` or `--tensor-split`): what part of its memory each of them holds, "
              "in their order. It gets a turn and room on all of them, or waits with none.")),
      make_key(
          "consumers.*.aliases", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->aliases; },
          "[gpt-4o-mini]", "Further names under which requests may ask for it as their `model`."),
      with_fallback(
          "what the command names (-m, --model, --models-dir, ...), or where the service keeps them",
          make_key(
              "consumers.*.weights", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->weights; },
              "[/models/qwen3-8b-q4_k_m.gguf]",
              "The files (GGUF, safetensors, or a folder of them) that it loads: its footprint is "
              "estimated from them where none is declared. Of a service with several AI models, "
              "the folder that they lie in.")),
      make_key(
          "consumers.*.footprint", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->footprint; },
          "14GiB", "Device memory that it holds once loaded."),
      make_key(
          "consumers.*.footprint_is", kUnbounded,
          [](KeyContext p) -> auto& { return p.consumer->footprint_is; }, "at_least",
          "What `footprint` means once it was seen loaded: a first `guess`, a floor (`at_least`) or a "
          "ceiling (`at_most`)."),
      make_key(
          "consumers.*.working", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->working; },
          "1GiB", "Device memory that one running job adds."),
      make_key(
          "consumers.*.residue", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->residue; },
          "300MiB", "Device memory that its living process keeps after it unloaded (a CUDA context)."),
      make_key(
          "consumers.*.priority", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->priority; },
          "interactive",
          "The class of requests that name none themselves; a more urgent class goes first, and waiting "
          "raises (`limits.ageing`)."),
      make_key(
          "consumers.*.weight", Range{1, 1000}, [](KeyContext p) -> auto& { return p.consumer->weight; }, "3",
          "A second that its requests wait counts as this many against those of others."),
      make_key(
          "consumers.*.max_queue", Range{0, 1'000'000},
          [](KeyContext p) -> auto& { return p.consumer->max_queue; }, "20",
          "Its requests that may wait at once; the next is refused with queue_full (429). 0 means only "
          "`limits.max_queue`."),
      make_key(
          "consumers.*.max_turn", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->max_turn; },
          "2m", "After a turn this long its next request queues like everybody's; 0 means no bound."),
      make_key(
          "consumers.*.reserved", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->reserved; },
          "true", "It is the last to be evicted, and comes back as soon as there is room."),
      make_key(
          "consumers.*.followed_by", kUnbounded,
          [](KeyContext p) -> auto& { return p.consumer->followed_by; }, "[tts]",
          "Consumers that usually come next: one is loaded ahead if it fits, and spared."),
      make_key(
          "consumers.*.concurrency", Range{1, 4096},
          [](KeyContext p) -> auto& { return p.consumer->concurrency; }, "4",
          "Jobs that it may run at once within its turn; more than 1 where the service batches."),
      make_key(
          "consumers.*.exclusive", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->exclusive; },
          "true", "Nobody else has a turn on the device while it has one, whatever the capacity."),
      make_key(
          "consumers.*.turnless", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->turnless; },
          "true", "It is tiny: it needs memory, but no turn."),
      make_key(
          "consumers.*.pinned", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->pinned; }, "true",
          "It is never evicted to make room."),
      make_key(
          "consumers.*.uninvited", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->uninvited; },
          "leave",
          "What becomes of an AI model that its external service loaded for somebody who did not ask here: "
          "`leave` unloads it as soon as it is idle."),
      make_key(
          "consumers.*.idle_unload", kUnbounded,
          [](KeyContext p) -> auto& { return p.consumer->idle_unload; }, "15m",
          "Evict it after this long without work; 0 means never."),
      make_key(
          "consumers.*.load_limit", kAtLeastMillisecond,
          [](KeyContext p) -> auto& { return p.consumer->load_limit; }, "5m",
          "A load that takes longer has failed."),
      make_key(
          "consumers.*.stop_limit", kAtLeastMillisecond,
          [](KeyContext p) -> auto& { return p.consumer->stop_limit; }, "30s",
          "For each step of an eviction: time to answer, and then to show the memory free."),
  };
}

std::vector<Key> service_keys() {
  return {
      with_fallback(
          "none; generic where there is a url",
          make_key(
              "consumers.*.service", kUnbounded,
              [](KeyContext p) -> auto& { return p.consumer->service.type; }, "llama-server",
              "How its server is spoken to; a consumer with neither service nor runner only takes leases.")),
      with_fallback(
          "http://127.0.0.1:${PORT} where the command has ${PORT}",
          omit_if_empty(make_key(
              "consumers.*.url", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->service.url; },
              "http://127.0.0.1:9001",
              "Where its server listens; ${PORT} is the port chosen for its process."))),
  };
}

// What only consumers with a service have.
std::vector<Key> service_detail_keys() {
  std::vector<Key> rows{
      make_key(
          "consumers.*.ai_models", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->ai_models; },
          "{\"llama3.2:3b\": 4GiB}",
          "AI models that its service offers, each with a footprint of its own (0 or a plain list: the "
          "consumer's)."),
      with_fallback("the service's own; /health for generic",
                    omit_if_empty(make_key_as<Path>(
                        "consumers.*.health", kUnbounded,
                        [](KeyContext p) -> auto& { return p.consumer->service.health; }, "/healthz",
                        "The path that answers 200 (generic: `health_status`) once it is ready."))),
      make_key(
          "consumers.*.health_status", Range{100, 599},
          [](KeyContext p) -> auto& { return p.consumer->service.health_status; }, "204",
          "The HTTP status that means ready (generic only)."),
      make_key(
          "consumers.*.load", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->service.load; },
          "POST /load", "The request that loads it (generic only)."),
      make_key(
          "consumers.*.unload", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->service.unload; },
          R"({request: POST /free, body: '{"unload_models": true}'})",
          "The request that unloads it (generic only)."),
      make_key(
          "consumers.*.resume", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->service.resume; },
          "POST /wake", "The request that brings it back from host memory (generic only)."),
      make_key(
          "consumers.*.router", kUnbounded, [](KeyContext p) -> auto& { return p.consumer->service.router; },
          "true", "llama-server runs in router mode and loads and unloads its AI models on request."),
      with_fallback(
          "the one that it holds at start",
          omit_if_empty(make_key(
              "consumers.*.ai_model", kUnbounded,
              [](KeyContext p) -> auto& { return p.consumer->service.ai_model; }, "gemma-3-12b-exl3",
              "What to load, for services that hold one of many AI models at a time (" +
                  services_supporting("ai_model") + "); without it they are never asked to unload."))),
      make_key(
          "consumers.*.sleep_level", Range{1, 2},
          [](KeyContext p) -> auto& { return p.consumer->service.sleep_level; }, "1",
          "How deep vLLM sleeps when it unloads: 1 keeps the weights in host memory, 2 drops them. Parking "
          "is "
          "always level 1."),
      with_fallback("all of it",
                    make_key(
                        "consumers.*.memory_tags", kUnbounded,
                        [](KeyContext p) -> auto& { return p.consumer->service.memory_tags; }, "[kv_cache]",
                        "What SGLang releases: any of weights, kv_cache, cuda_graph.")),
      with_fallback(
          "none",
          omit_if_empty(make_key(
              "consumers.*.api_key_env", kUnbounded,
              [](KeyContext p) -> auto& { return p.consumer->service.api_key_env; }, "TABBY_ADMIN_KEY",
              "The environment variable that holds the key (or user:password) which its control "
              "requests want."))),
      with_fallback("none", omit_if_empty(make_key(
                                "consumers.*.api_key_file", kUnbounded,
                                [](KeyContext p) -> auto& { return p.consumer->service.api_key_file; },
                                "/etc/mgpu/tabby.key", "A file whose first line is that key."))),
      make_key(
          "consumers.*.free_paths", kUnbounded,
          [](KeyContext p) -> auto& { return p.consumer->service.free_paths; }, "[/ws, /history/*]",
          "Paths that need no turn; a * at the end matches the rest. Unless named here, those that belong to "
          "the service, where it has such."),
  };
  for (Key& row : rows) row = omit_unless_supported(std::move(row));
  const auto before_resume = std::ranges::find(rows, "consumers.*.resume", &Key::path);
  rows.insert(before_resume, park_key());  // which has a meaning without a service, too
  return rows;
}

std::vector<Key> busy_keys() {
  return {
      required(omit_unless(
          has_busy,
          make_key_as<Path>(
              "consumers.*.busy.path", kUnbounded, [](KeyContext p) -> auto& { return ensure_busy(p).path; },
              "/prompt", "A GET that tells whether the GPU is still at work after an answer."))),
      required(omit_unless(
          has_busy, make_key(
                        "consumers.*.busy.pointer", kUnbounded,
                        [](KeyContext p) -> auto& { return ensure_busy(p).pointer; },
                        "/exec_info/queue_remaining", "JSON pointer to the telling value in the answer."))),
      required(omit_unless(has_busy, make_key(
                                         "consumers.*.busy.idle", kUnbounded,
                                         [](KeyContext p) -> auto& { return ensure_busy(p).idle; }, "\"0\"",
                                         "The value, as text, that means idle."))),
  };
}

std::vector<Key> runner_keys() {
  return {
      runner_key(),
      required(
          omit_unless(has_process, make_key_as<Command>(
                                       "consumers.*.runner.process.command", kUnbounded,
                                       [](KeyContext p) -> auto& { return ensure_process(p).command; },
                                       "[llama-server, -m, model.gguf, --port, \"${PORT}\"]",
                                       "The program and its arguments; for ${PORT} a free port is chosen. "
                                       "Nothing else is expanded."))),
      omit_unless(has_process,
                  make_key(
                      "consumers.*.runner.process.env", kUnbounded,
                      [](KeyContext p) -> auto& { return ensure_process(p).env; },
                      "{CUDA_VISIBLE_DEVICES: \"0\"}", "Environment variables added to the daemon's own.")),
      with_fallback("the daemon's",
                    omit_unless(has_process, omit_if_empty(make_key(
                                                 "consumers.*.runner.process.cwd", kUnbounded,
                                                 [](KeyContext p) -> auto& { return ensure_process(p).cwd; },
                                                 "/srv/tts", "The working directory.")))),
      with_fallback(
          "memory only",
          omit_unless(has_process, omit_if_empty(make_key(
                                       "consumers.*.runner.process.log_file", kUnbounded,
                                       [](KeyContext p) -> auto& { return ensure_process(p).log_file; },
                                       "/var/log/mgpu/tts.log", "A file that its output is appended to.")))),
      omit_unless(has_process,
                  make_key(
                      "consumers.*.runner.process.stop_signal", kUnbounded,
                      [](KeyContext p) -> auto& { return ensure_process(p).stop_signal; }, "SIGINT",
                      "The signal that asks it to end; after `stop_limit` the whole group is killed.")),
  };
}

std::vector<Key> systemd_keys() {
  std::vector<Key> rows{
      required(make_key(
          "consumers.*.runner.systemd.unit", kUnbounded,
          [](KeyContext p) -> auto& { return ensure_systemd(p).unit; }, "ollama.service",
          "The unit that is started and stopped, with its ending.")),
      make_key(
          "consumers.*.runner.systemd.bus", kUnbounded,
          [](KeyContext p) -> auto& { return ensure_systemd(p).bus; }, "user",
          "Whose systemd: the `system`'s (needs root, or a polkit rule for "
          "`org.freedesktop.systemd1.manage-units`), or the `user`'s own."),
  };
  for (Key& row : rows) row = omit_unless(has_systemd, std::move(row));
  return rows;
}

std::vector<Key> container_keys() {
  std::vector<Key> rows{
      omit_if_empty(make_key(
          "consumers.*.runner.container.name", kUnbounded,
          [](KeyContext p) -> auto& { return ensure_container(p).name; }, "vllm",
          "A container that exists, by its name; without one, one is made of `image`.")),
      omit_if_empty(make_key(
          "consumers.*.runner.container.image", kUnbounded,
          [](KeyContext p) -> auto& { return ensure_container(p).image; }, "vllm/vllm-openai:latest",
          "The image of a container that we make, named mgpu-CONSUMER; it is not pulled.")),
      omit_if_empty(make_key_as<Command>(
          "consumers.*.runner.container.command", kUnbounded,
          [](KeyContext p) -> auto& { return ensure_container(p).command; }, "[--model, Qwen/Qwen3-8B]",
          "Arguments for the image's entry point; for ${PORT} a free port is chosen.")),
      make_key(
          "consumers.*.runner.container.env", kUnbounded,
          [](KeyContext p) -> auto& { return ensure_container(p).env; }, "{HF_HUB_OFFLINE: \"1\"}",
          "Its environment variables."),
      make_key(
          "consumers.*.runner.container.ports", kUnbounded,
          [](KeyContext p) -> auto& { return ensure_container(p).ports; }, "[\"127.0.0.1:${PORT}:8000\"]",
          "Ports to publish, each [ADDRESS:]HOST:CONTAINER[/udp]."),
      make_key(
          "consumers.*.runner.container.gpus", kUnbounded,
          [](KeyContext p) -> auto& { return ensure_container(p).gpus; }, "[all]",
          "What it sees: `all`, or indices or UUIDs of NVIDIA devices, or names of the container device "
          "interface (nvidia.com/gpu=0)."),
      make_key(
          "consumers.*.runner.container.volumes", kUnbounded,
          [](KeyContext p) -> auto& { return ensure_container(p).volumes; }, "[/srv/models:/models:ro]",
          "Folders of the host in it, each HOST:CONTAINER[:ro]."),
      with_fallback("the engine's", omit_if_empty(make_key(
                                        "consumers.*.runner.container.network", kUnbounded,
                                        [](KeyContext p) -> auto& { return ensure_container(p).network; },
                                        "host", "Its network."))),
      with_fallback("the engine's",
                    make_key(
                        "consumers.*.runner.container.shm_size", kUnbounded,
                        [](KeyContext p) -> auto& { return ensure_container(p).shm_size; }, "8GiB",
                        "Its shared memory, of which servers with several processes need more.")),
      with_fallback("DOCKER_HOST, Docker's, Podman's: the first that answers",
                    omit_if_empty(make_key(
                        "consumers.*.runner.container.socket", kUnbounded,
                        [](KeyContext p) -> auto& { return ensure_container(p).socket; },
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
