#include "client/response_parser.h"

#include <gtest/gtest.h>

namespace mgpu::client {
namespace {

// Feeds the text in pieces of every size; checks that the body is always the same, and returns it.
std::string parse_in_pieces(const std::string& text) {
  std::string first;
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    ResponseParser parser;
    for (std::size_t at = 0; at < text.size(); at += piece) EXPECT_TRUE(parser.feed(text.substr(at, piece)));
    EXPECT_TRUE(parser.end_of_input());
    EXPECT_EQ(parser.status(), 200);
    if (piece == 1) first = parser.body();
    EXPECT_EQ(parser.body(), first) << "in pieces of " << piece;
  }
  return first;
}

TEST(ResponseParser, ReadsABodyOfKnownLength) {
  EXPECT_EQ(parse_in_pieces("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), "hello");
}

TEST(ResponseParser, ReadsChunks) {
  EXPECT_EQ(parse_in_pieces("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nhel\r\nA;x=y\r\nlo, "
                            "world!\r\n0\r\nT: v\r\n\r\n"),
            "hello, world!");
}

TEST(ResponseParser, ReadsUntilTheConnectionCloses) {
  EXPECT_EQ(parse_in_pieces("HTTP/1.0 200 OK\r\n\r\nall of it"), "all of it");
}

TEST(ResponseParser, PassesOverInterimAnswers) {
  EXPECT_EQ(parse_in_pieces("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
            "x");
}

TEST(ResponseParser, NoticesAnAnswerThatEndsTooEarly) {
  ResponseParser parser;
  EXPECT_TRUE(parser.feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"));
  EXPECT_FALSE(parser.end_of_input());
}

TEST(ResponseParser, RefusesWhatIsNotHttp) {
  EXPECT_FALSE(ResponseParser().feed("SSH-2.0-OpenSSH_9.2\r\n\r\n"));
  EXPECT_FALSE(ResponseParser().feed("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"));
  EXPECT_FALSE(ResponseParser().feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"));
  EXPECT_FALSE(ResponseParser().feed(std::string(ResponseParser::kMaxHeader + 1, 'x')));
}

}  // namespace
}  // namespace mgpu::client
