// For tests: a private bus (dbus-daemon) with the fake systemd on it, and the operations that tests need.
#pragma once

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "runner/dbus_connection.h"
#include "runner/fake_systemd.h"
#include "runner/process.h"
#include "runner/runner_fixture.h"
#include "runner/systemd_unit.h"

namespace mgpu::runner {

class SystemdUnitTest : public RunnerTest {
 protected:
  SystemdUnitTest() {
    become_subreaper();
    std::ofstream(folder_ + "/bus.conf")
        << "<busconfig><type>session</type><listen>unix:path=" << folder_ << "/bus</listen>"
        << "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>"
        << "<allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>";
    setenv("DBUS_SESSION_BUS_ADDRESS", ("unix:path=" + folder_ + "/bus").c_str(), 1);
    open_bus();
  }
  ~SystemdUnitTest() override {
    unsetenv("DBUS_SESSION_BUS_ADDRESS");
    systemd_bus_.reset();
    dbus_daemon_.reset();
    std::filesystem::remove_all(folder_);
  }

  void open_bus() {
    open_empty_bus();
    auto bus = DbusConnection::open(io_.get_executor(), config::BusType::user);
    ASSERT_TRUE(bus) << bus.error().detail;
    systemd_bus_ = *std::move(bus);
    fake_.bus = systemd_bus_->raw();
    fake_.subscribed = false;
    const auto add_vtable = [&](const char* path, const char* interface, const sd_bus_vtable* table) {
      ASSERT_GE(sd_bus_add_object_vtable(fake_.bus, nullptr, path, interface, table, &fake_), 0);
    };
    add_vtable(kManagerPath, "org.freedesktop.systemd1.Manager", kManagerVtable);
    for (const char* path : {kUnitPath, "/org/freedesktop/systemd1/unit/none"}) {
      add_vtable(path, "org.freedesktop.systemd1.Unit", kUnitVtable);
      add_vtable(path, "org.freedesktop.systemd1.Service", kServiceVtable);
    }
    ASSERT_GE(sd_bus_request_name(fake_.bus, "org.freedesktop.systemd1", 0), 0);
  }
  // A bus without systemd on it.
  void open_empty_bus() {
    auto started = Process::start(
        io_.get_executor(),
        {.command = {"dbus-daemon", "--nofork", "--print-address", "--config-file=" + folder_ + "/bus.conf"}},
        {});
    ASSERT_TRUE(started) << started.error().detail;
    dbus_daemon_ = *std::move(started);
    ASSERT_TRUE(run_until([&] { return !dbus_daemon_->log_tail(1).empty(); }));
  }
  void close_bus() {
    systemd_bus_.reset();
    dbus_daemon_.reset();
    std::filesystem::remove(folder_ + "/bus");
  }

  StartResult start(std::string unit = "chat.service", Duration limit = std::chrono::seconds(10)) {
    const config::SystemdConfig config{.unit = std::move(unit), .bus = config::BusType::user};
    RunOptions wanted = options();
    wanted.start_limit = limit;
    return await_result(start_systemd_unit(io_.get_executor(), config, std::move(wanted)));
  }
  StartResult find() {
    const config::SystemdConfig config{.unit = "chat.service", .bus = config::BusType::user};
    return await_result(find_systemd_unit(io_.get_executor(), config, options()));
  }

  // --- the contract that is the same for every engine (external_run_test.cc) ---
  void set_up_stopped() {}
  void set_up_running() { fake_.active_state = "active"; }
  bool is_up() { return fake_.active_state == "active"; }
  void ignore_kill() { fake_.obeys_stop = fake_.obeys_kill = false; }
  void end_run(int code) {
    fake_.active_state = "failed";
    fake_.exit_code = CLD_EXITED;
    fake_.exit_status = code;
  }
  void disconnect() { close_bus(); }
  void reconnect() { open_bus(); }
  std::string identity_of(const Runner& run) { return run.identity().unit; }
  static constexpr const char* kIdentity = "chat.service";

  static std::string make_temporary_folder() {
    char folder[] = "/tmp/mgpu-unit-XXXXXX";
    return mkdtemp(folder);
  }
  std::string folder_ = make_temporary_folder();
  FakeSystemd fake_;
  std::unique_ptr<Process> dbus_daemon_;
  std::unique_ptr<DbusConnection> systemd_bus_;
};

}  // namespace mgpu::runner
