#include "eval/eval_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastkv {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

EvalRecord SomeRecord() {
  EvalRecord record;
  record.sample = 12;
  record.key = {.task = "number", .length = 4096, .depth = 22.5, .index = 3};
  record.run = "snapkv 10 %";
  record.suite = "niah";
  record.profile = "native";
  record.identity = "0123456789abcdef";
  record.score = 1.0 / 3;
  record.output = "It is \"7\"\nü";
  record.output_ids = {1, 2, 3};
  record.finish = "end_token";
  record.expected = Json::array({"7"});
  record.question = "What?";
  record.excerpt = " … the number is 7. … ";
  record.prompt_tokens = 4090;
  record.untruncated_tokens = 5000;
  record.prompt_hash = "fedcba9876543210";
  record.kv_bytes = 10;
  record.full_kv_bytes = 100;
  record.prefill_flops = 1.5e12;
  record.full_prefill_flops = 3e12;
  return record;
}

std::string_view WithoutEnd(std::string_view line) { return line.substr(0, line.size() - 1); }

TEST(EvalRecord, ComesBackAsItWas) {
  const std::string line = RecordLine(SomeRecord());
  EXPECT_THAT(line, EndsWith("\"}\n"));
  EXPECT_EQ(line.find('\n'), line.size() - 1) << "one line";
  const Result<EvalRecord> record = ParseRecord(WithoutEnd(line));
  ASSERT_TRUE(record.ok()) << record.status().message();
  EXPECT_EQ(RecordLine(*record), line);
  EXPECT_EQ(record->key, SomeRecord().key);
  EXPECT_EQ(record->score, SomeRecord().score);
  EXPECT_EQ(record->output, SomeRecord().output);
  EXPECT_EQ(record->output_ids, SomeRecord().output_ids);
  EXPECT_EQ(record->untruncated_tokens, 5000);
}

TEST(EvalRecord, AFailureHasNoScore) {
  EvalRecord failed = SomeRecord();
  failed.score = std::nullopt;
  failed.error = "no memory";
  failed.key.depth = std::nullopt;
  failed.untruncated_tokens = 0;
  failed.expected = nullptr;
  const std::string line = RecordLine(failed);
  EXPECT_THAT(line, HasSubstr("\"score\":null,\"error\":\"no memory\""));
  const Result<EvalRecord> record = ParseRecord(WithoutEnd(line));
  ASSERT_TRUE(record.ok()) << record.status().message();
  EXPECT_EQ(RecordLine(*record), line);
}

TEST(EvalRecord, EveryPrefixAndEveryBitIsNoticed) {
  const std::string line(WithoutEnd(RecordLine(SomeRecord())));
  for (size_t num_bytes = 0; num_bytes < line.size(); ++num_bytes) {
    EXPECT_EQ(ParseRecord(line.substr(0, num_bytes)).status().code(), StatusCode::kFormat);
  }
  std::string changed = line;
  for (size_t bit = 0; bit < 8 * line.size(); ++bit) {
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(ParseRecord(changed).status().code(), StatusCode::kFormat) << bit;
    changed[bit / 8] = line[bit / 8];
  }
}

}  // namespace
}  // namespace fastkv
