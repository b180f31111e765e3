#include "io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "base/float16.h"
#include "io/contained_path.h"
#include "io/fault_file_system.h"
#include "io/memory_file_system.h"
#include "io/safetensors_bytes.h"
#include "io/temp_folder.h"

namespace fastkv {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

// A file with one F32 tensor of two elements for each name.
std::string FileWith(const std::vector<std::string>& names) {
  std::string header = "{";
  std::string data;
  for (const std::string& name : names) {
    const std::string begin = std::to_string(data.size());
    const float values[2] = {1.5f, static_cast<float>(data.size())};
    data.append(reinterpret_cast<const char*>(values), sizeof(values));
    if (header.size() > 1) header += ',';
    header += "\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[" + begin + "," +
              std::to_string(data.size()) + "]}";
  }
  return SafetensorsBytes(header + "}", data);
}

std::string IndexOf(const std::string& weight_map) {
  return "{\"metadata\":{\"total_size\":16},\"weight_map\":" + weight_map + "}";
}

TEST(SafetensorsFile, GivesViewsOfTensors) {
  MemoryFileSystem files;
  files.Put("/m/a.safetensors", FileWith({"x", "y"}));
  const Result<SafetensorsFile> file = SafetensorsFile::Open(files, "/m/a.safetensors");
  ASSERT_TRUE(file.ok()) << file.status().message();
  const Result<HostTensor> y = file->Tensor("y");
  ASSERT_TRUE(y.ok());
  EXPECT_EQ(y->shape, std::vector<int64_t>{2});
  EXPECT_EQ(y->num_bytes(), 8);
  float values[2];
  std::memcpy(values, y->data, sizeof(values));
  EXPECT_EQ(values[1], 8.0f);
  EXPECT_EQ(file->Tensor("z").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(file->Find("a"), nullptr);
  EXPECT_EQ(file->Find("zz"), nullptr);
}

TEST(SafetensorsFile, OtherElementTypesAreKnownButNotUsable) {
  MemoryFileSystem files;
  files.Put("/a", SafetensorsBytes(R"({"x":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})",
                                   "12345678"));
  const Result<SafetensorsFile> file = SafetensorsFile::Open(files, "/a");
  ASSERT_TRUE(file.ok());
  const Status status = file->Tensor("x").status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), HasSubstr("I64"));
}

TEST(SafetensorsFile, MessagesNameThePath) {
  MemoryFileSystem files;
  files.Put("/a", "short");
  EXPECT_THAT(SafetensorsFile::Open(files, "/a").status().message(), HasSubstr("/a: "));
  EXPECT_EQ(SafetensorsFile::Open(files, "/b").status().code(), StatusCode::kNotFound);
}

class SafetensorsModelTest : public testing::Test {
 protected:
  Result<SafetensorsModel> Open() { return SafetensorsModel::Open(files_, "/m"); }
  MemoryFileSystem files_;
};

TEST_F(SafetensorsModelTest, OpensOneFile) {
  files_.Put("/m/model.safetensors", FileWith({"x", "y"}));
  const Result<SafetensorsModel> model = Open();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->num_tensors(), 2);
  EXPECT_EQ(model->size_bytes(), 16u);
  EXPECT_TRUE(model->Tensor("y").ok());
  EXPECT_NE(model->Find("x"), nullptr);
  EXPECT_EQ(model->Find("z"), nullptr);
  EXPECT_EQ(model->Tensor("z").status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(model->CheckUndamaged().ok());
  files_.DamageMappings();
  EXPECT_EQ(model->CheckUndamaged().code(), StatusCode::kIo);
}

TEST_F(SafetensorsModelTest, OpensShards) {
  files_.Put("/m/model.safetensors.index.json", IndexOf(R"({"x":"1.st","z":"2.st","y":"1.st"})"));
  files_.Put("/m/1.st", FileWith({"x", "y"}));
  files_.Put("/m/2.st", FileWith({"z"}));
  const Result<SafetensorsModel> model = Open();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->shards().size(), 2u);
  EXPECT_EQ(model->num_tensors(), 3);
  for (const char* name : {"x", "y", "z"}) EXPECT_TRUE(model->Tensor(name).ok()) << name;
}

TEST_F(SafetensorsModelTest, MissingWeightsSayWhatWasExpected) {
  const Status status = Open().status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("model.safetensors.index.json"));
}

TEST_F(SafetensorsModelTest, IndexAndFilesMustAgree) {
  files_.Put("/m/1.st", FileWith({"x"}));
  files_.Put("/m/2.st", FileWith({"y"}));
  files_.Put("/m/3.st", FileWith({"x", "z"}));
  const auto open = [&](const std::string& weight_map) {
    files_.Put("/m/model.safetensors.index.json", IndexOf(weight_map));
    return Open().status();
  };
  EXPECT_TRUE(open(R"({"x":"1.st","y":"2.st"})").ok());
  const Status absent = open(R"({"x":"2.st"})");
  EXPECT_EQ(absent.code(), StatusCode::kFormat);
  EXPECT_THAT(absent.message(), HasSubstr("\"x\" is not in \"2.st\""));
  const Status twice = open(R"({"x":"1.st","z":"3.st"})");
  EXPECT_EQ(twice.code(), StatusCode::kFormat);
  EXPECT_THAT(twice.message(), HasSubstr("\"x\" is in two files"));
  const Status missing = open(R"({"x":"1.st","y":"4.st"})");
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr("/m/4.st"));
}

TEST_F(SafetensorsModelTest, RefusesMalformedIndexes) {
  for (const char* index :
       {"", "[]", "{}", R"({"weight_map":null})", R"({"weight_map":[]})", R"({"weight_map":{}})",
        R"({"weight_map":{"x":1}})", R"({"weight_map":{"x":"1.st","x":"1.st"}})"}) {
    files_.Put("/m/model.safetensors.index.json", index);
    EXPECT_EQ(Open().status().code(), StatusCode::kFormat) << index;
  }
  std::string many = "{\"n\":\"1.st\"";
  for (int i = 0; i < 100'000; ++i) many += ",\"" + std::to_string(i) + "\":\"1.st\"";
  files_.Put("/m/model.safetensors.index.json", IndexOf(many + "}"));
  EXPECT_EQ(Open().status().code(), StatusCode::kLimit);
  std::string shards = "{\"n\":\"n.st\"";
  for (int i = 0; i < 10'000; ++i) {
    shards += ",\"" + std::to_string(i) + "\":\"" + std::to_string(i) + ".st\"";
  }
  files_.Put("/m/model.safetensors.index.json", IndexOf(shards + "}"));
  EXPECT_EQ(Open().status().code(), StatusCode::kLimit);
}

TEST_F(SafetensorsModelTest, NumberOfTensorsInAllShardsIsLimited) {
  const auto many = [](const std::string& prefix) {
    std::string header = "{";
    for (int i = 0; i < 60'000; ++i) {
      header += (i > 0 ? ",\"" : "\"") + prefix + std::to_string(i) +
                "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}";
    }
    return SafetensorsBytes(header + "}", "");
  };
  files_.Put("/m/1.st", many("a"));
  files_.Put("/m/2.st", many("b"));
  files_.Put("/m/model.safetensors.index.json", IndexOf(R"({"a0":"1.st","b0":"2.st"})"));
  EXPECT_EQ(Open().status().code(), StatusCode::kLimit);
}

TEST_F(SafetensorsModelTest, ShardsNeverLeaveTheFolder) {
  for (const char* shard : {"../x.st", "/etc/passwd", "a/b.st", "..", ".", "", "x\\u0000"}) {
    files_.Put("/m/model.safetensors.index.json",
               IndexOf("{\"x\":\"" + std::string(shard) + "\"}"));
    const Status status = Open().status();
    EXPECT_EQ(status.code(), StatusCode::kFormat) << shard;
    EXPECT_THAT(status.message(),
                HasSubstr("model.safetensors.index.json: expected the plain name"));
  }
}

TEST(ContainedPath, LinksMayLeadOnlyIntoTheFolderOrTheBlobsOfItsCache) {
  MemoryFileSystem files;
  const std::string repository = "/hub/models--a--b";
  const std::string folder = repository + "/snapshots/0123";
  files.Put(folder + "/plain", "");
  files.Put(repository + "/blobs/f00", "");
  files.Put(repository + "/refs/main", "");
  files.Put("/hub/other/blobs/f00", "");
  files.Put(repository + "/blobsx/f00", "");
  files.PutLink(folder + "/in", folder + "/plain");
  files.PutLink(folder + "/blob", repository + "/blobs/f00");
  files.PutLink(folder + "/refs", repository + "/refs/main");
  files.PutLink(folder + "/other", "/hub/other/blobs/f00");
  files.PutLink(folder + "/near", repository + "/blobsx/f00");
  files.PutLink(folder + "/self", folder);
  EXPECT_EQ(*ContainedPath(files, folder, "plain"), folder + "/plain");
  EXPECT_EQ(*ContainedPath(files, folder, "in"), folder + "/plain");
  EXPECT_EQ(*ContainedPath(files, folder, "blob"), repository + "/blobs/f00");
  for (const char* name : {"refs", "other", "near", "self"}) {
    const Status status = ContainedPath(files, folder, name).status();
    EXPECT_EQ(status.code(), StatusCode::kNotFound) << name;
    EXPECT_THAT(status.message(), HasSubstr("leads out of its folder")) << name;
  }
  files.Put("/m/plain", "");
  files.PutLink("/m/blob", "/blobs/f00");
  files.Put("/blobs/f00", "");
  EXPECT_FALSE(ContainedPath(files, "/m", "blob").ok());
  EXPECT_TRUE(ContainedPath(files, "/m", "plain").ok());
  EXPECT_FALSE(ContainedPath(files, "/n", "plain").ok());
}

TEST(ContainedPath, WorksForTheRootFolderAndRelativeOnes) {
  MemoryFileSystem files;
  files.Put("/plain", "");
  files.PutLink("/", "/");
  EXPECT_EQ(*ContainedPath(files, "/", "plain"), "/plain");
  files.Put("m/plain", "");
  files.PutLink("m", "/cwd/m");
  files.PutLink("m/plain", "/cwd/m/plain");
  EXPECT_EQ(*ContainedPath(files, "m", "plain"), "/cwd/m/plain");
  files.PutLink("m", "nowhere");
  files.PutLink("m/plain", "/plain");
  EXPECT_FALSE(ContainedPath(files, "m", "plain").ok());
}

class SafetensorsOnDiskTest : public testing::Test {
 protected:
  void Write(const std::string& name, const std::string& content) {
    std::ofstream(folder_.File(name), std::ios::binary) << content;
  }
  void WriteIndex(const std::string& shard) {
    Write("model.safetensors.index.json", IndexOf("{\"x\":\"" + shard + "\"}"));
  }
  StatusCode OpenCode() {
    return SafetensorsModel::Open(RealFileSystem(), folder_.path()).status().code();
  }
  TempFolder folder_;
};

TEST_F(SafetensorsOnDiskTest, NeverOpensLinksOutPipesDevicesAndFolders) {
  TempFolder outside;
  std::ofstream(outside.File("x.st"), std::ios::binary) << FileWith({"x"});
  std::filesystem::create_symlink(outside.File("x.st"), folder_.File("link.st"));
  std::filesystem::create_symlink("/dev/zero", folder_.File("zero.st"));
  std::filesystem::create_symlink("missing", folder_.File("dangling.st"));
  std::filesystem::create_directory(folder_.File("folder.st"));
  ASSERT_EQ(mkfifo(folder_.File("fifo.st").c_str(), 0600), 0);
  for (const char* name :
       {"link.st", "zero.st", "dangling.st", "folder.st", "fifo.st", "missing.st"}) {
    WriteIndex(name);
    EXPECT_EQ(OpenCode(), StatusCode::kNotFound) << name;
  }
  Write("inside.st", FileWith({"x"}));
  std::filesystem::create_symlink("inside.st", folder_.File("good.st"));
  WriteIndex("good.st");
  EXPECT_EQ(OpenCode(), StatusCode::kOk);
  std::filesystem::create_symlink(outside.File("x.st"), folder_.File("model.safetensors"));
  EXPECT_EQ(OpenCode(), StatusCode::kNotFound);
}

TEST_F(SafetensorsOnDiskTest, TruncationWhileOpenIsAnErrorNotASignal) {
  Write("model.safetensors", FileWith({"x"}));
  Result<SafetensorsModel> model = SafetensorsModel::Open(RealFileSystem(), folder_.path());
  ASSERT_TRUE(model.ok());
  const Result<HostTensor> tensor = model->Tensor("x");
  ASSERT_TRUE(tensor.ok());
  std::filesystem::resize_file(folder_.File("model.safetensors"), 0);
  float value = 1.0f;
  std::memcpy(&value, tensor->data, sizeof(value));
  EXPECT_EQ(value, 0.0f);
  const Status status = model->CheckUndamaged();
  EXPECT_EQ(status.code(), StatusCode::kIo);
  EXPECT_THAT(status.message(), HasSubstr(folder_.File("model.safetensors")));
}

TEST_F(SafetensorsOnDiskTest, EveryFileOperationMayFailOnce) {
  Write("1.st", FileWith({"x"}));
  WriteIndex("1.st");
  for (const Fault fault :
       {Fault::kError, Fault::kNoMemory, Fault::kInterrupted, Fault::kShort, Fault::kEarlyEnd}) {
    for (int64_t k = 0;; ++k) {
      FaultFileSystem files(k, fault);
      const Status status = SafetensorsModel::Open(files, folder_.path()).status();
      if (!files.reached()) break;
      if (fault == Fault::kInterrupted || fault == Fault::kShort) {
        EXPECT_TRUE(status.ok()) << k << status.message();
      } else if (fault != Fault::kEarlyEnd) {
        EXPECT_THAT(status.code(), AnyOf(StatusCode::kIo, StatusCode::kMemory)) << k;
      } else if (!status.ok()) {
        EXPECT_EQ(status.code(), StatusCode::kFormat) << k;
      }
    }
  }
}

TEST(CheckFinite, NamesTheFirstBadElement) {
  const float nan = std::nanf("");
  const float infinity = std::numeric_limits<float>::infinity();
  float values[4] = {0.0f, -1e38f, 1e-45f, 3.0f};
  const HostTensor f32 = {reinterpret_cast<const std::byte*>(values), DType::kF32, {2, 2}};
  EXPECT_TRUE(CheckFinite(f32).ok());
  for (float bad : {nan, infinity, -infinity}) {
    values[3] = bad;
    const Status status = CheckFinite(f32);
    EXPECT_EQ(status.code(), StatusCode::kNumeric);
    EXPECT_THAT(status.message(), HasSubstr("element 3"));
  }
  uint16_t halves[2] = {0x7bff, 0xfbff};
  const auto* half_bytes = reinterpret_cast<const std::byte*>(halves);
  EXPECT_TRUE(CheckFinite({half_bytes, DType::kF16, {2}}).ok());
  halves[1] = 0xfc00;
  EXPECT_FALSE(CheckFinite({half_bytes, DType::kF16, {2}}).ok());
  EXPECT_TRUE(CheckFinite({half_bytes, DType::kF16, {0, 2}}).ok());
  halves[0] = ToBFloat16(1e38f).bits;
  halves[1] = ToBFloat16(nan).bits;
  EXPECT_FALSE(CheckFinite({half_bytes, DType::kBF16, {2}}).ok());
  EXPECT_TRUE(CheckFinite({half_bytes, DType::kBF16, {1}}).ok());
  EXPECT_TRUE(CheckFinite({half_bytes, DType::kI8, {4}}).ok());
}

TEST(HostTensor, KnowsItsAlignment) {
  alignas(4) const std::byte bytes[8] = {};
  EXPECT_TRUE((HostTensor{bytes, DType::kF32, {1}}).is_aligned());
  EXPECT_FALSE((HostTensor{bytes + 2, DType::kF32, {1}}).is_aligned());
  EXPECT_TRUE((HostTensor{bytes + 2, DType::kBF16, {1}}).is_aligned());
}

}  // namespace
}  // namespace fastkv
