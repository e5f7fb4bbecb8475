#include "http/head_parser.h"

#include <gtest/gtest.h>

namespace mgpu::http {
namespace {

Result<ParsedRequest> parse_request(const std::string& lines,
                                    const std::string& request_line = "POST /a HTTP/1.1") {
  const std::string head = request_line + "\r\n" + lines + "\r\n";
  std::size_t scanned = 0;
  const auto end = find_head_end(head, scanned);
  if (!end) return std::unexpected(end.error());
  EXPECT_EQ(*end, head.size());
  return parse_request_head(head);
}

TEST(HeadParser, ReadsARequestAsItIsMeant) {
  const auto parsed = parse_request("Host: h:1\r\ncontent-LENGTH:\t 12 \r\nX-A:  b c \r\nX-Empty:\r\n");
  ASSERT_TRUE(parsed) << parsed.error().detail;
  EXPECT_EQ(parsed->head.method, "POST");
  EXPECT_EQ(parsed->head.target, "/a");
  EXPECT_EQ(parsed->head.length, BodyLength{12});
  EXPECT_EQ(parsed->head.headers, (Headers{{"Host", "h:1"}, {"X-A", "b c"}, {"X-Empty", ""}}));
  EXPECT_TRUE(parsed->keep_alive);
}

TEST(HeadParser, TakesTheFramingThatIsAllowed) {
  EXPECT_EQ(parse_request("Host: h\r\nTransfer-Encoding: Chunked\r\n")->head.length, BodyLength{});
  EXPECT_EQ(parse_request("Host: h\r\n")->head.length, BodyLength{0});
  EXPECT_TRUE(parse_request("Host: [::1]:80\r\nExpect: 100-Continue\r\n")->expects_continue);
  EXPECT_FALSE(parse_request("Host: h\r\nConnection: x, Close\r\n")->keep_alive);
  EXPECT_FALSE(parse_request("", "GET /a HTTP/1.0")->keep_alive);
  EXPECT_TRUE(parse_request("Connection: Keep-Alive\r\n", "GET /a HTTP/1.0")->keep_alive);
  EXPECT_EQ(parse_request("Host: h:1\r\n", "GET http://h:1/b?c HTTP/1.1")->head.target, "/b?c");
  EXPECT_EQ(parse_request("Host: h\r\n", "GET http://h HTTP/1.1")->head.target, "/");
  EXPECT_EQ(parse_request("Host: h\r\n", "OPTIONS * HTTP/1.1")->head.target, "*");
}

TEST(HeadParser, RefusesWhatTwoReadersCouldReadDifferently) {
  for (const std::string lines : {
           "Host: h\r\nTransfer-Encoding: xchunked\r\n",
           "Host: h\r\nTransfer-Encoding: identity\r\n",
           "Host: h\r\nTransfer-Encoding: chunked, gzip\r\n",
           "Host: h\r\nTransfer-Encoding: chunked, chunked\r\n",
           "Host: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
           "Host: h\r\nTransfer-Encoding:\r\n",
           "Host: h\r\nTransfer-Encoding: \x0b"
           "chunked\r\n",
           "Host: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n",
           "Host: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n",
           "Host: h\r\nContent-Length: 3, 3\r\n",
           "Host: h\r\nContent-Length: +3\r\n",
           "Host: h\r\nContent-Length: -3\r\n",
           "Host: h\r\nContent-Length: 0x3\r\n",
           "Host: h\r\nContent-Length: 3 3\r\n",
           "Host: h\r\nContent-Length:\r\n",
           "Host: h\r\nContent-Length: 99999999999999999999\r\n",
           "Host: h\r\nContent-Length : 3\r\n",
           "Host: h\r\n Content-Length: 3\r\n",
           "Host: h\r\nX: a\r\n b\r\n",
           "Host: h\r\n: a\r\n",
           "Host: h\r\nno colon\r\n",
           "Host: h\r\nX: a\x01\r\n",
           "Host: h\r\nX: a\nContent-Length: 3\r\n",
           "Host: h\r\nX: a\rContent-Length: 3\r\n",
           "Host: h\nContent-Length: 3\r\n",
           "X: no host\r\n",
           "Host: h\r\nHost: h\r\n",
           "Host:\r\n",
           "Host: a b\r\n",
           "Host: user@h\r\n",
           "Host: h:99999\r\n",
           "Host: h/x\r\n",
       }) {
    const auto parsed = parse_request(lines);
    EXPECT_FALSE(parsed) << lines;
  }
  EXPECT_FALSE(parse_request(std::string("Host: h\r\nX: \0\r\n", 14)));
  for (const std::string first :
       {"GET /a  HTTP/1.1", "GET /a b HTTP/1.1", "GET  /a HTTP/1.1", "GET /a", "/a HTTP/1.1",
        "GET a HTTP/1.1", "GET /a HTTP/1.1 ", "GET /a HTTP/2.0", "GET /a http/1.1", "G(T /a HTTP/1.1",
        "GET http://other/ HTTP/1.1", "GET ftp://h/ HTTP/1.1", "CONNECT h:80 HTTP/1.1", "GET * HTTP/1.1",
        "GET /\x7f HTTP/1.1"}) {
    EXPECT_FALSE(parse_request("Host: h\r\n", first)) << first;
  }
  EXPECT_FALSE(parse_request("Transfer-Encoding: chunked\r\n", "POST /a HTTP/1.0"));
}

TEST(HeadParser, FindsTheEndWhereverThePiecesAreCut) {
  const std::string head = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  for (std::size_t cut = 1; cut < head.size(); ++cut) {
    std::size_t scanned = 0;
    const auto first = find_head_end(std::string_view(head).substr(0, cut), scanned);
    ASSERT_TRUE(first) << cut;
    EXPECT_FALSE(*first) << cut;
    EXPECT_EQ(*find_head_end(head + "GET", scanned), head.size()) << cut;
  }
}

TEST(HeadParser, KnowsAtTheFirstByteWhatIsNoHttp) {
  std::size_t scanned = 0;
  EXPECT_FALSE(find_head_end("\x16\x03\x01", scanned)) << "a TLS hello";
}

TEST(HeadParser, LimitsTheLines) {
  std::string many = "Host: h\r\n";
  for (int i = 0; i < 300; ++i) many += "X: y\r\n";
  const auto parsed = parse_request(many);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, ErrorCode::too_large);
}

Result<ParsedResponse> parse_response(const std::string& lines,
                                      const std::string& status_line = "HTTP/1.1 200 OK") {
  return parse_response_head(status_line + "\r\n" + lines + "\r\n");
}

TEST(HeadParser, ReadsAnAnswer) {
  EXPECT_EQ(parse_response("Content-Length: 3\r\n")->head.length, BodyLength{3});
  EXPECT_EQ(parse_response("", "HTTP/1.1 204")->head.status, 204);
  EXPECT_TRUE(parse_response("Transfer-Encoding: chunked\r\n")->chunked);
  EXPECT_TRUE(parse_response("")->until_close);
  EXPECT_FALSE(parse_response("", "HTTP/1.0 200 OK")->keep_alive);
}

TEST(HeadParser, RefusesAnAnswerThatCouldEndInTwoPlaces) {
  for (const std::string lines :
       {"Content-Length: 3\r\nContent-Length: 4\r\n", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: -1\r\n", "Transfer-Encoding: gzip\r\n", " folded\r\n", "X : y\r\n"})
    EXPECT_FALSE(parse_response(lines)) << lines;
  for (const std::string first : {"HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1  200", "HTTP/3.0 200 OK",
                                  "ICY 200 OK", "HTTP/1.1 099 No"})
    EXPECT_FALSE(parse_response("", first)) << first;
}

}  // namespace
}  // namespace mgpu::http
