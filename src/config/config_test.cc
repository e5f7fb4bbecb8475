#include "config/config.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "config/document.h"
#include "config/keys.h"
#include "config/missing_files.h"
#include "config/services.h"

namespace mgpu::config {
namespace {

using Words = std::vector<std::string>;

constexpr Duration kSeconds{1'000'000};

std::vector<std::string> parse_diagnostics(const std::string& text) {
  std::vector<std::string> lines;
  for (const Diagnostic& diagnostic : parse(text, "mgpu.yaml").diagnostics)
    lines.push_back(to_string(diagnostic));
  return lines;
}

// Expects as many diagnostics as `expected`, in that order, each containing the expected text.
void expect_diagnostics(const std::string& text, const std::vector<std::string>& expected) {
  const std::vector<std::string> found = parse_diagnostics(text);
  EXPECT_EQ(found.size(), expected.size()) << text << testing::PrintToString(found);
  for (std::size_t i = 0; i < std::min(found.size(), expected.size()); ++i)
    EXPECT_NE(found[i].find(expected[i]), std::string::npos) << found[i] << "\nlacks: " << expected[i];
}

// Parses a text that must be valid; fails the test otherwise.
Config parse_valid(const std::string& text) {
  expect_diagnostics(text, {});
  return parse(text, "mgpu.yaml").config;
}

TEST(Config, ReadsTheShapeOfTheDesign) {
  const Config config = parse_valid(R"(
listen: 127.0.0.1:8090
policy: fifo
devices:
  - id: gpu0
    capacity: 1
    reserve: 1GiB
consumers:
  chat:
    kind: llm
    service: llama-server
    url: http://127.0.0.1:9001
    aliases: [gpt-4o-mini]
    footprint: 14GiB
    working: 1GiB
    concurrency: 2
    health: /health
    load_limit: 90s
    stop_limit: 5s
    idle_unload: 15m
    runner:
      process:
        command: [llama-server, -m, model.gguf, --port, "9001"]
        env: {LANG: C}
)");
  ASSERT_EQ(config.devices.size(), 1u);
  EXPECT_EQ(config.devices[0].reserve, kGiB);
  ASSERT_EQ(config.consumers.size(), 1u);
  const ConsumerConfig& chat = config.consumers[0];
  EXPECT_EQ(chat.name, "chat");
  EXPECT_EQ(chat.kind, ConsumerKind::llm);
  EXPECT_EQ(chat.service.type, ServiceType::llama_server);
  EXPECT_EQ(chat.footprint, kGiB * 14);
  EXPECT_EQ(chat.concurrency, 2u);
  EXPECT_EQ(chat.load_limit, kSeconds * 90);
  EXPECT_EQ(chat.idle_unload, kSeconds * 900);
  ASSERT_TRUE(chat.process);
  EXPECT_EQ(chat.process->command, (Words{"llama-server", "-m", "model.gguf", "--port", "9001"}));
  EXPECT_EQ(chat.process->env.at("LANG"), "C");
}

TEST(Config, AnEmptyFileIsTheDefaults) {
  EXPECT_EQ(to_yaml(parse_valid("")), to_yaml(Config{}));
  EXPECT_EQ(to_yaml(parse_valid("consumers:\ndevices:\n")), to_yaml(Config{}));
}

TEST(Config, AConsumerWithoutServiceAndRunnerOnlyTakesLeases) {
  const Config config = parse_valid("consumers: {train: {footprint: 6GiB}, bare: }");
  EXPECT_EQ(config.consumers[0].service.type, ServiceType::none);
  EXPECT_FALSE(config.consumers[0].process);
  EXPECT_EQ(config.consumers[1].name, "bare");
}

TEST(Config, AUrlAloneMeansAGenericService) {
  EXPECT_EQ(parse_valid("consumers: {tts: {url: 'http://localhost:5002'}}").consumers[0].service.type,
            ServiceType::generic);
}

TEST(Config, TurnForNamesMethodsPathsOrBoth) {
  const auto text = [](const std::string& entries) {
    return "consumers: {o: {url: 'http://localhost:1', turn_for: [" + entries + "]}}";
  };
  EXPECT_EQ(parse_valid(text("POST, /render*, GET /tts/*")).consumers[0].service.turn_for,
            (Words{"POST", "/render*", "GET /tts/*"}));
  for (const std::string wrong : {"''", "render", "GET render", "POST PUT /x", "'/a b'"})
    expect_diagnostics(text(wrong), {"turn_for"});
}

TEST(Config, AProcessWithAFreePortGetsItsUrl) {
  const Config config =
      parse_valid("consumers: {tts: {runner: {process: {command: 'tts --listen \"${PORT}\"'}}}}");
  EXPECT_EQ(config.consumers[0].service.type, ServiceType::generic);
  EXPECT_EQ(config.consumers[0].service.url, "http://127.0.0.1:${PORT}");
  EXPECT_EQ(config.consumers[0].process->command, (Words{"tts", "--listen", "${PORT}"}));
}

TEST(Config, PortZeroInACommandIsAFreePort) {
  const auto command = [](const std::string& text) {
    return parse_valid("consumers: {tts: {runner: {process: {command: " + text + "}}}}")
        .consumers[0]
        .process->command;
  };
  EXPECT_EQ(command("tts --port 0"), (Words{"tts", "--port", "${PORT}"}));
  EXPECT_EQ(command("tts --port=0"), (Words{"tts", "--port=${PORT}"}));
  EXPECT_EQ(command("tts --gpu-layers 0"), (Words{"tts", "--gpu-layers", "0"}));
}

TEST(Config, RequestsAreALineOrALineWithABody) {
  const Config config = parse_valid(R"(
consumers:
  comfy:
    url: http://127.0.0.1:8188
    load: POST /load
    unload: {request: POST /free, body: '{"unload_models": true}'}
    busy: {path: /prompt, pointer: /exec_info/queue_remaining, idle: 0}
    free_paths: [/ws, /history/*]
)");
  const ServiceConfig& service = config.consumers[0].service;
  EXPECT_EQ(service.load->path, "/load");
  EXPECT_EQ(service.load->body, "");
  EXPECT_EQ(service.unload->method, "POST");
  EXPECT_EQ(service.unload->body, R"({"unload_models": true})");
  EXPECT_EQ(service.busy->idle, "0");
  EXPECT_EQ(service.free_paths, (Words{"/ws", "/history/*"}));
}

TEST(Config, AiModelsAreNamesWithOrWithoutFootprints) {
  const Config config = parse_valid(R"(
consumers:
  a: {service: ollama, url: "http://127.0.0.1:11434", ai_models: {"llama3.2:3b": 4GiB, "qwen3:8b": 7GiB}}
  b: {service: ollama, url: "http://127.0.0.1:11435", ai_models: [phi4]}
)");
  EXPECT_EQ(config.consumers[0].ai_models.at("qwen3:8b"), kGiB * 7);
  EXPECT_EQ(config.consumers[1].ai_models.at("phi4"), Bytes{});
}

TEST(Config, AnUnknownKeyIsReportedWithPositionAndNearestName) {
  expect_diagnostics("consumers:\n  chat:\n    footprnt: 14GiB\n",
                     {"mgpu.yaml:3:5: consumers.chat.footprnt: unknown key, did you mean \"footprint\"?"});
}

TEST(Config, AMisplacedKeyIsReportedWithItsRightPlace) {
  expect_diagnostics("consumers: {chat: {command: [x]}}",
                     {"unknown key; \"command\" belongs in consumers.*.runner.process"});
  expect_diagnostics("limits.max_queue: 3", {"limits.max_queue: unknown key"});
}

TEST(Config, AllErrorsAreReportedInTheOrderOfTheFile) {
  expect_diagnostics(R"(listen: here
policy: afinity
limits:
  max_queue: 0
  wait_limit: 60
consumers:
  chat:
    kind: lmm
    footprint: 14 apples
    concurrency: 0
    pinned: maybe
)",
                     {":1:9: listen: \"here\" is not an address",
                      ":2:9: policy: \"afinity\" is not one of fifo, affinity, did you mean \"affinity\"?",

                      ":4:14: limits.max_queue: 0 is out of range: 1 to 1000000",
                      ":5:15: limits.wait_limit: \"60\" is not a duration",
                      ":8:11: consumers.chat.kind: \"lmm\" is not one of llm,",
                      ":9:16: consumers.chat.footprint: \"14 apples\" is not an amount of memory",
                      ":10:18: consumers.chat.concurrency: 0 is out of range: 1 to 4096",
                      ":11:13: consumers.chat.pinned: expected true or false"});
}

TEST(Config, DuplicatesAreRejected) {
  expect_diagnostics("listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", {"mgpu.yaml:2:1: listen: is there twice"});
  expect_diagnostics("consumers:\n  a: {}\n  a: {}\n", {"mgpu.yaml:3:3: consumers.a: is there twice"});
  expect_diagnostics("devices: [{id: gpu0}, {id: gpu0}]", {"two devices have the id \"gpu0\""});
}

TEST(Config, ANameSelectsOneConsumer) {
  expect_diagnostics(R"(
consumers:
  a: {aliases: [b, gpt-4o]}
  b: {service: ollama, url: "http://h:1", ai_models: [phi4, gpt-4o]}
  c: {service: ollama, url: "http://h:2", ai_models: [phi4]}
)",
                     {":4:3: consumers.b: \"b\" already selects consumer \"a\"",
                      "consumers.b.ai_models: \"gpt-4o\" already selects consumer \"a\"",
                      "consumers.c.ai_models: \"phi4\" already selects consumer \"b\""});
}

TEST(Config, AUnitAContainerOrAnAddressBelongsToOneConsumer) {
  expect_diagnostics(
      R"(
consumers:
  a: {runner: {systemd: {unit: chat.service}}}
  b: {runner: {systemd: {unit: chat.service}}}
  c: {runner: {systemd: {unit: chat.service, bus: user}}}
)",
      {":4:32: consumers.b.runner.systemd.unit: unit chat.service already belongs to consumer \"a\""});
  expect_diagnostics(R"(
consumers:
  a: {runner: {container: {image: vllm}}}
  b: {runner: {container: {name: mgpu-a}}}
  c: {runner: {container: {name: mgpu-a, socket: /run/other.sock}}}
  d: {runner: {container: {image: vllm}}}
)",
                     {"consumers.b.runner.container: container mgpu-a already belongs to consumer \"a\""});
  expect_diagnostics(R"(
consumers:
  a: {url: "http://127.0.0.1:9001/v1", runner: {process: {command: [a]}}}
  b: {url: "http://LOCALHOST:9001", runner: {systemd: {unit: b.service}}}
  c: {url: "http://127.0.0.1:9001"}
  d: {url: "http://127.0.0.1:9002", runner: {process: {command: [d]}}}
  e: {runner: {process: {command: [e, --port, 0]}}}
  f: {runner: {process: {command: [f, --port, 0]}}}
)",
                     {"consumers.b.url: address 127.0.0.1:9001 already belongs to consumer \"a\""});
}

TEST(Config, ADeviceMustBeThere) {
  expect_diagnostics(
      "devices: [{id: gpu0}]\nconsumers: {a: {device: gpu1}}",
      {"mgpu.yaml:2:25: consumers.a.device: there is no device \"gpu1\", did you mean \"gpu0\"?"});
  expect_diagnostics("devices: [{capacity: 2}]", {"devices[0].id: is missing"});
  parse_valid("consumers: {a: {device: gpu1}}");  // without a list, the driver's devices are not known here
}

TEST(Config, ReadsTheKeysOfTheLinesOrder) {
  const Config config = parse_valid(R"(
policy: affinity
load_ahead: false
users: key
limits: {overtake_limit: 20s, ageing: 1m, reading_age: 2s, park_memory: 16GiB}
devices: [{id: gpu0}, {id: gpu1}]
consumers:
  stt:
    priority: realtime
    weight: 3
    max_queue: 20
    max_turn: 2m
    reserved: true
    followed_by: [chat, tts]
    devices: [gpu1, gpu0]
    footprint_is: at_most
  chat:
  tts:
)");
  EXPECT_EQ(config.policy, "affinity");
  EXPECT_FALSE(config.load_ahead);
  EXPECT_EQ(config.users, UserSource::key);
  EXPECT_EQ(config.limits.overtake_limit, kSeconds * 20);
  EXPECT_EQ(config.limits.ageing, kSeconds * 60);
  EXPECT_EQ(config.limits.reading_age, kSeconds * 2);
  EXPECT_EQ(config.limits.park_memory, kGiB * 16);
  const ConsumerConfig& stt = config.consumers[0];
  EXPECT_EQ(stt.priority, Priority::realtime);
  EXPECT_EQ(stt.weight, 3u);
  EXPECT_EQ(stt.max_queue, 20u);
  EXPECT_EQ(stt.max_turn, kSeconds * 120);
  EXPECT_TRUE(stt.reserved);
  EXPECT_EQ(stt.followed_by, (Words{"chat", "tts"}));
  EXPECT_EQ(stt.devices, (Words{"gpu1", "gpu0"}));
  EXPECT_EQ(stt.footprint_is, FootprintDeclaration::at_most);
}

TEST(Config, ChecksTheKeysOfTheLinesOrder) {
  expect_diagnostics(R"(users: name
consumers:
  a:
    priority: urgent
    weight: 0
    footprint_is: at_lest
)",
                     {":1:8: users: \"name\" is not one of header_or_key, header, key, none",
                      ":4:15: consumers.a.priority: \"urgent\" is not one of realtime, interactive,",
                      ":5:13: consumers.a.weight: 0 is out of range: 1 to 1000",
                      ":6:19: consumers.a.footprint_is: \"at_lest\" is not one of guess, at_least, at_most, "
                      "did you mean \"at_least\"?"});
}

TEST(Config, AmountsAndDurationsHaveRanges) {
  expect_diagnostics("consumers: {a: {load_limit: 99999999h}}",
                     {"\"99999999h\" is out of range: a duration is at most 366d"});
  expect_diagnostics("consumers: {a: {footprint: 99999999TiB}}",
                     {"\"99999999TiB\" is out of range: memory is at most 1024TiB"});
  for (const char* text :
       {"limits: {wait_limit: 367d}", "limits: {park_memory: 1025TiB}", "gpu: {sample_idle: 99999999h}",
        "limits: {events: 4294967295}", "limits: {max_queue: 4294967295}",
        "devices: [{id: a, reserve: 1e30}]",
        "consumers: {a: {ai_models: {b: 99999999TiB}, service: ollama, url: 'http://localhost:1'}}",
        "consumers: {a: {concurrency: 99999}}", "consumers: {a: {stop_limit: .inf}}"})
    EXPECT_EQ(parse_diagnostics(text).size(), 1U) << text;
}

TEST(Config, AFollowerIsAnotherExistingConsumer) {
  expect_diagnostics(
      R"(consumers:
  stt:
    followed_by: [stt]
  chat:
    followed_by: [ttss]
  tts:
)",
      {":3:18: consumers.stt.followed_by: a consumer can't follow itself",
       ":5:18: consumers.chat.followed_by: there is no consumer \"ttss\", did you mean \"tts\"?"});
}

TEST(Config, AConsumerHasOneDeviceOrAListOfThem) {
  expect_diagnostics("devices: [{id: gpu0}, {id: gpu1}]\nconsumers: {a: {device: gpu0, devices: [gpu1]}}",
                     {":2:40: consumers.a.devices: the consumer has device and devices"});
  expect_diagnostics("devices: [{id: gpu0}]\nconsumers: {a: {devices: [gpu0, gpu1]}}",
                     {"consumers.a.devices: there is no device \"gpu1\", did you mean \"gpu0\"?"});
  expect_diagnostics("consumers: {a: {devices: [gpu0, gpu0]}}",
                     {"consumers.a.devices: \"gpu0\" is there twice"});
}

TEST(Config, AConsumerIsSplitOverTwoDevicesAtLeastWithAPartOnEach) {
  for (const char* text :
       {"{devices: [gpu0, gpu1], split: [1]}", "{devices: [gpu0], split: [1]}", "{split: [1, 1]}"})
    expect_diagnostics(std::string("consumers: {a: ") + text + "}", {"it needs one number for each device"});
  expect_diagnostics("consumers: {a: {devices: [gpu0, gpu1], split: [1, 0]}}", {"consumers.a.split"});
  EXPECT_TRUE(parse_diagnostics("consumers: {a: {devices: [gpu0, gpu1], split: [3, 1]}}").empty());
}

TEST(Config, AServiceNeedsAUsableUrl) {
  expect_diagnostics("consumers: {a: {service: generic}}", {"consumers.a.url: is missing"});
  for (const char* url : {"ftp://h", "127.0.0.1:9001", "http://", "http://h:0", "http://h:99999",
                          "http://h:x", "http://h:1?x", "http://u@h:1", "http://[::1]x"})
    expect_diagnostics("consumers: {a: {url: '" + std::string(url) + "'}}",
                       {"consumers.a.url: \"" + std::string(url) + "\" is not a URL"});
  for (const char* url : {"http://h", "http://h:1", "http://[::1]:8080", "http://h:1/base/"})
    parse_valid("consumers: {a: {url: '" + std::string(url) + "'}}");
  expect_diagnostics("consumers: {a: {url: 'https://h'}}", {"https is not supported"});
  expect_diagnostics("consumers: {a: {url: 'http://h:${PORT}'}}", {"${PORT} is undefined"});
}

TEST(Config, KeysWithoutEffectAreRejected) {
  expect_diagnostics("consumers: {a: {health: /up}}", {"no effect without a service"});
  expect_diagnostics("consumers: {a: {service: ollama, url: 'http://h:1', unload: POST /x, router: true}}",
                     {"a.unload: is for service generic", "a.router: is for service llama-server"});
  expect_diagnostics("consumers: {a: {exclusive: true, turnless: true}}", {"exclusive"});
  expect_diagnostics("consumers: {a: {service: ollama, url: 'http://h:1', api_key_env: A, api_key_file: /b}}",
                     {"a.api_key_file: the consumer has api_key_env and api_key_file"});
}

TEST(Config, KeysAreAcceptedForServicesThatSupportThem) {
  parse_valid("consumers: {a: {service: vllm, url: 'http://h:1', sleep_level: 1}}");
  expect_diagnostics(
      "consumers: {a: {service: tei, url: 'http://h:1', sleep_level: 1, ai_model: x}}",
      {"a.sleep_level: is for service vllm, not for tei", "a.ai_model: is for service tabbyapi"});
  expect_diagnostics("consumers: {a: {service: sglang, url: 'http://h:1', memory_tags: [kv]}}",
                     {"\"kv\" is not one of weights, kv_cache, cuda_graph"});
  parse_valid("consumers: {a: {service: wyoming, url: 'tcp://h:10300'}}");
  expect_diagnostics("consumers: {a: {service: wyoming, url: 'http://h:1', health: /up}}",
                     {"write tcp://127.0.0.1:9001", "a.health: has no effect for wyoming"});
}

TEST(Config, AServiceTypeHasDefaults) {
  const Config config =
      parse_valid("consumers: {a: {service: ollama, url: 'http://h:1'}, b: {url: 'http://h:2'}}");
  EXPECT_EQ(config.consumers[0].service.health, "/api/version");
  EXPECT_EQ(config.consumers[1].service.health, "/health");
  EXPECT_EQ(to_yaml(parse_valid(to_yaml(config))), to_yaml(config));
  EXPECT_EQ(to_yaml(config).find("router"), std::string::npos) << "neither service supports the key";
}

TEST(Config, ParkIsARequestOrCudaCheckpoint) {
  const Config config = parse_valid(R"(
consumers:
  sleeps: {url: "http://127.0.0.1:1", park: POST /sleep, resume: POST /wake}
  chat: {service: llama-server, url: "http://127.0.0.1:2", park: cuda-checkpoint}
  batch: {park: cuda-checkpoint, runner: {process: {command: [train]}}}
)");
  EXPECT_EQ(config.consumers[0].service.park->path, "/sleep");
  EXPECT_EQ(config.consumers[0].park_method, ParkMethod::service);
  EXPECT_EQ(config.consumers[1].park_method, ParkMethod::cuda_checkpoint);
  EXPECT_EQ(config.consumers[2].park_method, ParkMethod::cuda_checkpoint);
  expect_diagnostics("consumers: {leases: {park: cuda-checkpoint}}", {"no process to park"});
}

TEST(Config, ProcessesAreChecked) {
  expect_diagnostics("consumers: {a: {runner: {process: {command: [x], stop_signal: SIGTREM}}}}",
                     {"unknown signal \"SIGTREM\", did you mean \"SIGTERM\"?"});
  expect_diagnostics("consumers: {a: {runner: {process: {cwd: /}}}}", {"runner.process.command: is missing"});
  expect_diagnostics("consumers: {a: {runner: {process: {command: 'say \"x'}}}}", {"never closed"});
  expect_diagnostics("consumers: {a: {runner: {process: {command: []}}}}", {"is empty"});
  expect_diagnostics("consumers: {a: {runner: docker}}", {"expected external"});
  expect_diagnostics("consumers: {a: {runner: {launchd: {}}}}", {"unknown key"});
  expect_diagnostics("consumers: {a: {runner: {systemd: {}}}}", {"runner.systemd.unit: is missing"});
  expect_diagnostics("consumers: {a: {runner: {systemd: {unit: ollama}}}}",
                     {"has no suffix: write ollama.service"});
  parse_valid("consumers: {a: {runner: external}}");
}

TEST(Files, MissingFilesAreReported) {
  const auto missing_keys = [](const ProcessConfig& process) {
    Words keys;
    for (const MissingFile& missing : missing_files(process)) keys.push_back(missing.key);
    return keys;
  };
  EXPECT_EQ(missing_keys({.command = {"sh"}, .cwd = "/", .log_file = "/tmp/x.log"}), Words{});
  EXPECT_EQ(missing_keys({.command = {"bin/sh"}, .cwd = "/"}), Words{});
  EXPECT_EQ(missing_keys({.command = {"bin/sh"}, .cwd = "/tmp"}), Words{"command"});
  EXPECT_EQ(missing_keys({.command = {"sh"}, .env = {{"PATH", "/nowhere"}}}), Words{"command"});
  EXPECT_EQ(missing_keys({.command = {"/etc/passwd"}, .log_file = "/nowhere/x.log"}),
            (Words{"command", "log_file"}));
  EXPECT_EQ(missing_keys({.command = {"sh"}, .log_file = "/tmp"}), Words{"log_file"}) << "a folder";
  EXPECT_EQ(missing_key_file({.api_key_file = "/nowhere/x.key"}), "there is no file \"/nowhere/x.key\"");
  EXPECT_EQ(missing_key_file({.api_key_file = "/etc/passwd"}), "");
  EXPECT_EQ(missing_keys({.command = {"x"}, .cwd = "/nowhere"}), Words{"cwd"})
      << "the command is not looked up without its working directory";
}

TEST(Config, ContainersAreChecked) {
  const auto container_yaml = [](const std::string& text) {
    return "consumers: {a: {runner: {container: " + text + "}}}";
  };
  const std::string name_or_image_error =
      "needs name (an existing container) or image (to create a container from), and not both";
  expect_diagnostics(container_yaml("{}"), {name_or_image_error});
  expect_diagnostics(container_yaml("{name: x, image: y}"), {name_or_image_error});
  expect_diagnostics(container_yaml("{name: x, gpus: [all]}"),
                     {"container.gpus: applies only to a container created from image"});
  expect_diagnostics(container_yaml("{name: 'x/y'}"), {"is not a valid container name"});
  expect_diagnostics(container_yaml("{name: x, socket: here}"),
                     {"container.socket: \"here\" is not an absolute path"});
  expect_diagnostics(container_yaml("{image: x, ports: ['x:80']}"), {"\"x:80\" is not a port mapping"});
  expect_diagnostics("consumers: {a: {runner: {container: {name: x}, process: {command: [x]}}}}",
                     {"has process and container: a consumer has only one runner"});
  for (const char* port : {"80", "80:8000", "127.0.0.1:${PORT}:8000/udp", "[::1]:1:2"})
    parse_valid(container_yaml("{image: x, ports: ['" + std::string(port) + "']}"));
  const Config config = parse_valid(container_yaml("{image: x, ports: ['${PORT}:8000']}"));
  EXPECT_EQ(config.consumers[0].service.url, "http://127.0.0.1:${PORT}");
}

TEST(Config, AListedValueThatIsWrittenOtherwiseIsAnError) {
  for (const auto& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {"consumers: {a: {aliases: x}}", "expected a list of texts, found \"x\": write [x]"},
           {"consumers: {a: {aliases: [x, x]}}", "\"x\" is there twice"},
           {"consumers: {a: {aliases: ['']}}", "is empty: leave it out"},
           {"consumers: {a: {aliases: [~]}}", "expected a text, found nothing"},
           {"consumers: {a: {aliases: [{x: y}]}}",
            "found a mapping (a text that contains a colon and a blank needs quotes)"},
           {"consumers: {a: {aliases: [\"x \"]}}", "begins or ends with a blank or line break"},
           {"consumers: {a: {footprint: [4GiB]}}",
            "expected an amount of memory (14GiB), found a list (write it without [ ] or -)"},
           {"consumers: {a: {service: ollama, url: 'http://h:1', ai_models: {x: }}}",
            "\"x\" has no footprint"},
           {"consumers: {a: {footprint: }}", "has no value (for example: 14GiB)"},
           {"consumers: {a: {kind: LLM}}", "did you mean \"llm\"?"},
           {"consumers: [{name: a}]",
            "expected a mapping from the name of each consumer to its keys, found a list"},
           {"devices: [gpu0]", "expected a mapping: write {id: gpu0}"},
           {"consumers: {a: {device: \"\"}}", "is empty: leave it out"},
           {"consumers: {a: {weights: [~/m.gguf]}}", "nothing replaces ~ here, write ${env.HOME} instead"},
           {"store: $HOME/mgpu.db", "nothing replaces $NAME here, write ${env.NAME}"},
           {"store: file:///mgpu.db", "is a URL; write the path of a file"},
           {"yield_to: [/usr/bin/steam]", "is a path: write the program's file name, steam"},
           {"hosts: ['gpu.lan:8090']", "it has no scheme, port or path"},
           {"origins: ['https://chat.example/']", "without / and path"},
           {"listen: 8090", "write the host too"},
           {"gpu: {sample_busy: 10s}", "sample_busy is longer than sample_idle"},
           {"consumers: {a: {url: 'http://127.0.0.1:8090'}}", "is where mgpu itself listens"},
           {"consumers: {'..': {}}", "no URL can contain it"},
           {"consumers: {Chat: {}, chat: {}}", "differs from consumer \"Chat\" only in case"},
           {"consumers: {a: {service: tabbyapi, url: 'http://h:1', api_key_env: sk-hidden}}",
            "api_key_env: is not the name"},
           {"consumers: {a: {url: 'http://h:1', free_paths: [/a/*/b]}}", "has a * that is not at its end"},
           {"consumers: {a: {url: 'http://h:1', unload: {request: POST /x, body: '{a: 1}'}}}", "is not JSON"},
           {"consumers: {a: {url: 'http://h:1', unload: post /x}}", "is not a request"}}) {
    const std::vector<std::string> found = parse_diagnostics(text);
    ASSERT_EQ(found.size(), 1U) << text << testing::PrintToString(found);
    EXPECT_NE(found[0].find(expected), std::string::npos) << text << "\n" << found[0];
    EXPECT_EQ(found[0].find("hidden"), std::string::npos) << found[0];
  }
}

TEST(Config, EnvironmentsAreMappingsOfNamesToTexts) {
  const auto with_env = [](const std::string& env) {
    return "consumers: {a: {runner: {process: {command: [x, --port, 0], env: " + env + "}}}}";
  };
  const Config config = parse_valid(with_env("{A: 1, B: true, C: '', D: 0x10, E: yes, F: 1.10}"));
  const std::map<std::string, std::string> expected{{"A", "1"},    {"B", "true"}, {"C", ""},
                                                    {"D", "0x10"}, {"E", "yes"},  {"F", "1.10"}};
  EXPECT_EQ(config.consumers[0].process->env, expected) << "texts stay as they are written";
  for (const auto& [env, message] : std::vector<std::pair<std::string, std::string>>{
           {"[A=1]", "(NAME: text, not NAME=text)"},
           {"{'A=B': 1}", "\"A=B\" is not the name of an environment variable"},
           {"{'': 1}", "is empty"},
           {"{A: }", "\"A\" has no value: write \"\""},
           {"{A: [1]}", "expected a text, found a list"},
           {"{A: 1, A: 2}", "\"A\" is there twice"},
           {"{PORT: 8000}", "PORT is set to the chosen port"}})
    expect_diagnostics(with_env(env), {message});
  expect_diagnostics(with_env("{'A B': 1, C: , D: [x]}"), {"\"A B\"", "\"C\" has no value", "found a list"});
  parse_valid(
      "consumers: {a: {url: 'http://127.0.0.1:${PORT}', runner: {process: {command: [x], env: {HOST: "
      "'0:${PORT}'}}}}}");
}

TEST(Config, ACommandIsReadAsByAShell) {
  const Config config = parse_valid(R"(
consumers:
  a:
    runner:
      process:
        command: |
          srv \
            --port ${PORT} \
            --name a  # ${not_defined} && x
  b:
    runner:
      process:
        command: >
          srv
          --port ${PORT}
          # --name old
          --name b
)");
  EXPECT_EQ(config.consumers[0].process->command, (Words{"srv", "--port", "${PORT}", "--name", "a"}));
  EXPECT_EQ(config.consumers[1].process->command, (Words{"srv", "--port", "${PORT}", "--name", "b"}));
  expect_diagnostics(
      "consumers:\n  a:\n    runner:\n      process:\n        command: srv --x && y\n",
      {"mgpu.yaml:5:18: consumers.a.runner.process.command: \"&&\" is an operator of a shell"});
  expect_diagnostics("consumers: {a: {runner: {process: {command: A=1 srv}}}}",
                     {"write env: {A: ...} beside the command"});
  expect_diagnostics("consumers: {a: {runner: {process: {command: ['A=1', srv]}}}}", {"write env: {A: ...}"});
  parse_valid("consumers: {a: {runner: {container: {image: x, command: A=1 --b}}}}");
}

TEST(Config, AnchorsMergeKeysAndExtensionsAreRead) {
  const Config config = parse_valid(R"(
x-common: &common {kind: llm, footprint: 4GiB, idle_unload: 15m, x-note: anything}
consumers:
  x-other: &other {footprint: 5GiB, concurrency: 2}
  a: {<<: *common, footprint: 6GiB}
  b: {<<: [*common, *other]}
  c: {x-note: [1]}
)");
  ASSERT_EQ(config.consumers.size(), 3U);
  EXPECT_EQ(config.consumers[0].footprint, kGiB * 6);
  EXPECT_EQ(config.consumers[0].kind, ConsumerKind::llm);
  EXPECT_EQ(config.consumers[1].footprint, kGiB * 4);
  EXPECT_EQ(config.consumers[1].concurrency, 2U);
  expect_diagnostics("consumers: {x-ray: {}}", {"names that begin with x- are kept for anchors"});
  expect_diagnostics("x-common: &common {footprnt: 4GiB}\nconsumers: {a: {<<: *common}}",
                     {"mgpu.yaml:1:20: consumers.a.footprnt: unknown key, did you mean \"footprint\"?"});
}

TEST(Config, MacrosAndTheEnvironmentGiveValues) {
  setenv("MGPU_TEST_KEY", "hidden && 'key'", 1);
  setenv("MGPU_TEST_SIZE", "14336MiB", 1);
  setenv("MGPU_TEST_HOST", "no host", 1);
  const std::string text = R"(
macros: {models: /srv/models, server: "srv --port ${PORT} --dir ${models}"}
consumers:
  a:
    footprint: ${env.MGPU_TEST_SIZE}
    aliases: ["m-${env.MGPU_TEST_KEY}", "$${x}"]
    runner:
      process:
        command: ${server} --key ${env.MGPU_TEST_KEY} '$HOME'
        env: {KEY: "${env.MGPU_TEST_KEY}", TEXT: "$${x} ${models}"}
)";
  const Config config = parse_valid(text);
  const ConsumerConfig& a = config.consumers[0];
  EXPECT_EQ(a.footprint, kGiB * 14);
  EXPECT_EQ(a.aliases, (Words{"m-hidden && 'key'", "${x}"}));
  EXPECT_EQ(a.process->command,
            (Words{"srv", "--port", "${PORT}", "--dir", "/srv/models", "--key", "hidden && 'key'", "$HOME"}));
  EXPECT_EQ(a.process->env.at("TEXT"), "${x} /srv/models");

  const std::string shown = to_yaml(config);
  EXPECT_EQ(shown.find("hidden"), std::string::npos) << shown;
  EXPECT_EQ(shown.find("14336"), std::string::npos) << shown;
  EXPECT_EQ(to_yaml(parse_valid(shown)), shown);
  EXPECT_EQ(parse(shown, "").config.consumers[0].process->command, a.process->command);
  EXPECT_EQ(parse(shown, "").config.consumers[0].aliases, a.aliases);
}

TEST(Config, ErrorsShowNoValueOfTheEnvironment) {
  setenv("MGPU_TEST_KEY", "hidden && 'key'", 1);
  for (const std::string key :
       {"listen", "policy", "load_ahead", "store", "limits: {max_queue", "limits: {max_body",
        "limits: {wait_limit", "devices: [{id", "consumers: {a: {url", "consumers: {a: {device",
        "consumers: {a: {unload", "consumers: {a: {api_key_env", "consumers: {a: {kind",
        "consumers: {a: {runner", "consumers: {a: {followed_by", "consumers: {a: {health",
        "consumers: {a: {runner: {systemd: {unit", "consumers: {a: {runner: {container: {name"}) {
    std::string text = key + ": '${env.MGPU_TEST_KEY}'";
    for (std::size_t i = key.size(); i-- > 0;)
      if (key[i] == '{' || key[i] == '[') text += key[i] == '{' ? '}' : ']';
    const std::vector<std::string> found = parse_diagnostics(text);
    EXPECT_FALSE(key != "store" && found.empty()) << text;
    for (const std::string& one : found)
      EXPECT_EQ(one.find("hidden"), std::string::npos) << text << "\n" << one;
  }
}

TEST(Config, VariablesThatAreNotSetAreErrorsWithTheirPosition) {
  expect_diagnostics(
      "consumers:\n  a:\n    footprint: ${SIZE}\n    aliases: ['${env.MGPU_NOT_SET}']\n",
      {"mgpu.yaml:3:16: consumers.a.footprint: there is no macro \"SIZE\"",
       "mgpu.yaml:4:15: consumers.a.aliases: the environment variable MGPU_NOT_SET is not set"});
  expect_diagnostics("macros: {a: '${b}', b: '${a}'}\n",
                     {"1:13: macros: a: the macros refer to each other in a circle",
                      "1:24: macros: b: the macros refer to each other"});
  expect_diagnostics("consumers: {a: {device: '${PORT}'}}", {"${PORT} has no meaning here"});
}

TEST(Config, WrongYamlTypesAreReported) {
  for (const char* text :
       {"just words", "[1, 2]", "consumers: [a]", "consumers: {a: 3}", "devices: {id: x}", "devices: [3]",
        "gpu: 3", "gpu: {library: [x]}", "? [a, b]\n: c", "limits: {max_queue: }",
        "consumers: {a: {busy: {}}}", "consumers: {a: {load: {body: x}, url: 'http://h'}}",
        "consumers: {'bad name': {}}", "consumers: {a: {aliases: [[x]]}}"})
    EXPECT_FALSE(parse_diagnostics(text).empty()) << text;
}

TEST(Config, AYamlErrorIsReportedWithItsPosition) {
  expect_diagnostics("listen: [1\nfoo: bar: baz\n", {"mgpu.yaml:"});
  expect_diagnostics("listen: [1\nfoo: bar: baz\n", {"not valid YAML"});
}

TEST(Config, AnUnreadableFileGivesOneDiagnostic) {
  const ParseResult parsed = parse_file("/nowhere/mgpu.yaml");
  ASSERT_EQ(parsed.diagnostics.size(), 1u);
  EXPECT_EQ(to_string(parsed.diagnostics[0]), "/nowhere/mgpu.yaml: can't be read: No such file or directory");
  EXPECT_NE(to_string(parse_file("/tmp").diagnostics.at(0)).find("can't be read"), std::string::npos);
}

TEST(Config, WrittenYamlReadsBackTheSame) {
  const std::string shown = to_yaml(parse_valid(R"(
devices: [{id: gpu0, index: 1}, {id: gpu1, uuid: GPU-1}]
consumers:
  chat:
    ai_models: {x: 3GiB}
    aliases: ["true", "~"]
    unload: {request: POST /free, body: '{"a": "b: c"}'}
    busy: {path: /p, pointer: /q, idle: "0"}
    runner: {process: {command: [srv, --port, 0, "a b", ""], env: {A: "1"}, log_file: /tmp/x}}
  stt: {runner: {systemd: {unit: stt.service, bus: user}}}
  tts: {runner: {container: {image: tts, ports: ["80"]}}}
  lease: {}
)"));
  EXPECT_EQ(to_yaml(parse_valid(shown)), shown);
  EXPECT_NE(shown.find("load_limit: 1m"), std::string::npos);
  EXPECT_NE(shown.find("max_queue: 1000"), std::string::npos);
}

// The example and the default of every row must be accepted by its own reader.
TEST(Keys, ExamplesAndDefaultsAreValid) {
  for (const Key& key : keys()) {
    Config config;
    DeviceConfig device;
    const auto type = first_service_supporting(key.path.substr(key.path.rfind('.') + 1));
    ConsumerConfig consumer{.service = {.type = type}};
    const KeyContext context{&config, &device, &consumer};
    const ReadErrors errors = key.read(load_document(key.example).top, context);
    EXPECT_TRUE(errors.empty()) << key.path << ": " << (errors.empty() ? "" : errors[0].message);
    const auto written = key.write(context);
    ASSERT_TRUE(written) << key.path;
    YAML::Emitter text;
    text << *written;
    EXPECT_TRUE(key.read(load_document(text.c_str()).top, context).empty()) << key.path;
    EXPECT_TRUE(key.description.ends_with(".")) << key.path;
  }
}

TEST(Keys, TheSchemaHasEveryKey) {
  const auto schema = nlohmann::json::parse(json_schema());
  EXPECT_EQ(schema["properties"]["limits"]["properties"]["max_queue"]["anyOf"][0]["minimum"], 1);
  EXPECT_EQ(schema["properties"]["devices"]["items"]["required"][0], "id");
  const auto& consumer = schema["properties"]["consumers"]["additionalProperties"];
  EXPECT_EQ(consumer["properties"]["service"]["anyOf"][0]["enum"][3], "llama-server");
  EXPECT_EQ(consumer["properties"]["runner"]["oneOf"][0]["const"], "external");
  EXPECT_TRUE(
      consumer["properties"]["runner"]["oneOf"][1]["properties"]["process"]["properties"].contains("env"));
  EXPECT_EQ(consumer["additionalProperties"], false);
}

TEST(Keys, TheReferencePageInDocsIsUpToDate) {
  std::ifstream file(MGPU_DOCS "/config.md");
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), reference_page()) << "regenerate it with: mgpu config reference > docs/config.md";
}

TEST(Services, ThePageHasARowForEach) {
  std::ifstream file(MGPU_DOCS "/services.md");
  const std::string page(std::istreambuf_iterator<char>(file), {});
  for (const std::string& name : service_names())
    EXPECT_TRUE(name == "none" || page.find("\n| `" + name + "` | ") != std::string::npos) << name;
}

TEST(Examples, AreValid) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(MGPU_DOCS "/../examples/configs")) {
    const ParseResult parsed = parse_file(entry.path());
    for (const Diagnostic& diagnostic : parsed.diagnostics) ADD_FAILURE() << to_string(diagnostic);
    ++count;
  }
  EXPECT_GE(count, 5u);
}

}  // namespace
}  // namespace mgpu::config
