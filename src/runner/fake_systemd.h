// For tests: a systemd on a D-Bus connection, with one unit, chat.service, whose state changes as a test sets
// it.
#pragma once

#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <systemd/sd-bus-vtable.h>
#include <systemd/sd-bus.h>

namespace mgpu::runner {

inline constexpr const char* kUnitPath = "/org/freedesktop/systemd1/unit/chat_2eservice";
inline constexpr const char* kManagerPath = "/org/freedesktop/systemd1";

struct FakeSystemd {
  std::string active_state = "inactive";
  std::uint32_t main_pid = 0;
  std::int32_t exit_code = 0;
  std::int32_t exit_status = 0;
  std::string start_result = "done";  // of a start job; empty: it never ends
  bool obeys_stop = true;
  bool obeys_kill = true;
  std::string denied_method{};  // answered with InteractiveAuthorizationRequired
  bool subscribed = false;
  int subscriptions = 0;  // total
  std::vector<std::string> received_calls{};

  sd_bus* bus = nullptr;
  std::uint32_t last_job = 0;

  void change_state(const std::string& state, std::uint32_t pid = 0) {
    active_state = state;
    main_pid = pid;
    // The order in which systemd sends them; the runner relies on it.
    sd_bus_emit_properties_changed(bus, kUnitPath, "org.freedesktop.systemd1.Service", "MainPID",
                                   "ExecMainCode", "ExecMainStatus", nullptr);
    sd_bus_emit_properties_changed(bus, kUnitPath, "org.freedesktop.systemd1.Unit", "ActiveState", nullptr);
  }
  void crash(int signal) {
    exit_code = CLD_KILLED;
    exit_status = signal;
    change_state("failed");
  }
  // The signal before the reply, as systemd may send them.
  int reply_with_job(sd_bus_message* call, const std::string& result) {
    const std::string path = "/org/freedesktop/systemd1/job/" + std::to_string(++last_job);
    if (!result.empty() && subscribed)
      sd_bus_emit_signal(bus, kManagerPath, "org.freedesktop.systemd1.Manager", "JobRemoved", "uoss",
                         last_job, path.c_str(), "chat.service", result.c_str());
    return sd_bus_reply_method_return(call, "o", path.c_str());
  }
};

inline FakeSystemd& fake_systemd(void* data) { return *static_cast<FakeSystemd*>(data); }

inline int record_and_authorize(FakeSystemd& fake, const char* member, sd_bus_error* error) {
  fake.received_calls.emplace_back(member);
  if (fake.denied_method != member) return 0;
  return sd_bus_error_set(error, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
                          "Interactive authentication required.");
}

inline int start_unit(sd_bus_message* call, void* data, sd_bus_error* error) {
  FakeSystemd& fake = fake_systemd(data);
  if (const int no = record_and_authorize(fake, "StartUnit", error); no < 0) return no;
  if (fake.start_result == "done") fake.change_state("active", 77);
  if (fake.start_result == "failed") {
    fake.exit_code = CLD_EXITED;
    fake.exit_status = 3;
    fake.change_state("failed");
  }
  return fake.reply_with_job(call, fake.start_result);
}

inline int stop_unit(sd_bus_message* call, void* data, sd_bus_error* error) {
  FakeSystemd& fake = fake_systemd(data);
  if (const int no = record_and_authorize(fake, "StopUnit", error); no < 0) return no;
  if (fake.active_state != "inactive" && fake.active_state != "failed")
    fake.change_state(fake.obeys_stop ? "inactive" : "deactivating", fake.obeys_stop ? 0 : fake.main_pid);
  return fake.reply_with_job(call, fake.obeys_stop ? "done" : "");
}

inline int kill_unit(sd_bus_message* call, void* data, sd_bus_error* error) {
  FakeSystemd& fake = fake_systemd(data);
  if (const int no = record_and_authorize(fake, "KillUnit", error); no < 0) return no;
  if (fake.obeys_kill) fake.crash(SIGKILL);
  return sd_bus_reply_method_return(call, "");
}

inline int load_unit(sd_bus_message* call, void*, sd_bus_error*) {
  const char* unit = nullptr;
  sd_bus_message_read(call, "s", &unit);
  const bool known = std::string(unit) == "chat.service";
  return sd_bus_reply_method_return(call, "o", known ? kUnitPath : "/org/freedesktop/systemd1/unit/none");
}

inline int subscribe(sd_bus_message* call, void* data, sd_bus_error*) {
  fake_systemd(data).subscribed = true;
  ++fake_systemd(data).subscriptions;
  return sd_bus_reply_method_return(call, "");
}

inline int read_property(sd_bus*, const char* path, const char*, const char* name, sd_bus_message* reply,
                         void* data, sd_bus_error*) {
  const FakeSystemd& fake = fake_systemd(data);
  const std::string wanted = name;
  if (wanted == "LoadState")
    return sd_bus_message_append(reply, "s", std::string(path) == kUnitPath ? "loaded" : "not-found");
  if (wanted == "ActiveState") return sd_bus_message_append(reply, "s", fake.active_state.c_str());
  if (wanted == "MainPID") return sd_bus_message_append(reply, "u", fake.main_pid);
  return sd_bus_message_append(reply, "i", wanted == "ExecMainCode" ? fake.exit_code : fake.exit_status);
}

inline const sd_bus_vtable kManagerVtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("StartUnit", "ss", "o", start_unit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("StopUnit", "ss", "o", stop_unit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("KillUnit", "ssi", "", kill_unit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("LoadUnit", "s", "o", load_unit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Subscribe", "", "", subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_SIGNAL("JobRemoved", "uoss", 0),
    SD_BUS_VTABLE_END};
inline const sd_bus_vtable kUnitVtable[] = {
    SD_BUS_VTABLE_START(0), SD_BUS_PROPERTY("LoadState", "s", read_property, 0, 0),
    SD_BUS_PROPERTY("ActiveState", "s", read_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_VTABLE_END};
inline const sd_bus_vtable kServiceVtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("MainPID", "u", read_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("ExecMainCode", "i", read_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("ExecMainStatus", "i", read_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_VTABLE_END};

}  // namespace mgpu::runner
