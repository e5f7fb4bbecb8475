// Against a private bus (dbus-daemon) with a systemd of our own on it, that does as the test says.
#include "runner/systemd_unit.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <systemd/sd-bus-vtable.h>

#include "runner/dbus_connection.h"
#include "runner/event_loop_test.h"
#include "runner/process.h"

namespace mgpu::runner {
namespace {

using std::chrono::seconds;

constexpr const char* kUnitPath = "/org/freedesktop/systemd1/unit/chat_2eservice";
constexpr const char* kManagerPath = "/org/freedesktop/systemd1";

// org.freedesktop.systemd1 with one unit, chat.service.
struct FakeSystemd {
  std::string active_state = "inactive";
  std::uint32_t main_pid = 0;
  std::int32_t exit_code = 0;
  std::int32_t exit_status = 0;
  std::string start_result = "done";  // of a start job; empty: it never ends
  bool obeys_stop = true;
  bool obeys_kill = true;
  std::string denied_method{};  // the method that is denied
  bool subscribed = false;
  int subscriptions = 0;  // ever
  std::vector<std::string> received_calls{};

  sd_bus* bus = nullptr;
  std::uint32_t last_job = 0;

  void change_state(const std::string& state, std::uint32_t pid = 0) {
    active_state = state;
    main_pid = pid;
    // In this order, on which callers may rely.
    sd_bus_emit_properties_changed(bus, kUnitPath, "org.freedesktop.systemd1.Service", "MainPID",
                                   "ExecMainCode", "ExecMainStatus", nullptr);
    sd_bus_emit_properties_changed(bus, kUnitPath, "org.freedesktop.systemd1.Unit", "ActiveState", nullptr);
  }
  void crash(int signal) {
    exit_code = CLD_KILLED;
    exit_status = signal;
    change_state("failed");
  }
  // As systemd may do it: the signal first, then the answer.
  int reply_with_job(sd_bus_message* call, const std::string& result) {
    const std::string path = "/org/freedesktop/systemd1/job/" + std::to_string(++last_job);
    if (!result.empty() && subscribed)
      sd_bus_emit_signal(bus, kManagerPath, "org.freedesktop.systemd1.Manager", "JobRemoved", "uoss",
                         last_job, path.c_str(), "chat.service", result.c_str());
    return sd_bus_reply_method_return(call, "o", path.c_str());
  }
};

FakeSystemd& fake_systemd(void* data) { return *static_cast<FakeSystemd*>(data); }

int record_and_authorize(FakeSystemd& fake, const char* member, sd_bus_error* error) {
  fake.received_calls.emplace_back(member);
  if (fake.denied_method != member) return 0;
  return sd_bus_error_set(error, "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
                          "Interactive authentication required.");
}

int start_unit(sd_bus_message* call, void* data, sd_bus_error* error) {
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

int stop_unit(sd_bus_message* call, void* data, sd_bus_error* error) {
  FakeSystemd& fake = fake_systemd(data);
  if (const int no = record_and_authorize(fake, "StopUnit", error); no < 0) return no;
  if (fake.active_state != "inactive" && fake.active_state != "failed")
    fake.change_state(fake.obeys_stop ? "inactive" : "deactivating", fake.obeys_stop ? 0 : fake.main_pid);
  return fake.reply_with_job(call, fake.obeys_stop ? "done" : "");
}

int kill_unit(sd_bus_message* call, void* data, sd_bus_error* error) {
  FakeSystemd& fake = fake_systemd(data);
  if (const int no = record_and_authorize(fake, "KillUnit", error); no < 0) return no;
  if (fake.obeys_kill) fake.crash(SIGKILL);
  return sd_bus_reply_method_return(call, "");
}

int load_unit(sd_bus_message* call, void*, sd_bus_error*) {
  const char* unit = nullptr;
  sd_bus_message_read(call, "s", &unit);
  const bool known = std::string(unit) == "chat.service";
  return sd_bus_reply_method_return(call, "o", known ? kUnitPath : "/org/freedesktop/systemd1/unit/none");
}

int subscribe(sd_bus_message* call, void* data, sd_bus_error*) {
  fake_systemd(data).subscribed = true;
  ++fake_systemd(data).subscriptions;
  return sd_bus_reply_method_return(call, "");
}

int read_property(sd_bus*, const char* path, const char*, const char* name, sd_bus_message* reply, void* data,
                  sd_bus_error*) {
  const FakeSystemd& fake = fake_systemd(data);
  const std::string wanted = name;
  if (wanted == "LoadState")
    return sd_bus_message_append(reply, "s", std::string(path) == kUnitPath ? "loaded" : "not-found");
  if (wanted == "ActiveState") return sd_bus_message_append(reply, "s", fake.active_state.c_str());
  if (wanted == "MainPID") return sd_bus_message_append(reply, "u", fake.main_pid);
  return sd_bus_message_append(reply, "i", wanted == "ExecMainCode" ? fake.exit_code : fake.exit_status);
}

const sd_bus_vtable kManagerVtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("StartUnit", "ss", "o", start_unit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("StopUnit", "ss", "o", stop_unit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("KillUnit", "ssi", "", kill_unit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("LoadUnit", "s", "o", load_unit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Subscribe", "", "", subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_SIGNAL("JobRemoved", "uoss", 0),
    SD_BUS_VTABLE_END};
const sd_bus_vtable kUnitVtable[] = {
    SD_BUS_VTABLE_START(0), SD_BUS_PROPERTY("LoadState", "s", read_property, 0, 0),
    SD_BUS_PROPERTY("ActiveState", "s", read_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_VTABLE_END};
const sd_bus_vtable kServiceVtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("MainPID", "u", read_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("ExecMainCode", "i", read_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("ExecMainStatus", "i", read_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_VTABLE_END};

std::string make_temporary_folder() {
  char folder[] = "/tmp/mgpu-unit-XXXXXX";
  return mkdtemp(folder);
}

class UnitTest : public EventLoopTest {
 protected:
  UnitTest() {
    become_subreaper();
    std::ofstream(folder_ + "/bus.conf")
        << "<busconfig><type>session</type><listen>unix:path=" << folder_ << "/bus</listen>"
        << "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>"
        << "<allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>";
    setenv("DBUS_SESSION_BUS_ADDRESS", ("unix:path=" + folder_ + "/bus").c_str(), 1);
    open_bus();
  }
  ~UnitTest() override {
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
  // One on which no systemd is.
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

  StartResult start(std::string unit = "chat.service", Duration limit = seconds(10)) {
    const config::SystemdConfig config{.unit = std::move(unit), .bus = config::BusType::user};
    RunOptions wanted = options();
    wanted.start_limit = limit;
    return await_result(SystemdUnit::start(io_.get_executor(), config, std::move(wanted)));
  }
  StartResult find() {
    const config::SystemdConfig config{.unit = "chat.service", .bus = config::BusType::user};
    return await_result(SystemdUnit::find(io_.get_executor(), config, options()));
  }

  std::string folder_ = make_temporary_folder();
  FakeSystemd fake_;
  std::unique_ptr<Process> dbus_daemon_;
  std::unique_ptr<DbusConnection> systemd_bus_;
};

TEST_F(UnitTest, StartsAndStopsByJobs) {
  auto run = start();
  ASSERT_TRUE(run) << run.error().detail;
  EXPECT_EQ((*run)->identity().unit, "chat.service");
  EXPECT_EQ((*run)->identity().pid, 77);
  EXPECT_TRUE((*run)->is_owned());
  EXPECT_TRUE(await_result((*run)->stop(seconds(5))));
  EXPECT_EQ(fake_.active_state, "inactive");
  EXPECT_FALSE((*run)->is_running());
}

TEST_F(UnitTest, SaysWhyItDidNotStart) {
  fake_.start_result = "failed";
  const auto failed = start();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::load_failed);
  EXPECT_EQ(failed.error().detail,
            "chat.service: its start ended with \"failed\"; its process exited with code 3");
  const auto missing = start("none.service");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().detail, "none.service: there is no such unit");
  fake_.denied_method = "StartUnit";
  const auto forbidden = start();
  ASSERT_FALSE(forbidden);
  EXPECT_EQ(forbidden.error().detail, "chat.service: StartUnit: Interactive authentication required.");
}

TEST_F(UnitTest, AJobThatTakesTooLongIsTakenBack) {
  fake_.start_result = "";
  fake_.active_state = "activating";
  const auto run = start("chat.service", std::chrono::milliseconds(50));
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().detail, "chat.service: its job takes longer than 50ms");
  EXPECT_EQ(fake_.received_calls, (std::vector<std::string>{"StartUnit", "StopUnit"}));
}

TEST_F(UnitTest, OneThatIsActiveIsFoundAndStaysWhenTheDaemonGoes) {
  auto none = find();
  ASSERT_TRUE(none);
  EXPECT_EQ(*none, nullptr);
  fake_.active_state = "active";
  auto run = find();
  ASSERT_TRUE(run && *run);
  EXPECT_FALSE((*run)->is_owned());
  run->reset();
  auto joined = start();
  ASSERT_TRUE(joined);
  EXPECT_FALSE((*joined)->is_owned());
  joined->reset();
  EXPECT_TRUE(fake_.received_calls.empty());
}

TEST_F(UnitTest, LeavingActiveIsNoticedAtOnce) {
  auto run = start();
  ASSERT_TRUE(run);
  fake_.crash(SIGSEGV);
  ASSERT_TRUE(run_until([&] { return exit_status_.has_value(); }));
  EXPECT_EQ(exit_status_->signal, SIGSEGV);
  EXPECT_FALSE((*run)->is_running());
  EXPECT_TRUE(await_result((*run)->kill())) << "systemd has seen to it";
  EXPECT_EQ(fake_.received_calls, std::vector<std::string>{"StartUnit"});
}

TEST_F(UnitTest, SomebodyElsesStopIsNoticedBeforeItIsOver) {
  auto run = start();
  ASSERT_TRUE(run);
  fake_.change_state("deactivating", 77);
  EXPECT_TRUE(run_until([&] { return exit_status_.has_value(); }));
}

TEST_F(UnitTest, KillsWhatIgnoresStop) {
  auto run = start();
  ASSERT_TRUE(run);
  fake_.obeys_stop = false;
  EXPECT_TRUE(await_result((*run)->stop(std::chrono::milliseconds(50))));
  EXPECT_EQ((*run)->exit_status()->signal, SIGKILL);
}

TEST_F(UnitTest, SaysThatItLivesOnAfterSigkill) {
  auto run = start();
  ASSERT_TRUE(run);
  fake_.obeys_stop = fake_.obeys_kill = false;
  const auto killed = await_result((*run)->kill());
  ASSERT_FALSE(killed);
  EXPECT_EQ(killed.error().code, ErrorCode::eviction_failed);
  EXPECT_NE(killed.error().detail.find("lives on 5s after SIGKILL"), std::string::npos);
  EXPECT_TRUE((*run)->is_running());
}

TEST_F(UnitTest, WithoutABusNobodyCanStopIt) {
  auto run = start();
  ASSERT_TRUE(run);
  close_bus();
  const auto stopped = await_result((*run)->stop(seconds(1)));
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::eviction_failed);
  EXPECT_TRUE((*run)->is_running());
  const auto other = start();
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().detail.find("can't reach the user bus"), std::string::npos);
}

TEST_F(UnitTest, WhatEndsWhileTheBusIsAwayIsHeardOfOnceItIsBack) {
  auto run = start();
  ASSERT_TRUE(run);
  close_bus();
  fake_.active_state = "failed";
  fake_.exit_code = CLD_EXITED;
  fake_.exit_status = 4;
  open_bus();
  ASSERT_TRUE(run_until([&] { return exit_status_.has_value(); }));
  EXPECT_EQ(exit_status_->code, 4);
}

TEST_F(UnitTest, ABusThatIsLostAgainAndAgainIsCalledOnlyOnce) {
  const auto run_for = [&](seconds length) {
    const auto until = std::chrono::steady_clock::now() + length;
    ASSERT_TRUE(run_until([&] { return std::chrono::steady_clock::now() >= until; }));
  };
  auto run = start();
  ASSERT_TRUE(run);
  for (int time = 0; time < 2; ++time) {
    close_bus();
    open_empty_bus();
    run_for(seconds(2));  // it calls, and finds nobody
  }
  close_bus();
  fake_.subscriptions = 0;
  open_bus();
  ASSERT_TRUE(run_until([&] { return fake_.subscriptions > 0; }));
  run_for(seconds(3));
  EXPECT_EQ(fake_.subscriptions, 1);
  fake_.crash(SIGKILL);
  EXPECT_TRUE(run_until([&] { return exit_status_.has_value(); }));
}

}  // namespace
}  // namespace mgpu::runner
