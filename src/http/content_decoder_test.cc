#include "http/content_decoder.h"

#include <algorithm>
#include <functional>
#include <string>

#include <brotli/encode.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include "tests/zlib_encoded.h"

namespace mgpu::http {
namespace {

std::string zlib(std::string_view plain) { return zlib_encoded(plain, MAX_WBITS); }
std::string raw_deflate(std::string_view plain) { return zlib_encoded(plain, -MAX_WBITS); }

std::string zstd(std::string_view plain) {
  std::string encoded(ZSTD_compressBound(plain.size()), '\0');
  encoded.resize(ZSTD_compress(encoded.data(), encoded.size(), plain.data(), plain.size(), 3));
  return encoded;
}

std::string brotli(std::string_view plain) {
  std::size_t size = BrotliEncoderMaxCompressedSize(plain.size()) + 16;
  std::string encoded(size, '\0');
  BrotliEncoderCompress(5, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, plain.size(),
                        reinterpret_cast<const std::uint8_t*>(plain.data()), &size,
                        reinterpret_cast<std::uint8_t*>(encoded.data()));
  encoded.resize(size);
  return encoded;
}

// Feeds pieces of `piece_size` bytes.
Result<std::string> decode(std::string_view encoding, std::string_view encoded, std::size_t piece_size) {
  Result<ContentDecoder> decoder = ContentDecoder::make(encoding);
  if (!decoder) return std::unexpected(decoder.error());
  std::string plain;
  for (std::size_t at = 0; at < encoded.size(); at += piece_size) {
    decoder->feed(std::string(encoded.substr(at, piece_size)));
    while (true) {
      Result<std::string> piece = decoder->next();
      if (!piece) return piece;
      if (piece->empty()) break;
      EXPECT_LE(piece->size(), 64U * 1024);
      plain += *piece;
    }
  }
  if (Result<void> end = decoder->finish(); !end) return std::unexpected(end.error());
  return plain;
}

struct Coding {
  const char* name;
  std::string (*encode)(std::string_view);
};

class ContentDecoderTest : public testing::TestWithParam<Coding> {};

std::string sample() {
  std::string text = R"({"model":"chat","input":")";
  for (int i = 0; i < 40'000; ++i) text += std::to_string(i * 7919 % 1000);
  return text + "\"}";
}

TEST_P(ContentDecoderTest, ReturnsTheBodyHoweverItIsSplit) {
  const std::string plain = sample();
  const std::string encoded = GetParam().encode(plain);
  for (const std::size_t size : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, encoded.size()}) {
    const auto decoded = decode(GetParam().name, encoded, size);
    ASSERT_TRUE(decoded) << decoded.error().detail;
    EXPECT_EQ(*decoded, plain) << "in pieces of " << size;
  }
}

TEST_P(ContentDecoderTest, UnpacksAnEmptyBody) {
  const auto decoded = decode(GetParam().name, GetParam().encode(""), 1);
  ASSERT_TRUE(decoded) << decoded.error().detail;
  EXPECT_EQ(*decoded, "");
}

TEST_P(ContentDecoderTest, UnpacksVeryMuchInBoundedPieces) {
  const std::string plain(20'000'000, 'x');
  const auto decoded = decode(GetParam().name, GetParam().encode(plain), 1'000'000);
  ASSERT_TRUE(decoded) << decoded.error().detail;
  EXPECT_TRUE(*decoded == plain);
}

TEST_P(ContentDecoderTest, RefusesABodyThatIsCutOff) {
  const std::string encoded = GetParam().encode(sample());
  const auto decoded = decode(GetParam().name, encoded.substr(0, encoded.size() / 2), 100);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ErrorCode::invalid_request);
}

TEST_P(ContentDecoderTest, RefusesPlainText) {
  const auto decoded = decode(GetParam().name, R"({"model":"chat","messages":[]} and more of it)", 10);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ErrorCode::invalid_request);
}

INSTANTIATE_TEST_SUITE_P(All, ContentDecoderTest,
                         testing::Values(Coding{"gzip", gzip}, Coding{"X-GZip", gzip},
                                         Coding{"deflate", zlib}, Coding{"zstd", zstd},
                                         Coding{"br", brotli}));

TEST(ContentDecoder, TakesRawDeflate) { EXPECT_EQ(decode("deflate", raw_deflate(sample()), 5), sample()); }

TEST(ContentDecoder, TakesSeveralGzipMembersInARow) {
  EXPECT_EQ(decode("gzip", gzip("one ") + gzip("two"), 3), "one two");
}

TEST(ContentDecoder, DecodesSeveralCodingsInReverseOrder) {
  EXPECT_EQ(decode("gzip, zstd ,br", brotli(zstd(gzip(sample()))), 1000), sample());
}

TEST(ContentDecoder, LeavesAnIdentityBodyAlone) {
  for (const char* encoding : {"", "identity", "Identity, identity"}) {
    EXPECT_TRUE(ContentDecoder::make(encoding)->is_identity());
    EXPECT_EQ(decode(encoding, "plain", 2), "plain");
  }
}

TEST(ContentDecoder, NamesACodingThatIsNotSupported) {
  const auto decoder = ContentDecoder::make("gzip, lzma");
  ASSERT_FALSE(decoder);
  EXPECT_NE(decoder.error().detail.find("lzma"), std::string::npos) << decoder.error().detail;
}

TEST(ContentDecoder, RefusesALongChainOfCodings) {
  EXPECT_FALSE(ContentDecoder::make("gzip, gzip, gzip, gzip"));
}

TEST(ContentDecoder, RefusesBytesAfterTheEnd) {
  EXPECT_FALSE(decode("gzip", gzip("one") + "trailing bytes", 3));
  EXPECT_FALSE(decode("br", brotli("one") + "trailing bytes", 3));
}

}  // namespace
}  // namespace mgpu::http
