#include "gateway/model_finder.h"

#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck.h>

namespace mgpu::gateway {
namespace {

struct FinderOutcome {
  ScanStatus status{};
  std::string name{};
  std::string reason{};
  ByteRange range{};
  friend bool operator==(const FinderOutcome&, const FinderOutcome&) = default;
};

FinderOutcome make_outcome(const ModelFinder& finder, ScanStatus status) {
  return {status, finder.name(), finder.reason(), finder.value_range()};
}

FinderOutcome scan_whole(std::string_view body, bool accept_name_key = false) {
  ModelFinder finder(accept_name_key);
  finder.feed(body);
  return make_outcome(finder, finder.finish());
}

FinderOutcome scan_split(std::string_view body, std::size_t cut) {
  ModelFinder finder;
  finder.feed(body.substr(0, cut));
  finder.feed(body.substr(cut));
  return make_outcome(finder, finder.finish());
}

FinderOutcome scan_bytewise(std::string_view body) {
  ModelFinder finder;
  for (char c : body) finder.feed({&c, 1});
  return make_outcome(finder, finder.finish());
}

std::optional<std::string> found_model(std::string_view body, bool accept_name_key = false) {
  FinderOutcome outcome = scan_whole(body, accept_name_key);
  if (outcome.status != ScanStatus::found) return std::nullopt;
  return outcome.name;
}

std::string invalid_reason(std::string_view body) {
  FinderOutcome outcome = scan_whole(body);
  return outcome.status == ScanStatus::invalid ? outcome.reason : "(not invalid)";
}

std::string value_text(std::string_view body) {
  FinderOutcome outcome = scan_whole(body);
  return std::string(body.substr(outcome.range.begin, outcome.range.end - outcome.range.begin));
}

const std::string kTranscriptionBody =
    "--X-1\r\n"
    "Content-Disposition: form-data; name=\"file\"; filename=\"a; name=\\\"model\\\".wav\"\r\n"
    "Content-Type: audio/wav\r\n\r\n"
    "RIFF\r\n--X-1y\r\n\r\n--X-\r\r\n--X-1 z{\"model\":\"no\"}\r\n"
    "--X-1\r\n"
    "Content-Disposition: form-data; name=\"model\"\r\n\r\n"
    "whisper-1\r\n"
    "--X-1--\r\n";

TEST(ModelFinder, FindsTheTopLevelModelAnywhereInJson) {
  EXPECT_EQ(found_model(R"({"model":"a"})"), "a");
  EXPECT_EQ(
      found_model(
          R"( {"messages":[{"model":"no"},{"x":{"model":"no"}}],"n":-1.5e+3,"t":true,"model" : "a/b:c"})"),
      "a/b:c");
  EXPECT_EQ(found_model(R"({"text":"\"model\":\"no\"","model":"yes"})"), "yes");
  EXPECT_EQ(found_model("\xEF\xBB\xBF{\"model\":\"bom\"}"), "bom");
}

TEST(ModelFinder, DecodesEscapesInKeyAndValue) {
  EXPECT_EQ(found_model(R"({"m\u006fdel":"a\/b\n\u00e9\ud83d\ude00"})"), "a/b\n\u00e9\U0001F600");
  EXPECT_EQ(found_model(R"({"model":"\ud83dx\ude00"})"), "\uFFFDx\uFFFD");
}

TEST(ModelFinder, DoesNotWaitForTheRestOfTheBody) {
  ModelFinder finder;
  EXPECT_EQ(finder.feed(R"({"model":"a)"), ScanStatus::still_looking);
  EXPECT_EQ(finder.feed(R"(b","messages":[)"), ScanStatus::found);
  EXPECT_EQ(finder.name(), "ab");
}

TEST(ModelFinder, SaysWhereTheValueStands) {
  EXPECT_EQ(value_text(R"({"n":1, "model": "a\u0062", "x":2})"), R"("a\u0062")");
  EXPECT_EQ(value_text(kTranscriptionBody), "whisper-1");
  EXPECT_EQ(value_text("n=1&model=a%2Fb&x=2"), "a%2Fb");
}

TEST(ModelFinder, WritesANameInTheBodysForm) {
  ModelFinder json, multipart, form;
  json.feed(R"({"model":"a"})");
  multipart.feed(kTranscriptionBody);
  form.feed("model=a&");
  EXPECT_EQ(json.encode_name("q\"uote"), R"("q\"uote")");
  EXPECT_EQ(multipart.encode_name("a/b"), "a/b");
  EXPECT_EQ(form.encode_name("a/b c"), "a%2Fb%20c");
}

TEST(ModelFinder, TakesOllamasNameOnlyWhereThereIsNoModel) {
  EXPECT_EQ(found_model(R"({"name":"n"})", true), "n");
  EXPECT_EQ(found_model(R"({"name":"n","model":"m"})", true), "m");
  EXPECT_EQ(found_model(R"({"model":"","system":"","name":"n"})", true), "n");
  EXPECT_EQ(found_model(R"({"name":"n","model":""})", true), "n");
  EXPECT_EQ(found_model(R"({"name":"n"})", false), std::nullopt);
}

TEST(ModelFinder, SaysAbsentWhenTheBodyIsOverWithoutIt) {
  EXPECT_EQ(scan_whole("").status, ScanStatus::absent);
  EXPECT_EQ(scan_whole("{}").status, ScanStatus::absent);
  EXPECT_EQ(scan_whole(R"({"x":{"model":"nested"},"y":"model"})").status, ScanStatus::absent);
  EXPECT_EQ(scan_whole("--b\r\nContent-Disposition: form-data; name=file\r\n\r\nx\r\n--b--").status,
            ScanStatus::absent);
  EXPECT_EQ(scan_whole("a=b&models=x").status, ScanStatus::absent);
}

TEST(ModelFinder, SaysWhyABodyIsInvalid) {
  EXPECT_EQ(invalid_reason("[1]"), "the JSON body is not an object");
  EXPECT_EQ(invalid_reason("\"x\""), "the JSON body is not an object");
  EXPECT_EQ(invalid_reason(R"({"model":7})"), "\"model\" is not a string");
  EXPECT_EQ(invalid_reason(R"({"model":""})"), "\"model\" is empty");
  EXPECT_EQ(invalid_reason(R"({"a":1,})"), "the body is not valid JSON: unexpected '}' at byte 7");
  EXPECT_EQ(invalid_reason(R"({"a":01})"), "the body is not valid JSON: unexpected '1' at byte 6");
  EXPECT_EQ(invalid_reason("{\"a\":\"\n\"}"), "the body is not valid JSON: unexpected byte 0x0a at byte 6");
  EXPECT_EQ(invalid_reason(R"({"a":[1,2)"), "the JSON body ends in the middle");
  EXPECT_EQ(invalid_reason("hello world"), "the body is neither JSON nor multipart nor a urlencoded form");
  EXPECT_EQ(invalid_reason("--b\r\nContent-Disp"), "the multipart body ends before its closing boundary");
}

TEST(ModelFinder, HoldsNamesUpToTheLimit) {
  std::string longest(kMaxModelName, 'm');
  EXPECT_EQ(found_model(R"({"model":")" + longest + R"("})"), longest);
  EXPECT_EQ(invalid_reason(R"({"model":"m)" + longest + R"("})"), "\"model\" is longer than 256 bytes");
  std::string part = "--b\r\nContent-Disposition: form-data; name=model\r\n\r\n";
  EXPECT_EQ(found_model(part + longest + "\r\n--b--"), longest);
  EXPECT_EQ(scan_whole(part + "m" + longest + "\r\n--b--").status, ScanStatus::invalid);
  EXPECT_EQ(scan_whole("model=m" + longest).status, ScanStatus::invalid);
}

TEST(ModelFinder, StopsAtDeepNesting) {
  std::string deep = R"({"a":)" + std::string(100'000, '[');
  EXPECT_EQ(invalid_reason(deep), "the JSON body is nested too deeply");
}

TEST(ModelFinder, FindsThePartNamedModelBehindAFile) {
  EXPECT_EQ(found_model(kTranscriptionBody), "whisper-1");
}

TEST(ModelFinder, ReadsPartHeadersAsClientsWriteThem) {
  auto part = [](std::string header) { return found_model("--b\r\n" + header + "\r\n\r\nw\r\n--b--"); };
  EXPECT_EQ(part("Content-Disposition: form-data; name=\"model\""), "w");
  EXPECT_EQ(part("content-disposition:form-data;name=model"), "w");
  EXPECT_EQ(part("Content-Type: text/plain\r\nCONTENT-DISPOSITION: form-data; filename=x; NAME = \"model\""),
            "w");
  EXPECT_EQ(part("Content-Disposition: form-data; filename=\"; name=model\"; name=\"file\""), std::nullopt);
  EXPECT_EQ(found_model("--b\nContent-Disposition: form-data; name=model\n\nbare line feeds\n--b--\n"),
            "bare line feeds");
}

TEST(ModelFinder, ReadsEmptyPartsAndLinesInTheValue) {
  EXPECT_EQ(found_model("--b\r\nContent-Disposition: form-data; name=prompt\r\n\r\n\r\n"
                        "--b\r\nContent-Disposition: form-data; name=x\r\n\r\n"
                        "--b\r\nContent-Disposition: form-data; name=model\r\n\r\n\r\n--c\r\n--b--"),
            "--c");
}

TEST(ModelFinder, SkipsThePreambleOfADeclaredMultipartBody) {
  const std::string boundary = parse_boundary("Multipart/Form-Data; charset=x; boundary=\"a b\"");
  EXPECT_EQ(boundary, "a b");
  for (const char* preamble : {"This is a preamble.\r\n", "\xEF\xBB\xBFtext\r\n\r\n", "-x\r\n--a\r\n"}) {
    const std::string body =
        std::string(preamble) + "--a b\r\nContent-Disposition: form-data; name=model\r\n\r\ngemma\r\n--a b--";
    ModelFinder finder(false, boundary);
    EXPECT_EQ(finder.feed(body), ScanStatus::found) << preamble << finder.reason();
    EXPECT_EQ(finder.name(), "gemma");
    EXPECT_EQ(finder.value_range().begin, body.find("gemma"));
  }
  ModelFinder json(false, boundary);  // the header is wrong
  EXPECT_EQ(json.feed(R"({"model":"gemma"})"), ScanStatus::found);
}

TEST(ModelFinder, IgnoresBlanksAroundAPartsValue) {
  const std::string body = "--b\r\nContent-Disposition: form-data; name=model\r\n\r\n gemma\r\n\r\n--b--";
  ModelFinder finder;
  EXPECT_EQ(finder.feed(body), ScanStatus::found) << finder.reason();
  EXPECT_EQ(finder.name(), "gemma");
}

TEST(ModelFinder, FindsTheFieldOfAForm) {
  EXPECT_EQ(found_model("n=1&model=a%2Fb+c&x"), "a/b c");
  EXPECT_EQ(found_model("model=last"), "last");
}

TEST(ModelFinder, GivesTheSameAnswerHoweverTheBodyIsCut) {
  std::vector<std::string> bodies = {
      kTranscriptionBody,
      R"( {"a":[1,-0.5e-3,null,{"model":[]}],"m\u006fdel":"\ud83d\ude00\"x"} )",
      "x=1&model=%41",
      "\xEF\xBB\xBF{\"a\":\"\\q\"}",
      "-",
      "--",
      R"({"a":tru})"};
  for (const std::string& body : bodies) {
    FinderOutcome whole = scan_whole(body);
    EXPECT_EQ(scan_bytewise(body), whole) << body;
    for (std::size_t cut = 0; cut <= body.size(); ++cut) EXPECT_EQ(scan_split(body, cut), whole) << body;
  }
}

TEST(ModelFinder, AgreesWithAWholeParserOnRandomJson) {
  bool holds = rc::check("one-byte reader and nlohmann agree on the validity and the name", [] {
    static const std::vector<std::string> words = {"{",         "}",
                                                   "[",         "]",
                                                   ":",         ",",
                                                   "\"model\"", "\"m\\u006fdel\"",
                                                   "\"a\"",     "\"\\ud83d\\ude00\"",
                                                   "1",         "-0.5e1",
                                                   "01",        "true",
                                                   "null",      " ",
                                                   "{\"a\":1,", "\"model\":\"x\"",
                                                   "}",         "\"model\":",
                                                   "{\"b\":[",  "]}"};
    auto pieces = *rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(words));
    std::string body = "{";
    for (const std::string& piece : pieces) body += piece;
    FinderOutcome ours = scan_whole(body);
    RC_ASSERT(scan_bytewise(body) == ours);
    auto theirs = nlohmann::json::parse(body, nullptr, false);
    if (ours.status == ScanStatus::absent) RC_ASSERT(theirs.is_discarded() || !theirs.contains("model"));
    if (theirs.is_discarded()) return;
    if (!theirs.contains("model")) RC_ASSERT(ours.status == ScanStatus::absent);
    if (ours.status == ScanStatus::found) RC_ASSERT(theirs.contains("model"));
  });
  EXPECT_TRUE(holds);
}

TEST(ModelFinder, FindsThePartWhateverTheFileContains) {
  bool holds = rc::check("random parts before the wanted one", [] {
    auto pieces = *rc::gen::container<std::vector<std::string>>(
        rc::gen::element<std::string>("\r", "\n", "\r\n", "-", "--", "--b", "\r\n--b", "x", "\r\n--bx", " "));
    std::string file;
    for (const std::string& piece : pieces) file += piece;
    file += "x";  // otherwise its end could form a delimiter
    // A valid delimiter inside the file would end the part; clients choose boundaries that do not occur.
    for (std::string bad : {"\r\n--b\r\n", "\r\n--b--", "\r\n--b "}) RC_PRE(file.find(bad) == file.npos);
    RC_PRE(!file.starts_with("--b"));
    std::string body = "--b\r\nContent-Disposition: form-data; name=file\r\n\r\n" + file +
                       "\r\n--b\r\nContent-Disposition: form-data; name=model\r\n\r\nm\r\n--b--\r\n";
    FinderOutcome whole = scan_whole(body);
    RC_ASSERT(whole.status == ScanStatus::found);
    RC_ASSERT(whole.name == "m");
    RC_ASSERT(scan_bytewise(body) == whole);
  });
  EXPECT_TRUE(holds);
}

}  // namespace
}  // namespace mgpu::gateway
