#include "io/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "io/fault_file_system.h"
#include "io/gguf_bytes.h"
#include "io/memory_file_system.h"
#include "io/temp_folder.h"

namespace fastkv {
namespace {

using testing::AllOf;
using testing::HasSubstr;

GgufBytes OneTensor(const std::string& name, char byte) {
  GgufBytes bytes;
  bytes.String("general.architecture", "llama").Tensor(name, {4}, 0, std::string(16, byte));
  return bytes;
}

// Part `part` (from 0) of `num_parts`, with one tensor of its own.
std::string Part(uint16_t part, uint16_t num_parts, int32_t num_tensors) {
  GgufBytes bytes;
  if (part == 0) bytes.String("general.architecture", "llama");
  return bytes.Key("split.no", 2, GgufBytes::Raw(part))
      .Key("split.count", 2, GgufBytes::Raw(num_parts))
      .Key("split.tensors.count", 5, GgufBytes::Raw(num_tensors))
      .Tensor("t" + std::to_string(part), {4}, 0, std::string(16, static_cast<char>('a' + part)))
      .Build();
}

void PutParts(MemoryFileSystem& files) {
  for (uint16_t part = 0; part < 3; ++part) {
    files.Put("/m/big-0000" + std::to_string(part + 1) + "-of-00003.gguf", Part(part, 3, 3));
  }
}

TEST(GgufFiles, GivesTheBytesOfTensors) {
  MemoryFileSystem files;
  files.Put("/m/a.gguf", OneTensor("w", 'w').Build());
  const auto model = GgufFiles::Open(files, "/m/a.gguf");
  ASSERT_TRUE(model.ok()) << model.status().message();
  const GgufFiles::Place* place = model->Find("w");
  ASSERT_NE(place, nullptr);
  EXPECT_EQ(static_cast<char>(place->data[15]), 'w');
  EXPECT_EQ(model->Find("x"), nullptr);
  EXPECT_EQ(model->Find("a"), nullptr);
  EXPECT_EQ(model->size_bytes(), 16U);
  EXPECT_TRUE(model->CheckUndamaged().ok());
  files.DamageMappings();
  EXPECT_EQ(model->CheckUndamaged().code(), StatusCode::kIo);
  EXPECT_THAT(model->CheckUndamaged().message(), HasSubstr("/m/a.gguf"));
  EXPECT_EQ(GgufFiles::Open(files, "/m/a.gguf").status().code(), StatusCode::kIo);
}

TEST(GgufFiles, MessagesNameTheFile) {
  MemoryFileSystem files;
  files.Put("/m/a.gguf", "GGUFx");
  EXPECT_THAT(GgufFiles::Open(files, "/m/a.gguf").status().message(), HasSubstr("/m/a.gguf"));
  EXPECT_EQ(GgufFiles::Open(files, "/m/b.gguf").status().code(), StatusCode::kNotFound);
}

TEST(GgufFiles, AnyPartOpensAllOfThem) {
  MemoryFileSystem files;
  PutParts(files);
  for (const char* part : {"1", "2", "3"}) {
    const auto model = GgufFiles::Open(files, "/m/big-0000" + std::string(part) + "-of-00003.gguf");
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(model->path(), "/m/big-00001-of-00003.gguf");
    EXPECT_EQ(*model->metadata().String("general.architecture"), "llama");
    ASSERT_EQ(model->tensors().size(), 3U);
    EXPECT_EQ(static_cast<char>(model->Find("t2")->data[0]), 'c');
  }
}

TEST(GgufFiles, NamesThePartThatIsMissing) {
  MemoryFileSystem files;
  PutParts(files);
  files.Remove("/m/big-00002-of-00003.gguf");
  const Status status = GgufFiles::Open(files, "/m/big-00003-of-00003.gguf").status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("/m/big-00002-of-00003.gguf is missing"));
}

TEST(GgufFiles, RefusesPartsThatDoNotBelongTogether) {
  const auto refusal = [](MemoryFileSystem& files, const std::string& path) {
    return GgufFiles::Open(files, path).status().message();
  };
  MemoryFileSystem renamed;
  renamed.Put("/m/part.gguf", Part(0, 3, 3));
  EXPECT_THAT(refusal(renamed, "/m/part.gguf"), HasSubstr("-00001-of-00003.gguf"));

  MemoryFileSystem swapped;
  PutParts(swapped);
  swapped.Put("/m/big-00002-of-00003.gguf", Part(2, 3, 3));
  EXPECT_THAT(refusal(swapped, "/m/big-00001-of-00003.gguf"), HasSubstr("expected part 2"));

  MemoryFileSystem single;
  PutParts(single);
  single.Put("/m/big-00002-of-00003.gguf", OneTensor("w", 'w').Build());
  EXPECT_THAT(refusal(single, "/m/big-00001-of-00003.gguf"), HasSubstr("big-00002-of-00003"));

  MemoryFileSystem miscounted;
  PutParts(miscounted);
  miscounted.Put("/m/big-00001-of-00003.gguf", Part(0, 3, 4));
  EXPECT_THAT(refusal(miscounted, "/m/big-00001-of-00003.gguf"),
              AllOf(HasSubstr("split.tensors.count"), HasSubstr("3 tensors")));

  MemoryFileSystem out_of_range;
  out_of_range.Put("/m/big-00001-of-00003.gguf", Part(3, 3, 3));
  EXPECT_THAT(refusal(out_of_range, "/m/big-00001-of-00003.gguf"), HasSubstr("split.no"));

  MemoryFileSystem doubled;
  PutParts(doubled);
  doubled.Put("/m/big-00002-of-00003.gguf", GgufBytes()
                                                .Key("split.no", 2, GgufBytes::Raw<uint16_t>(1))
                                                .Key("split.count", 2, GgufBytes::Raw<uint16_t>(3))
                                                .Tensor("t0", {1}, 0, "1234")
                                                .Build());
  EXPECT_THAT(refusal(doubled, "/m/big-00001-of-00003.gguf"), HasSubstr("\"t0\" is in two parts"));
}

TEST(FindGgufFile, KnowsFilesByNameOrContent) {
  MemoryFileSystem files;
  const std::string file = OneTensor("w", 'w').Build();
  files.Put("/m/a.gguf", file);
  files.Put("/blobs/0123", file);
  files.Put("/hf/config.json", "{}");
  EXPECT_EQ(FindGgufFile(files, "/m/a.gguf").value(), "/m/a.gguf");
  EXPECT_EQ(FindGgufFile(files, "/blobs/0123").value(), "/blobs/0123");
  EXPECT_EQ(FindGgufFile(files, "/absent.gguf").value(), "/absent.gguf");
  EXPECT_EQ(FindGgufFile(files, "/hf/config.json").value(), std::nullopt);
  EXPECT_EQ(FindGgufFile(files, "/hf").value(), std::nullopt);
  EXPECT_EQ(FindGgufFile(files, "/absent").value(), std::nullopt);
}

TEST(FindGgufFile, TakesTheOnlyModelOfAFolder) {
  MemoryFileSystem files;
  files.Put("/m/mmproj-a.gguf", "");
  files.Put("/m/a.gguf", "");
  files.Put("/m/config.json", "{}");
  EXPECT_EQ(FindGgufFile(files, "/m").value(), "/m/a.gguf");
  files.Put("/m/b-00001-of-00002.gguf", "");
  files.Put("/m/b-00002-of-00002.gguf", "");
  const Status several = FindGgufFile(files, "/m").status();
  EXPECT_EQ(several.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(several.message(), AllOf(HasSubstr("a.gguf"), HasSubstr("b-00001-of-00002.gguf")));
  files.Remove("/m/a.gguf");
  EXPECT_EQ(FindGgufFile(files, "/m").value(), "/m/b-00001-of-00002.gguf");
  files.Put("/m/model.safetensors", "");
  EXPECT_EQ(FindGgufFile(files, "/m").value(), std::nullopt);
  MemoryFileSystem encoder_alone;
  encoder_alone.Put("/m/mmproj.gguf", "");
  EXPECT_EQ(FindGgufFile(encoder_alone, "/m").value(), "/m/mmproj.gguf");
}

TEST(GgufFiles, SurvivesEveryFaultOfTheFileSystem) {
  const TempFolder folder;
  const std::string path = folder.File("big-00002-of-00002.gguf");
  for (uint16_t part = 0; part < 2; ++part) {
    std::ofstream(folder.File("big-0000" + std::to_string(part + 1) + "-of-00002.gguf"),
                  std::ios::binary)
        << Part(part, 2, 2);
  }
  for (int64_t k = 0;; ++k) {
    FaultFileSystem files(k, Fault::kError);
    const auto model = GgufFiles::Open(files, path);
    if (!files.reached()) {
      EXPECT_TRUE(model.ok()) << model.status().message();
      break;
    }
    EXPECT_FALSE(model.ok()) << k;
  }
}

TEST(GgufFiles, NoticesAFileThatIsCutWhileInUse) {
  const TempFolder folder;
  const std::string path = folder.File("a.gguf");
  GgufBytes bytes = OneTensor("w", 'w');
  std::ofstream(path, std::ios::binary)
      << bytes.Tensor("large", {1 << 14}, 0, std::string(4 << 14, 'x')).Build();
  const auto model = GgufFiles::Open(RealFileSystem(), path);
  ASSERT_TRUE(model.ok()) << model.status().message();
  std::filesystem::resize_file(path, 4096);
  EXPECT_EQ(model->Find("large")->data[(4 << 14) - 1], std::byte{0});
  EXPECT_EQ(model->CheckUndamaged().code(), StatusCode::kIo);
}

}  // namespace
}  // namespace fastkv
