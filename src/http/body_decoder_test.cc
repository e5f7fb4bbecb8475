#include "http/body_decoder.h"

#include <gtest/gtest.h>

namespace mgpu::http {
namespace {

// The data of `connection`, fed in pieces of `step` bytes; bytes after the body are not consumed.
Result<std::string> decode_in_pieces(BodyDecoder decoder, std::string_view wire, std::size_t step,
                                     std::string_view rest = "") {
  std::string out;
  while (!wire.empty() && !decoder.is_complete()) {
    const auto taken = decoder.feed(wire.substr(0, step), out);
    if (!taken) return std::unexpected(taken.error());
    wire.remove_prefix(*taken);
  }
  if (auto ended = decoder.end_of_input(); !ended) return std::unexpected(ended.error());
  EXPECT_EQ(wire, rest);
  return out;
}

TEST(BodyDecoder, TakesChunksApartWhereverThePiecesAreCut) {
  const std::string wire = "3\r\nabc\r\n00A;x=\"y z\"\r\n0123456789\r\n0\r\nT: 1\r\nU:\r\n\r\nGET";
  for (std::size_t step = 1; step <= wire.size(); ++step) {
    const auto data = decode_in_pieces(BodyDecoder::chunked({}), wire, step, "GET");
    ASSERT_TRUE(data) << step << ": " << data.error().detail;
    EXPECT_EQ(*data, "abc0123456789");
  }
}

TEST(BodyDecoder, RefusesFramingThatCanBeReadInTwoWays) {
  for (const std::string wire :
       {"\r\n", "g\r\n", "0x3\r\nabc\r\n0\r\n\r\n", "+3\r\nabc\r\n0\r\n\r\n", "-1\r\n",
        " 3\r\nabc\r\n0\r\n\r\n", "3 \r\nabc\r\n0\r\n\r\n", "3\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n", "3\r\nabc\n0\r\n\r\n", "10000000000000003\r\nabc", "3;a\nb\r\nabc\r\n0\r\n\r\n",
        "0\r\n folded: x\r\n\r\n", "0\r\nno colon\r\n\r\n", "0\r\n\rX", "3\r\nab", "3", ""}) {
    EXPECT_FALSE(decode_in_pieces(BodyDecoder::chunked({}), wire, 100)) << wire;
  }
}

TEST(BodyDecoder, CountsEveryByteAgainstALimit) {
  const BodyLimits limits{.max_data = 4, .max_framing = 8};
  EXPECT_TRUE(decode_in_pieces(BodyDecoder::chunked(limits), "4;12345678\r\nabcd\r\n0\r\n\r\n", 1));
  for (const std::string wire :
       {"5\r\n", "2\r\nab\r\n3\r\n", "1;123456789\r\n", "1;12345\r\na\r\n1;12345\r\n", "0\r\nname:6789\r\n",
        "0\r\na:1\r\nb:1\r\nc:1\r\n"}) {
    std::string out;
    BodyDecoder decoder = BodyDecoder::chunked(limits);
    const auto taken = decoder.feed(wire, out);
    ASSERT_FALSE(taken) << wire;
    EXPECT_EQ(taken.error().code, ErrorCode::too_large) << wire;
  }
}

TEST(BodyDecoder, KnowsHowMuchIsLeftWhereTheLengthIsKnown) {
  BodyDecoder decoder = BodyDecoder::of_length(5);
  std::string out;
  EXPECT_EQ(*decoder.feed("abc", out), 3U);
  EXPECT_EQ(decoder.remaining(), 2U);
  EXPECT_FALSE(decoder.end_of_input());
  EXPECT_EQ(*decoder.feed("defg", out), 2U);
  EXPECT_EQ(out, "abcde");
  EXPECT_TRUE(decoder.is_complete());
  EXPECT_TRUE(BodyDecoder::of_length(0).is_complete());
  EXPECT_EQ(*decode_in_pieces(BodyDecoder::until_close(), "all of it", 2), "all of it");
}

}  // namespace
}  // namespace mgpu::http
