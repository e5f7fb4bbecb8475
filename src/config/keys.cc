#include "config/keys.h"

#include <algorithm>
#include <utility>

#include "config/services.h"

namespace mgpu::config {
namespace {

constexpr std::int64_t kMillisecond = 1'000;
constexpr std::int64_t kSecond = 1'000'000;
constexpr Range kAny{};
// Of what is counted: beyond them a limit would be none.
constexpr Range kCount{1, 1'000'000};
constexpr Range kRows{1, 100'000'000};
constexpr Range kAtLeastMillisecond{kMillisecond};
constexpr Range kSampling{10 * kMillisecond, 3600 * kSecond};

std::string unwrapped(Path path) { return std::move(path.text); }
std::string unwrapped(PolicyName policy) { return std::move(policy.text); }
std::vector<std::string> unwrapped(Command command) { return std::move(command.words); }
template <class T>
T unwrapped(T value) {
  return value;
}

template <class T>
std::optional<YAML::Node> written(const T& value) {
  return write(value);
}
template <class T>
std::optional<YAML::Node> written(const std::optional<T>& value) {
  return value ? std::optional(write(*value)) : std::nullopt;
}

// A row whose value lives where `at(place)` says; `As` is how it is read and written, where that is not its
// C++ type.
template <class As, class At>
Key key_as(std::string path, Range range, At at, std::string example, std::string text) {
  Key key{.path = std::move(path),
          .type = type_of(range, static_cast<const As*>(nullptr)),
          .text = std::move(text),
          .example = std::move(example)};
  key.read = [range, at](const YAML::Node& node, Place place) {
    As value{};
    Read result = read(node, range, value);
    if (result) at(place) = unwrapped(std::move(value));
    return result;
  };
  key.write = [at](Place place) { return written(As{at(place)}); };
  return key;
}

template <class At>
Key key(std::string path, Range range, At at, std::string example, std::string text) {
  return key_as<std::remove_reference_t<decltype(at(Place{}))>>(std::move(path), range, at,
                                                                std::move(example), std::move(text));
}

// Rows of an optional part of a consumer: nothing to show while the part is not there.
template <class Present>
Key only_if(Present present, Key key) {
  key.write = [present, write = std::move(key.write)](Place place) {
    return present(*place.consumer) ? write(place) : std::nullopt;
  };
  return key;
}

// Rows of a service: nothing to show for one that does not have them.
Key only_where_taken(Key key) {
  const std::string name = key.path.substr(key.path.rfind('.') + 1);
  const auto& particular = keys_of_some_services();
  const bool everywhere = std::ranges::find(particular, name) == particular.end();
  return only_if(
      [name, everywhere](const ConsumerConfig& consumer) {
        const ServiceType type = consumer.service.type;
        return type != ServiceType::none && (everywhere || takes_key(type, name));
      },
      std::move(key));
}

Key required(Key key) { return key.required = true, key; }
Key falls_back(std::string to, Key key) { return key.fallback = std::move(to), key; }

// Nothing to show while the text or list is empty: that says no more than an absent key.
Key unless_empty(Key key) {
  key.write = [write = std::move(key.write)](Place place) -> std::optional<YAML::Node> {
    std::optional<YAML::Node> node = write(place);
    if (node && node->IsScalar() && node->Scalar().empty()) return std::nullopt;
    if (node && node->IsSequence() && node->size() == 0) return std::nullopt;
    return node;
  };
  return key;
}

ProcessConfig& process(Place p) {
  return p.consumer->process ? *p.consumer->process : p.consumer->process.emplace();
}
SystemdConfig& systemd(Place p) {
  return p.consumer->systemd ? *p.consumer->systemd : p.consumer->systemd.emplace();
}
ContainerConfig& container(Place p) {
  return p.consumer->container ? *p.consumer->container : p.consumer->container.emplace();
}
BusyConfig& busy(Place p) {
  return p.consumer->service.busy ? *p.consumer->service.busy : p.consumer->service.busy.emplace();
}
bool has_process(const ConsumerConfig& consumer) { return consumer.process.has_value(); }
bool has_systemd(const ConsumerConfig& consumer) { return consumer.systemd.has_value(); }
bool has_container(const ConsumerConfig& consumer) { return consumer.container.has_value(); }
bool has_busy(const ConsumerConfig& consumer) { return consumer.service.busy.has_value(); }

// One key for two things: the service's own request, or the utility that needs none.
Key park_key() {
  static constexpr std::string_view kUtility = "cuda-checkpoint";
  Key key{.path = "consumers.*.park",
          .type = type_of(kAny, static_cast<const RequestConfig*>(nullptr)),
          .text =
              "How it is moved into host memory: the request that does it (generic only), or "
              "`cuda-checkpoint` for any CUDA process (needs driver 550 and the rights to trace it; its "
              "service then hangs until it is brought back).",
          .example = "POST /sleep"};
  key.type.name += ", or `cuda-checkpoint`";
  key.type.schema["oneOf"].push_back({{"const", kUtility}});
  key.read = [](const YAML::Node& node, Place place) -> Read {
    if (node.IsScalar() && node.Scalar() == kUtility) {
      place.consumer->park_by = ParkBy::cuda_checkpoint;
      return {};
    }
    return read(node, kAny, place.consumer->service.park);
  };
  key.write = [](Place place) -> std::optional<YAML::Node> {
    if (place.consumer->park_by == ParkBy::cuda_checkpoint) return YAML::Node(std::string(kUtility));
    return takes_key(place.consumer->service.type, "park") ? written(place.consumer->service.park)
                                                           : std::nullopt;
  };
  return key;
}

constexpr std::string_view kRunnerType = "external, or a mapping with one key: process, systemd, container";

// `runner: external` is the only runner without settings of its own.
Key runner_key() {
  Key key{.path = "consumers.*.runner",
          .type = {std::string(kRunnerType), {{"const", "external"}}},
          .text =
              "Who starts and stops it: `external` (not us); `process` (we do); `systemd` or `container` "
              "(they do, when we ask). A unit or container that runs already counts as up, may be evicted "
              "like any other, and is left running when the daemon ends, unless the daemon started it.",
          .example = "external"};
  key.read = [](const YAML::Node& node, Place) -> Read {
    if (node.IsScalar() && node.Scalar() == "external") return {};
    return std::unexpected(Wrong{node.Mark(), "expected " + std::string(kRunnerType)});
  };
  key.write = [](Place place) {
    return is_external(*place.consumer) ? std::optional(YAML::Node("external")) : std::nullopt;
  };
  return key;
}

std::vector<Key> top_keys() {
  return {
      key(
          "listen", kAny, [](Place p) -> auto& { return p.config->listen; }, "0.0.0.0:8090",
          "Address and port of the gateway and the API; port 0 takes a free one and prints it."),
      key_as<PolicyName>(
          "policy", kAny, [](Place p) -> auto& { return p.config->policy; }, "fifo",
          "The order of the line: `fifo` is strictly by arrival; `affinity` lets consumers that are loaded "
          "go before those that are not, within a bound (`limits.overtake_limit`)."),
      key(
          "load_ahead", kAny, [](Place p) -> auto& { return p.config->load_ahead; }, "false",
          "Whether the next consumer may load while another computes, if both fit (`affinity` only)."),
      key(
          "users", kAny, [](Place p) -> auto& { return p.config->users; }, "header",
          "Whom fair shares tell apart: by the header `X-Mgpu-User`, by the API key, by the header or else "
          "the key, or nobody."),
      key(
          "yield_to", kAny, [](Place p) -> auto& { return p.config->yield_to; }, "[steam, \"*.exe\"]",
          "Foreign programs (their file's name; `*` and `?` match as in a shell) that a device is left to "
          "for "
          "as long as they use it: nothing new is granted there and idle consumers leave."),
      falls_back("mgpu.db in $STATE_DIRECTORY, $XDG_STATE_HOME/mgpu or ~/.local/state/mgpu",
                 unless_empty(key(
                     "store", kAny, [](Place p) -> auto& { return p.config->store; }, "/var/lib/mgpu/mgpu.db",
                     "The file that keeps what was learned, the history, and which processes run; `none` "
                     "keeps nothing. Each daemon needs its own."))),
  };
}

std::vector<Key> utility_keys() {
  return {
      key(
          "cuda_checkpoint", kAny, [](Place p) -> auto& { return p.config->cuda_checkpoint; },
          "/opt/bin/cuda-checkpoint",
          "NVIDIA's utility, for consumers with `park: cuda-checkpoint`; a bare name is looked for in PATH."),
  };
}

std::vector<Key> gpu_keys() {
  return {
      key(
          "gpu.provider", kAny, [](Place p) -> auto& { return p.config->gpu.provider; }, "drm",
          "Whose devices are used: `nvml` is NVIDIA's, `drm` AMD's and Intel's, `auto` all that are there. "
          "The "
          "graphics of a processor (an APU) count only where nothing else is."),
      key(
          "gpu.library", kAny, [](Place p) -> auto& { return p.config->gpu.library; },
          "/opt/lib/libmgpu-simgpu.so",
          "The NVML library to load; the environment variable MGPU_NVML_LIBRARY wins."),
      key(
          "gpu.sample_busy", kSampling, [](Place p) -> auto& { return p.config->gpu.sample_busy; }, "50ms",
          "How often device memory is read while something changes."),
      key(
          "gpu.sample_idle", kSampling, [](Place p) -> auto& { return p.config->gpu.sample_idle; }, "5s",
          "How often device memory is read while nothing changes."),
  };
}

std::vector<Key> limits_keys() {
  return {
      key(
          "limits.max_queue", kCount, [](Place p) -> auto& { return p.config->limits.max_queue; }, "200",
          "Tickets that may wait for one device; the next is refused with queue_full (429)."),
      key(
          "limits.max_leases", kCount, [](Place p) -> auto& { return p.config->limits.max_leases; }, "100",
          "Leases that programs may ask for or hold over the API at once."),
      key(
          "limits.max_connections", kCount, [](Place p) -> auto& { return p.config->limits.max_connections; },
          "1024",
          "Open connections from callers. One more closes the one that has been idle the longest; where all "
          "work, a few more of this machine are let in for the control plane alone, and others are closed."),
      key(
          "limits.connections_per_address", kCount,
          [](Place p) -> auto& { return p.config->limits.connections_per_address; }, "256",
          "Open connections from one address; one more closes an idle one of the same address, or is "
          "closed."),
      key(
          "limits.max_header", Range{1024}, [](Place p) -> auto& { return p.config->limits.max_header; },
          "32KiB", "The header of a request; a larger one is refused with too_large (413)."),
      key(
          "limits.max_body", kAny, [](Place p) -> auto& { return p.config->limits.max_body; }, "512MiB",
          "The body of a request; a larger one is refused with too_large (413)."),
      key(
          "limits.body_memory", Range{1024}, [](Place p) -> auto& { return p.config->limits.body_memory; },
          "4MiB",
          "How much of a body is read into memory before its request waits for a turn. What is larger goes "
          "to a file while the model's name is looked for in it, and else is read once it has its turn."),
      key(
          "limits.body_memory_total", kAny,
          [](Place p) -> auto& { return p.config->limits.body_memory_total; }, "1GiB",
          "How much all bodies together may hold in memory before they have their turn; the rest goes to "
          "files."),
      key(
          "limits.spool_total", kAny, [](Place p) -> auto& { return p.config->limits.spool_total; }, "10GiB",
          "How much all bodies together may hold in files (in `TMPDIR`, or else /tmp); one more is refused "
          "with queue_full (429)."),
      key(
          "limits.min_upload_rate", kAny, [](Place p) -> auto& { return p.config->limits.min_upload_rate; },
          "64KiB",
          "How much of its body a client must send in a second, over five seconds, once its request has its "
          "turn; a slower one loses the turn with request_timeout (408). 0 means no bound."),
      falls_back(
          "a quarter of the memory that is available then",
          key(
              "limits.prefetch_memory", kAny,
              [](Place p) -> auto& { return p.config->limits.prefetch_memory; }, "8GiB",
              "How much of a consumer's weights is read into the page cache ahead of its load; 0 reads "
              "nothing ahead.")),
      key(
          "limits.wait_limit", kAtLeastMillisecond,
          [](Place p) -> auto& { return p.config->limits.wait_limit; }, "2m",
          "How long a ticket may wait that names no limit itself; after that it ends with wait_limit (504)."),
      key(
          "limits.room_limit", kAny, [](Place p) -> auto& { return p.config->limits.room_limit; }, "1m",
          "How long foreign or pinned memory may be in the way of the next ticket before it is refused with "
          "no_room."),
      key(
          "limits.overtake_limit", kAny, [](Place p) -> auto& { return p.config->limits.overtake_limit; },
          "20s",
          "How long the first of a line may be overtaken (`affinity` only); 0 means the larger of 10 s and "
          "three times what the change of residents costs."),
      key(
          "limits.ageing", kAtLeastMillisecond, [](Place p) -> auto& { return p.config->limits.ageing; },
          "1m", "After waiting this long a ticket stands with the newcomers of the next priority class."),
      key(
          "limits.reading_age", Range{10 * kMillisecond, 60 * kSecond},
          [](Place p) -> auto& { return p.config->limits.reading_age; }, "2s",
          "A load starts only on a reading of the device's memory that is no older than this."),
      key(
          "limits.park_memory", kAny, [](Place p) -> auto& { return p.config->limits.park_memory; }, "16GiB",
          "Host memory that parked consumers may hold together; 0 means that no plan parks."),
      key(
          "limits.run_limit", kAtLeastMillisecond,
          [](Place p) -> auto& { return p.config->limits.run_limit; }, "10m",
          "How long one request may run at its service."),
      key(
          "limits.stall_limit", kAtLeastMillisecond,
          [](Place p) -> auto& { return p.config->limits.stall_limit; }, "1m",
          "How long a client may neither send the next part of its body nor take the next part of its "
          "answer; after that its connection is closed. Waiting for a turn does not count."),
      key(
          "limits.lease_ttl", kAtLeastMillisecond,
          [](Place p) -> auto& { return p.config->limits.lease_ttl; }, "5m",
          "How long a lease lives without a heartbeat if it names no time itself and is bound to no "
          "connection."),
      key(
          "limits.drain_limit", kAny, [](Place p) -> auto& { return p.config->limits.drain_limit; }, "5s",
          "How long running work may go on after SIGTERM."),
      key(
          "limits.events", kCount, [](Place p) -> auto& { return p.config->limits.events; }, "50000",
          "Events kept for `/v1/events`."),
      key(
          "limits.events_memory", Range{64 * 1024},
          [](Place p) -> auto& { return p.config->limits.events_memory; }, "16MiB",
          "Memory that the kept events may take; the oldest go first."),
      key(
          "limits.event_subscribers", kCount,
          [](Place p) -> auto& { return p.config->limits.event_subscribers; }, "16",
          "Who may follow `/v1/events` at once; the next is refused with queue_full (429). Who falls behind "
          "the kept events is sent away."),
      key(
          "limits.log_lines", kCount, [](Place p) -> auto& { return p.config->limits.log_lines; }, "1000",
          "Last lines kept of each process' output."),
      key(
          "limits.history_rows", kRows, [](Place p) -> auto& { return p.config->limits.history_rows; },
          "500000", "Finished jobs kept in the store; the oldest go first."),
  };
}

std::vector<Key> device_keys() {
  return {
      required(key(
          "devices[].id", kAny, [](Place p) -> auto& { return p.device->id; }, "gpu0",
          "How everybody names the device.")),
      falls_back("the driver's order",
                 key(
                     "devices[].index", kAny, [](Place p) -> auto& { return p.device->index; }, "1",
                     "Chooses the device by the driver's index.")),
      falls_back("the driver's order",
                 unless_empty(key(
                     "devices[].uuid", kAny, [](Place p) -> auto& { return p.device->uuid; },
                     "GPU-8f6d0e6c-1a2b-4c3d-9e8f-001122334455", "Chooses the device by its UUID."))),
      key(
          "devices[].capacity", Range{1, 64}, [](Place p) -> auto& { return p.device->capacity; }, "2",
          "Consumers that may have a turn on it at once; 1 means one after the other."),
      key(
          "devices[].reserve", kAny, [](Place p) -> auto& { return p.device->reserve; }, "1GiB",
          "Memory that is never handed out: room for the desktop, CUDA contexts and fragmentation."),
  };
}

std::vector<Key> consumer_keys() {
  return {
      key(
          "consumers.*.kind", kAny, [](Place p) -> auto& { return p.consumer->kind; }, "llm",
          "What sort of work it does; used for display and for choosing among consumers."),
      falls_back("the first device",
                 unless_empty(key(
                     "consumers.*.device", kAny, [](Place p) -> auto& { return p.consumer->device; }, "gpu1",
                     "The id of the device it is bound to."))),
      key(
          "consumers.*.devices", kAny, [](Place p) -> auto& { return p.consumer->devices; }, "[gpu0, gpu1]",
          "Instead of `device`: the ids of the devices that it may be placed on while it holds nothing; the "
          "first is preferred. A process that we start sees that one alone (`CUDA_VISIBLE_DEVICES`, unless "
          "its "
          "`env` sets it)."),
      falls_back(
          "it is on one device at a time",
          key(
              "consumers.*.split", Range{1, 1'000'000}, [](Place p) -> auto& { return p.consumer->split; },
              "[1, 1]",
              "It needs all its `devices` at once, since its AI model is cut over them (as with "
              "`--tensor-parallel-size` or `--tensor-split`): what part of its memory each of them holds, "
              "in their order. It gets a turn and room on all of them, or waits with none.")),
      key(
          "consumers.*.aliases", kAny, [](Place p) -> auto& { return p.consumer->aliases; }, "[gpt-4o-mini]",
          "Further names under which requests may ask for it as their `model`."),
      falls_back("what the command names (-m, --model, --models-dir, ...), or where the service keeps them",
                 key(
                     "consumers.*.weights", kAny, [](Place p) -> auto& { return p.consumer->weights; },
                     "[/models/qwen3-8b-q4_k_m.gguf]",
                     "The files (GGUF, safetensors, or a folder of them) that it loads: its footprint is "
                     "estimated from them where none is declared. Of a service with several AI models, "
                     "the folder that they lie in.")),
      key(
          "consumers.*.footprint", kAny, [](Place p) -> auto& { return p.consumer->footprint; }, "14GiB",
          "Device memory that it holds once loaded."),
      key(
          "consumers.*.footprint_is", kAny, [](Place p) -> auto& { return p.consumer->footprint_is; },
          "at_least",
          "What `footprint` means once it was seen loaded: a first `guess`, a floor (`at_least`) or a "
          "ceiling (`at_most`)."),
      key(
          "consumers.*.working", kAny, [](Place p) -> auto& { return p.consumer->working; }, "1GiB",
          "Device memory that one running job adds."),
      key(
          "consumers.*.residue", kAny, [](Place p) -> auto& { return p.consumer->residue; }, "300MiB",
          "Device memory that its living process keeps after it unloaded (a CUDA context)."),
      key(
          "consumers.*.priority", kAny, [](Place p) -> auto& { return p.consumer->priority; }, "interactive",
          "The class of requests that name none themselves; a more urgent class goes first, and waiting "
          "raises (`limits.ageing`)."),
      key(
          "consumers.*.weight", Range{1, 1000}, [](Place p) -> auto& { return p.consumer->weight; }, "3",
          "A second that its requests wait counts as this many against those of others."),
      key(
          "consumers.*.max_queue", Range{0, 1'000'000},
          [](Place p) -> auto& { return p.consumer->max_queue; }, "20",
          "Its requests that may wait at once; the next is refused with queue_full (429). 0 means only "
          "`limits.max_queue`."),
      key(
          "consumers.*.max_turn", kAny, [](Place p) -> auto& { return p.consumer->max_turn; }, "2m",
          "After a turn this long its next request queues like everybody's; 0 means no bound."),
      key(
          "consumers.*.reserved", kAny, [](Place p) -> auto& { return p.consumer->reserved; }, "true",
          "It is the last to be evicted, and comes back as soon as there is room."),
      key(
          "consumers.*.followed_by", kAny, [](Place p) -> auto& { return p.consumer->followed_by; }, "[tts]",
          "Consumers that usually come next: one is loaded ahead if it fits, and spared."),
      key(
          "consumers.*.concurrency", Range{1, 4096}, [](Place p) -> auto& { return p.consumer->concurrency; },
          "4", "Jobs that it may run at once within its turn; more than 1 where the service batches."),
      key(
          "consumers.*.exclusive", kAny, [](Place p) -> auto& { return p.consumer->exclusive; }, "true",
          "Nobody else has a turn on the device while it has one, whatever the capacity."),
      key(
          "consumers.*.turnless", kAny, [](Place p) -> auto& { return p.consumer->turnless; }, "true",
          "It is tiny: it needs memory, but no turn."),
      key(
          "consumers.*.pinned", kAny, [](Place p) -> auto& { return p.consumer->pinned; }, "true",
          "It is never evicted to make room."),
      key(
          "consumers.*.uninvited", kAny, [](Place p) -> auto& { return p.consumer->uninvited; }, "leave",
          "What becomes of an AI model that its external service loaded for somebody who did not ask here: "
          "`leave` unloads it as soon as it is idle."),
      key(
          "consumers.*.idle_unload", kAny, [](Place p) -> auto& { return p.consumer->idle_unload; }, "15m",
          "Evict it after this long without work; 0 means never."),
      key(
          "consumers.*.load_limit", kAtLeastMillisecond,
          [](Place p) -> auto& { return p.consumer->load_limit; }, "5m",
          "A load that takes longer has failed."),
      key(
          "consumers.*.stop_limit", kAtLeastMillisecond,
          [](Place p) -> auto& { return p.consumer->stop_limit; }, "30s",
          "For each step of an eviction: time to answer, and then to show the memory free."),
  };
}

std::vector<Key> service_keys() {
  return {
      falls_back(
          "none; generic where there is a url",
          key(
              "consumers.*.service", kAny, [](Place p) -> auto& { return p.consumer->service.type; },
              "llama-server",
              "How its server is spoken to; a consumer with neither service nor runner only takes leases.")),
      falls_back("http://127.0.0.1:${PORT} where the command has ${PORT}",
                 unless_empty(key(
                     "consumers.*.url", kAny, [](Place p) -> auto& { return p.consumer->service.url; },
                     "http://127.0.0.1:9001",
                     "Where its server listens; ${PORT} is the port chosen for its process."))),
  };
}

// What only consumers with a service have.
std::vector<Key> service_detail_keys() {
  std::vector<Key> rows{
      key(
          "consumers.*.ai_models", kAny, [](Place p) -> auto& { return p.consumer->ai_models; },
          "{\"llama3.2:3b\": 4GiB}",
          "AI models that its service offers, each with a footprint of its own (0 or a plain list: the "
          "consumer's)."),
      falls_back("the service's own; /health for generic",
                 unless_empty(key_as<Path>(
                     "consumers.*.health", kAny, [](Place p) -> auto& { return p.consumer->service.health; },
                     "/healthz", "The path that answers 200 (generic: `health_status`) once it is ready."))),
      key(
          "consumers.*.health_status", Range{100, 599},
          [](Place p) -> auto& { return p.consumer->service.health_status; }, "204",
          "The HTTP status that means ready (generic only)."),
      key(
          "consumers.*.load", kAny, [](Place p) -> auto& { return p.consumer->service.load; }, "POST /load",
          "The request that loads it (generic only)."),
      key(
          "consumers.*.unload", kAny, [](Place p) -> auto& { return p.consumer->service.unload; },
          R"({request: POST /free, body: '{"unload_models": true}'})",
          "The request that unloads it (generic only)."),
      key(
          "consumers.*.resume", kAny, [](Place p) -> auto& { return p.consumer->service.resume; },
          "POST /wake", "The request that brings it back from host memory (generic only)."),
      key(
          "consumers.*.router", kAny, [](Place p) -> auto& { return p.consumer->service.router; }, "true",
          "llama-server runs in router mode and loads and unloads its AI models on request."),
      falls_back("the one that it holds at start",
                 unless_empty(key(
                     "consumers.*.ai_model", kAny,
                     [](Place p) -> auto& { return p.consumer->service.ai_model; }, "gemma-3-12b-exl3",
                     "What to load, for services that hold one of many AI models at a time (" +
                         services_that_take("ai_model") + "); without it they are never asked to unload."))),
      key(
          "consumers.*.sleep_level", Range{1, 2},
          [](Place p) -> auto& { return p.consumer->service.sleep_level; }, "1",
          "How deep vLLM sleeps when it unloads: 1 keeps the weights in host memory, 2 drops them. Parking "
          "is "
          "always level 1."),
      falls_back("all of it",
                 key(
                     "consumers.*.memory_tags", kAny,
                     [](Place p) -> auto& { return p.consumer->service.memory_tags; }, "[kv_cache]",
                     "What SGLang releases: any of weights, kv_cache, cuda_graph.")),
      falls_back("none",
                 unless_empty(key(
                     "consumers.*.api_key_env", kAny,
                     [](Place p) -> auto& { return p.consumer->service.api_key_env; }, "TABBY_ADMIN_KEY",
                     "The environment variable that holds the key (or user:password) which its control "
                     "requests want."))),
      falls_back("none", unless_empty(key(
                             "consumers.*.api_key_file", kAny,
                             [](Place p) -> auto& { return p.consumer->service.api_key_file; },
                             "/etc/mgpu/tabby.key", "A file whose first line is that key."))),
      key(
          "consumers.*.free_paths", kAny, [](Place p) -> auto& { return p.consumer->service.free_paths; },
          "[/ws, /history/*]",
          "Paths that need no turn; a * at the end matches the rest. Unless named here, those that belong to "
          "the service, where it has such."),
  };
  for (Key& row : rows) row = only_where_taken(std::move(row));
  const auto before_resume = std::ranges::find(rows, "consumers.*.resume", &Key::path);
  rows.insert(before_resume, park_key());  // which has a meaning without a service, too
  return rows;
}

std::vector<Key> busy_keys() {
  return {
      required(only_if(has_busy,
                       key_as<Path>(
                           "consumers.*.busy.path", kAny, [](Place p) -> auto& { return busy(p).path; },
                           "/prompt", "A GET that tells whether the GPU is still at work after an answer."))),
      required(only_if(
          has_busy, key(
                        "consumers.*.busy.pointer", kAny, [](Place p) -> auto& { return busy(p).pointer; },
                        "/exec_info/queue_remaining", "JSON pointer to the telling value in the answer."))),
      required(
          only_if(has_busy, key(
                                "consumers.*.busy.idle", kAny, [](Place p) -> auto& { return busy(p).idle; },
                                "\"0\"", "The value, as text, that means idle."))),
  };
}

std::vector<Key> runner_keys() {
  return {
      runner_key(),
      required(only_if(has_process, key_as<Command>(
                                        "consumers.*.runner.process.command", kAny,
                                        [](Place p) -> auto& { return process(p).command; },
                                        "[llama-server, -m, model.gguf, --port, \"${PORT}\"]",
                                        "The program and its arguments; for ${PORT} a free port is chosen. "
                                        "Nothing else is expanded."))),
      only_if(has_process,
              key(
                  "consumers.*.runner.process.env", kAny, [](Place p) -> auto& { return process(p).env; },
                  "{CUDA_VISIBLE_DEVICES: \"0\"}", "Environment variables added to the daemon's own.")),
      falls_back("the daemon's", only_if(has_process, unless_empty(key(
                                                          "consumers.*.runner.process.cwd", kAny,
                                                          [](Place p) -> auto& { return process(p).cwd; },
                                                          "/srv/tts", "The working directory.")))),
      falls_back("memory only", only_if(has_process, unless_empty(key(
                                                         "consumers.*.runner.process.log_file", kAny,
                                                         [](Place p) -> auto& { return process(p).log_file; },
                                                         "/var/log/mgpu/tts.log",
                                                         "A file that its output is appended to.")))),
      only_if(has_process,
              key(
                  "consumers.*.runner.process.stop_signal", kAny,
                  [](Place p) -> auto& { return process(p).stop_signal; }, "SIGINT",
                  "The signal that asks it to end; after `stop_limit` the whole group is killed.")),
  };
}

std::vector<Key> systemd_keys() {
  std::vector<Key> rows{
      required(key(
          "consumers.*.runner.systemd.unit", kAny, [](Place p) -> auto& { return systemd(p).unit; },
          "ollama.service", "The unit that is started and stopped, with its ending.")),
      key(
          "consumers.*.runner.systemd.bus", kAny, [](Place p) -> auto& { return systemd(p).bus; }, "user",
          "Whose systemd: the `system`'s (needs root, or a polkit rule for "
          "`org.freedesktop.systemd1.manage-units`), or the `user`'s own."),
  };
  for (Key& row : rows) row = only_if(has_systemd, std::move(row));
  return rows;
}

std::vector<Key> container_keys() {
  std::vector<Key> rows{
      unless_empty(key(
          "consumers.*.runner.container.name", kAny, [](Place p) -> auto& { return container(p).name; },
          "vllm", "A container that exists, by its name; without one, one is made of `image`.")),
      unless_empty(key(
          "consumers.*.runner.container.image", kAny, [](Place p) -> auto& { return container(p).image; },
          "vllm/vllm-openai:latest",
          "The image of a container that we make, named mgpu-CONSUMER; it is not pulled.")),
      unless_empty(key_as<Command>(
          "consumers.*.runner.container.command", kAny, [](Place p) -> auto& { return container(p).command; },
          "[--model, Qwen/Qwen3-8B]",
          "Arguments for the image's entry point; for ${PORT} a free port is chosen.")),
      key(
          "consumers.*.runner.container.env", kAny, [](Place p) -> auto& { return container(p).env; },
          "{HF_HUB_OFFLINE: \"1\"}", "Its environment variables."),
      key(
          "consumers.*.runner.container.ports", kAny, [](Place p) -> auto& { return container(p).ports; },
          "[\"127.0.0.1:${PORT}:8000\"]", "Ports to publish, each [ADDRESS:]HOST:CONTAINER[/udp]."),
      key(
          "consumers.*.runner.container.gpus", kAny, [](Place p) -> auto& { return container(p).gpus; },
          "[all]",
          "What it sees: `all`, or indices or UUIDs of NVIDIA devices, or names of the container device "
          "interface (nvidia.com/gpu=0)."),
      key(
          "consumers.*.runner.container.volumes", kAny, [](Place p) -> auto& { return container(p).volumes; },
          "[/srv/models:/models:ro]", "Folders of the host in it, each HOST:CONTAINER[:ro]."),
      falls_back("the engine's",
                 unless_empty(key(
                     "consumers.*.runner.container.network", kAny,
                     [](Place p) -> auto& { return container(p).network; }, "host", "Its network."))),
      falls_back("the engine's",
                 key(
                     "consumers.*.runner.container.shm_size", kAny,
                     [](Place p) -> auto& { return container(p).shm_size; }, "8GiB",
                     "Its shared memory, of which servers with several processes need more.")),
      falls_back("DOCKER_HOST, Docker's, Podman's: the first that answers",
                 unless_empty(key(
                     "consumers.*.runner.container.socket", kAny,
                     [](Place p) -> auto& { return container(p).socket; }, "/run/podman/podman.sock",
                     "The Unix socket of the container engine."))),
  };
  for (Key& row : rows) row = only_if(has_container, std::move(row));
  return rows;
}

std::vector<Key> all_keys() {
  std::vector<Key> all;
  for (auto group : {top_keys, utility_keys, gpu_keys, limits_keys, device_keys, consumer_keys, service_keys,
                     service_detail_keys, busy_keys, runner_keys, systemd_keys, container_keys})
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

std::vector<std::string> names_in(std::string_view path) {
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

std::string joined_path(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : std::string(path) + "." + std::string(name);
}

}  // namespace mgpu::config
