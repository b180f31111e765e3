#include "text/jinja/text.h"

#include <gtest/gtest.h>

#include "text/jinja/value.h"

namespace fastkv::jinja {
namespace {

TEST(TextTest, MarksFollowTheBytes) {
  TextBuffer buffer;
  buffer.Append("ab", true);
  buffer.Append("cd", true);
  buffer.Append("", false);
  buffer.Append("ef", false);
  ASSERT_EQ(buffer.runs.size(), 2u);
  const Text text{&buffer, 1, 4};
  EXPECT_EQ(text.view(), "bcde");
  TrustCursor cursor(text);
  EXPECT_TRUE(cursor.TrustedAt(0));
  EXPECT_TRUE(cursor.TrustedAt(2));
  EXPECT_FALSE(cursor.TrustedAt(3));
  const std::vector<TextSegment> segments = Segments(text);
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].text, "bcd");
  EXPECT_TRUE(segments[0].trusted);
  EXPECT_EQ(segments[1].text, "e");
  EXPECT_FALSE(segments[1].trusted);
  EXPECT_TRUE(Segments({}).empty());
}

TEST(TextTest, GrowingInPlaceLeavesEarlierTextsAlone) {
  Budget budget(0);
  Heap heap(&budget);
  const Result<Value> start = heap.NewString("ab", true);
  const Result<Value> more = heap.NewString("cd", false);
  const Result<Value> first = heap.Concatenate(start->text(), more->text());
  const Result<Value> second = heap.Concatenate(start->text(), more->text());
  const Result<Value> self = heap.Concatenate(first->text(), first->text());
  EXPECT_EQ(start->view(), "ab");
  EXPECT_EQ(first->view(), "abcd");
  EXPECT_EQ(second->view(), "abcd");
  EXPECT_EQ(self->view(), "abcdabcd");
  EXPECT_EQ(first->text().buffer, start->text().buffer);
  EXPECT_NE(second->text().buffer, start->text().buffer);
  EXPECT_EQ(Segments(self->text()).size(), 4u);
}

TEST(TextTest, NothingIsStoredBeyondTheBudget) {
  Budget budget(0);
  TextBuffer buffer;
  TextBuilder builder(&buffer, &budget, 4);
  builder.Append("abc", true);
  EXPECT_TRUE(builder.status().ok());
  builder.Append("de", true);
  EXPECT_EQ(builder.status().code(), StatusCode::kLimit);
  builder.Append("f", true);
  EXPECT_EQ(buffer.bytes, "abc");
}

}  // namespace
}  // namespace fastkv::jinja
