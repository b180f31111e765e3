// Golden blocks: field bytes follow arithmetic sequences, so that every position of a bit is
// exercised. The expected values were computed by a separate decoder.
#include "tensor/block_formats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"

namespace fastkv {
namespace {

struct GoldenBlock {
  StoredType type;
  std::string bytes;     // hexadecimal
  int units_of_one = 1;  // a value is an integer divided by this
  std::vector<int> integers;
};

const GoldenBlock kGoldenBlocks[] = {
    {StoredType::kQ4_0,
     "00b60b30557a9fc4e90e33587da2c7ec1136",
     8,
     {-9, 24, 9, -6, -21, 12,  -3,  -18, 15, 0, -15, 18, 3,   -12, 21, 6,
      24, 15, 9, 3,  -3,  -12, -18, 24,  15, 9, 3,   -6, -12, -18, 21, 15}},
    {StoredType::kQ4_1,
     "003000be05223f5c7996b3d0ed0a2744617e9bb8",
     8,
     {-7,  -10, 3,  0,  -3, -6, -9, -12, 1, -2,  -5,  -8, -11, 2,  -1, -4,
      -12, -10, -9, -7, -5, -3, -1, 1,   2, -12, -10, -8, -6,  -5, -3, -1}},
    {StoredType::kQ5_0,
     "0034a53c0ff1073c71a6db10457aafe4194e83b8ed22",
     4,
     {7, -4, 1, -10, -5, 0,   -11, 10, -1, -12, 9,   14,  3, 8,  -3, -14,
      0, 3,  7, 10,  -3, -15, -12, -9, 10, -2,  -15, -12, 8, 11, 14, 2}},
    {StoredType::kQ5_1,
     "002c00ba1e87d24b034a91d81f66adf43b82c910579ee52c",
     16,
     {-9,  14, 5,  12, 19, -6, 1,  -8, 15, 6,  13, -12, -5, 2,  -7, 16,
      -12, 8,  -3, 1,  5,  -6, 14, 19, 7,  12, 0,  5,   -7, -3, 18, -10}},
    {StoredType::kQ8_0,
     "0028c8298aeb4cad0e6fd03192f354b51677d8399afb5cbd1e7fe041a20364c52687",
     32,
     {-56, 41, -118, -21, 76, -83, 14, 111, -48, 49, -110, -13, 84,  -75, 22, 119,
      -40, 57, -102, -5,  92, -67, 30, 127, -32, 65, -94,  3,   100, -59, 38, -121}},
    {StoredType::kIQ4NL,
     "00a4113c6792bde8133e6994bfea15406b96",
     64,
     {104, -53, 10, 83,  -69, -1,  65,  -89, -13, 49,  -113, -25, 35,  127, -38, 22,
      104, 65,  22, -13, -38, -89, 104, 65,  22,  -13, -38,  -89, 104, 49,  22,  -13}},
    {StoredType::kQ2K,
     "215c97d20d4883bef9346faae5205b960b30557a9fc4e90e33587da2c7ec11365b80a5caef14395e83a8cdf2"
     "173c6186abd0f51a3f6489aed3f81d42678cb1d6fb20456a8fb4d9fe23486d92b7dc012600340030",
     8,
     {4,  -2,  0,   2,   4,   -2,  0,  2,   4,  -2,  0,   2,  4,  -2,  0,  2,  67,  -5,  19,  43,
      67, -5,  19,  43,  67,  -5,  19, 43,  67, -5,  19,  43, 19, -9,  5,  19, 33,  5,   19,  33,
      -9, 19,  33,  -9,  5,   33,  -9, 5,   -5, -13, -9,  -5, -1, -9,  -5, -1, -13, -5,  -1,  -13,
      -9, -1,  -13, -9,  0,   78,  26, 78,  26, 0,   52,  0,  78, 26,  78, 52, 0,   52,  26,  78,
      12, -4,  28,  -4,  28,  12,  44, 12,  -4, 28,  -4,  44, 12, 44,  28, -4, -8,  -8,  -2,  -2,
      4,  10,  10,  -8,  -8,  -2,  -2, 4,   10, 10,  -8,  -8, 17, 45,  45, 73, 73,  -11, -11, 17,
      45, 45,  73,  73,  -11, -11, 17, 45,  39, -15, 3,   21, 39, -15, 3,  21, 39,  -15, 3,   21,
      39, -15, 3,   21,  21,  -3,  5,  13,  21, -3,  5,   13, 21, -3,  5,  13, 21,  -3,  5,   13,
      54, -6,  24,  54,  84,  24,  54, 84,  -6, 54,  84,  -6, 24, 84,  -6, 24, 30,  -10, 10,  30,
      50, 10,  30,  50,  -10, 30,  50, -10, 10, 50,  -10, 10, 6,  -4,  16, -4, 16,  6,   -14, 6,
      -4, 16,  -4,  -14, 6,   -14, 16, -4,  -2, -2,  -2,  -2, -2, -2,  -2, -2, -2,  -2,  -2,  -2,
      -2, -2,  -2,  -2,  39,  61,  61, -5,  -5, 17,  39,  39, 61, 61,  -5, 17, 17,  39,  39,  61,
      27, -9,  3,   3,   15,  15,  27, 27,  -9, 3,   3,   15, 15, 27,  -9, -9}},
    {StoredType::kQ3K,
     "2d88e33e99f44faa0560bb1671cc2782dd3893ee49a4ff5ab5106bc6217cd7320b30557a9fc4e90e33587da2"
     "c7ec11365b80a5caef14395e83a8cdf2173c6186abd0f51a3f6489aed3f81d42678cb1d6fb20456a8fb4d9fe"
     "23486d92b7dc012615589bde2164a7ea2d70b3f6002c",
     16,
     {-33, 44,   -11, 22,  -33, 44,  -11, 22,  -33,  44,  -11, 22,   -33, 44,  -11,  22,
      -72, 96,   -24, 48,  -72, 96,  -24, 48,  -72,  96,  -24, 48,   -72, 96,  -24,  48,
      -54, -108, 27,  54,  -27, -81, 54,  81,  -108, -54, 81,  0,    -81, -27, 0,    27,
      -28, -56,  14,  28,  -14, -42, 28,  42,  -56,  -28, 42,  0,    -42, -14, 0,    14,
      0,   -17,  -51, 51,  -51, 0,   34,  -68, 51,   -51, -17, 34,   -68, 34,  17,   -17,
      -28, 112,  56,  0,   56,  -28, -84, 84,  0,    56,  112, -84,  84,  -84, -56,  112,
      0,   0,    75,  -25, -50, 25,  -75, 0,   100,  75,  -25, 50,   25,  -75, 100,  100,
      -6,  -12,  12,  -18, -18, 24,  0,   -6,  12,   12,  -18, 6,    24,  0,   18,   12,
      -1,  -4,   -3,  2,   3,   0,   -3,  -2,  -1,   -4,  1,   2,    3,   -4,  -3,   -2,
      63,  0,    21,  -42, -21, -84, 21,  42,  63,   0,   -63, -42,  -21, 0,   21,   42,
      50,  -100, 25,  50,  -25, 25,  -50, 75,  -100, 50,  75,  -100, 25,  -25, 0,    -75,
      -58, 0,    -87, 58,  -29, 29,  58,  -29, 0,    -58, 87,  -116, 29,  87,  -116, 29,
      60,  90,   -90, 90,  30,  -60, 0,   60,  90,   -90, 90,  120,  -60, 0,   30,   90,
      -30, 20,   40,  -20, 0,   10,  -10, -30, 20,   40,  -20, -10,  10,  -10, 0,    20,
      -20, 30,   30,  -40, 0,   10,  -20, 20,  -10,  -10, 0,   -30,  -30, 20,  -20,  30,
      90,  -120, 30,  30,  -60, 60,  90,  -30, 0,    -90, -90, 60,   -60, -30, 0,    -120}},
    {StoredType::kQ4K,
     "0028003496e93c8fe23588db2e81d4270b30557a9fc4e90e33587da2c7ec11365b80a5caef14395e83a8cdf2"
     "173c6186abd0f51a3f6489aed3f81d42678cb1d6fb20456a8fb4d9fe23486d92b7dc01264b7095badf04294e"
     "7398bde2072c51769bc0e50a2f54799ec3e80d32577ca1c6eb10355a7fa4c9ee13385d82a7ccf1163b6085aa"
     "cff4193e6388add2f71c4166",
     32,
     {-30,  -272, -162, -52,  58,   -184, -74,  36,   -206, -96,  14,   -228, -118, -8,   -250,
      -140, -30,  -272, -162, -52,  58,   -184, -74,  36,   -206, -96,  14,   -228, -118, -8,
      -250, -140, -424, -301, -219, -137, -55,  68,   150,  -424, -301, -219, -137, -14,  68,
      150,  -383, -301, -219, -96,  -14,  68,   150,  -383, -301, -219, -96,  -14,  68,   191,
      -383, -301, -178, -96,  596,  -64,  236,  536,  836,  176,  476,  776,  116,  416,  716,
      56,   356,  656,  -4,   296,  596,  -64,  236,  536,  836,  176,  476,  776,  116,  416,
      716,  56,   356,  656,  -4,   296,  -66,  -21,  9,    -201, -171, -126, -96,  -66,  -21,
      9,    -201, -156, -126, -96,  -51,  -21,  9,    -186, -156, -126, -96,  -51,  -21,  9,
      -186, -156, -126, -81,  -51,  -21,  -216, -186, 106,  -400, -170, 60,   290,  -216, 14,
      244,  -262, -32,  198,  -308, -78,  152,  -354, -124, 106,  -400, -170, 60,   290,  -216,
      14,   244,  -262, -32,  198,  -308, -78,  152,  -354, -124, 132,  279,  377,  475,  573,
      -64,  34,   132,  279,  377,  475,  622,  -64,  34,   181,  279,  377,  524,  622,  -64,
      34,   181,  279,  377,  524,  622,  -64,  83,   181,  279,  426,  524,  -316, -360, -340,
      -320, -300, -344, -324, -304, -348, -328, -308, -352, -332, -312, -356, -336, -316, -360,
      -340, -320, -300, -344, -324, -304, -348, -328, -308, -352, -332, -312, -356, -336, 146,
      -361, -283, -205, -127, -10,  68,   146,  -361, -283, -205, -88,  -10,  68,   185,  -361,
      -283, -166, -88,  -10,  68,   185,  -361, -283, -166, -88,  -10,  107,  185,  -361, -244,
      -166}},
    {StoredType::kQ5K,
     "0028003496e93c8fe23588db2e81d4272d88e33e99f44faa0560bb1671cc2782dd3893ee49a4ff5ab5106bc6"
     "217cd7320b30557a9fc4e90e33587da2c7ec11365b80a5caef14395e83a8cdf2173c6186abd0f51a3f6489ae"
     "d3f81d42678cb1d6fb20456a8fb4d9fe23486d92b7dc01264b7095badf04294e7398bde2072c51769bc0e50a"
     "2f54799ec3e80d32577ca1c6eb10355a7fa4c9ee13385d82a7ccf1163b6085aacff4193e6388add2f71c4166",
     32,
     {322,  -272, 190,  -52,  410,  -184, 278,  36,   146,  -96,  366,  -228, 234,  -8,   102,
      -140, 322,  -272, 190,  -52,  410,  -184, 278,  36,   146,  -96,  366,  -228, 234,  -8,
      102,  -140, -424, -301, 437,  519,  -55,  68,   806,  232,  -301, -219, 519,  642,  68,
      150,  273,  355,  -219, -96,  642,  724,  150,  -383, 355,  437,  -96,  -14,  724,  847,
      -383, -301, 478,  560,  1556, -64,  236,  1496, 836,  1136, 1436, 776,  1076, 416,  716,
      1016, 356,  1616, 956,  296,  1556, -64,  236,  1496, 836,  1136, 1436, 776,  1076, 416,
      716,  1016, 356,  1616, 956,  296,  174,  219,  9,    39,   69,   -126, 144,  174,  -21,
      9,    39,   -156, -126, 144,  -51,  -21,  249,  54,   -156, 114,  144,  -51,  219,  249,
      -186, -156, 114,  -81,  -51,  219,  -216, -186, 106,  -400, -170, 796,  1026, 520,  14,
      244,  -262, -32,  934,  428,  658,  152,  -354, -124, 842,  336,  566,  60,   290,  -216,
      750,  980,  474,  704,  198,  -308, -78,  888,  382,  612,  916,  279,  1161, 1259, 573,
      720,  34,   916,  279,  1161, 1259, 622,  720,  34,   965,  279,  377,  1308, 622,  720,
      34,   965,  1063, 377,  1308, 622,  720,  83,   965,  1063, 426,  1308, -316, -360, -276,
      -320, -300, -280, -260, -304, -348, -264, -308, -352, -268, -248, -356, -336, -252, -360,
      -340, -256, -236, -344, -260, -240, -348, -328, -244, -288, -332, -248, -292, -336, 146,
      263,  341,  -205, 497,  614,  68,   770,  -361, -283, 419,  -88,  -10,  692,  185,  263,
      341,  -166, 536,  614,  68,   809,  263,  -283, 458,  -88,  -10,  731,  185,  -361, 380,
      -166}},
    {StoredType::kQ6K,
     "0b30557a9fc4e90e33587da2c7ec11365b80a5caef14395e83a8cdf2173c6186abd0f51a3f6489aed3f81d42"
     "678cb1d6fb20456a8fb4d9fe23486d92b7dc01264b7095badf04294e7398bde2072c51769bc0e50a2f54799e"
     "c3e80d32577ca1c6eb10355a7fa4c9ee13385d82a7ccf1163b6085aacff4193e6388add2f71c416605223f5c"
     "7996b3d0ed0a2744617e9bb8d5f20f2c496683a0bddaf714314e6b88a5c2dffc193653708daac7e4011e3b58"
     "7592afcce90623405d7a97b4d1ee0b288cc9064380bdfa3774b1ee2b68a5e21f00a0",
     128,
     {-580,  0,     2436,  -2552, -116,  464,   2900,  -2088, -1508, 928,   3364,  -3480, -1044,
      1392,  1972,  -3016, -275,  0,     1155,  -1210, -55,   220,   1375,  -990,  -715,  440,
      1595,  -1650, -495,  660,   935,   -1430, 30,    192,   -126,  -156,  -90,   72,    138,
      108,   -114,  -48,   18,    84,    150,   -168,  -6,    -36,   335,   2144,  -1407, -1742,
      -1005, 804,   1541,  1206,  -1273, -536,  201,   938,   1675,  -1876, -67,   -402,  -4096,
      384,   2688,  -1152, 3200,  -512,  3840,  -2048, 384,   -3456, 896,   -2816, 1536,  3840,
      -1920, 2432,  -737,  1608,  -1474, 804,   -1206, 67,    -1943, 335,   1608,  -402,  1876,
      -67,   1139,  -1943, 402,   -1608, -132,  -114,  -102,  -90,   -78,   36,    48,    156,
      174,   -102,  -186,  -72,   -60,   -48,   66,    78,    -1705, -990,  1540,  1430,  440,
      275,   -715,  -825,  -110,  -1100, -1210, 1265,  1155,  165,   880,   -110,  580,   0,
      -2436, 2552,  116,   -464,  -2900, 2088,  1508,  -928,  -3364, 3480,  1044,  -1392, -1972,
      3016,  -395,  0,     1659,  -1738, -79,   316,   1975,  -1422, -1027, 632,   2291,  -2370,
      -711,  948,   1343,  -2054, -90,   -576,  378,   468,   270,   -216,  -414,  -324,  342,
      144,   -54,   -252,  -450,  504,   18,    108,   215,   1376,  -903,  -1118, -645,  516,
      989,   774,   -817,  -344,  129,   602,   1075,  -1204, -43,   -258,  -416,  2600,  728,
      -2808, 312,   -1664, 1456,  -2080, 2600,  -936,  2184,  -1456, 3328,  1456,  -2184, 936,
      2275,  -364,  1274,  -2912, 182,   -2457, 637,   -2093, -364,  2730,  -1456, 1729,  -1001,
      637,   -2002, 1092,  420,   510,   570,   630,   -750,  -660,  -120,  -60,   30,    90,
      630,   720,   -660,  -600,  -510,  -450,  403,   -186,  -248,  -806,  -868,  527,   961,
      403,   310,   248,   -310,  -403,  -961,  -527,  868,   806}},
    {StoredType::kIQ4XS,
     "00206cb196e93c8f0b30557a9fc4e90e33587da2c7ec11365b80a5caef14395e83a8cdf2173c6186abd0f51a"
     "3f6489aed3f81d42678cb1d6fb20456a8fb4d9fe23486d92b7dc01264b7095badf04294e7398bde2072c5176"
     "9bc0e50a2f54799ec3e80d32577ca1c6eb10355a7fa4c9ee13385d82a7ccf1163b6085aacff4193e6388add2"
     "f71c4166",
     128,
     {-988,  3302,  910,   -650,  -2938, 1274,  -338, -2314, 1690,  -26,   -1794, 2158,  260,
      -1378, 2704,  572,   3302,  1690,  910,   260,  -338,  -1378, -2314, 3302,  1690,  910,
      260,   -650,  -1378, -2314, 2704,  1690,  950,  -3175, -875,  625,   2825,  -1225, 325,
      2225,  -1625, 25,    1725,  -2075, -250,  1325, -2600, -550,  -875,  25,    625,   1325,
      2225,  -2600, -1625, -875,  25,    625,   1325, 2825,  -2600, -1625, -550,  25,    342,
      -1143, -315,  225,   1017,  -441,  117,   801,  -585,  9,     621,   -747,  -90,   477,
      -936,  -198,  225,   621,   1017,  -936,  -585, -198,  9,     225,   621,   1017,  -936,
      -441,  -198,  9,     342,   621,   -76,   254,  70,    -50,   -226,  98,    -26,   -178,
      130,   -2,    -138,  166,   20,    -106,  208,  44,    -226,  166,   98,    44,    -2,
      -76,   -138,  -226,  166,   98,    44,    -26,  -76,   -138,  254,   166,   -152,  508,
      140,   -100,  -452,  196,   -52,   -356,  260,  -4,    -276,  332,   40,    -212,  416,
      88,    196,   40,    -52,   -152,  -276,  508,  332,   196,   40,    -52,   -152,  -356,
      508,   332,   140,   40,    -1102, 3683,  1015, -725,  -3277, 1421,  -377,  -2581, 1885,
      -29,   -2001, 2407,  290,   -1537, 3016,  638,  -377,  -1537, -2581, 3683,  2407,  1015,
      290,   -377,  -1537, -2581, 3683,  1885,  1015, 290,   -725,  -1537, 1178,  -3937, -1085,
      775,   3503,  -1519, 403,   2759,  -2015, 31,   2139,  -2573, -310,  1643,  -3224, -682,
      2759,  -3224, -2015, -1085, -310,  775,   1643, 2759,  -3224, -2015, -1085, 31,    775,
      1643,  3503,  -3224, 304,   -1016, -280,  200,  904,   -392,  104,   712,   -520,  8,
      552,   -664,  -80,   424,   -832,  -176,  -520, -176,  8,     200,   424,   904,   -832,
      -520,  -176,  8,     200,   552,   904,   -832, -392,  -176}},
};

std::vector<unsigned char> BytesOf(const std::string& hexadecimal) {
  std::vector<unsigned char> bytes;
  for (size_t i = 0; i < hexadecimal.size(); i += 2) {
    bytes.push_back(static_cast<unsigned char>(std::stoi(hexadecimal.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// Where the half floats of a block stand, by the layouts of the formats.
std::vector<size_t> HalvesOf(StoredType type) {
  switch (type) {
    case StoredType::kQ4_1:
    case StoredType::kQ5_1:
    case StoredType::kQ4K:
    case StoredType::kQ5K:
      return {0, 2};
    case StoredType::kQ2K:
      return {80, 82};
    case StoredType::kQ3K:
      return {108};
    case StoredType::kQ6K:
      return {208};
    default:
      return {0};
  }
}

class BlockFormats : public testing::TestWithParam<GoldenBlock> {};

TEST_P(BlockFormats, DecodeGoldenBlocksExactly) {
  const GoldenBlock& golden = GetParam();
  const BlockSize size = BlockOf(golden.type);
  const std::vector<unsigned char> block = BytesOf(golden.bytes);
  ASSERT_EQ(static_cast<int64_t>(block.size()), size.num_bytes);
  ASSERT_EQ(static_cast<int64_t>(golden.integers.size()), size.num_values);
  // Twice, at an odd address.
  std::vector<unsigned char> row = {0x77};
  for (int i = 0; i < 2; ++i) row.insert(row.end(), block.begin(), block.end());
  const int64_t count = 2 * size.num_values;
  std::vector<float> floats(static_cast<size_t>(count), NAN);
  std::vector<double> doubles(static_cast<size_t>(count), NAN);
  DecodeRow(golden.type, row.data() + 1, count, floats.data());
  DecodeRow(golden.type, row.data() + 1, count, doubles.data());
  for (int64_t i = 0; i < count; ++i) {
    const double expected =
        static_cast<double>(golden.integers[static_cast<size_t>(i % size.num_values)]) /
        golden.units_of_one;
    ASSERT_EQ(floats[static_cast<size_t>(i)], expected) << i;
    ASSERT_EQ(doubles[static_cast<size_t>(i)], expected) << i;
  }
}

// What the header promises: the exact value, rounded once.
TEST_P(BlockFormats, FloatsAreTheDoublesRoundedOnce) {
  const StoredType type = GetParam().type;
  const BlockSize size = BlockOf(type);
  Random random(static_cast<uint64_t>(type));
  std::vector<unsigned char> block(static_cast<size_t>(size.num_bytes));
  for (int round = 0; round < 200; ++round) {
    for (unsigned char& byte : block) byte = static_cast<unsigned char>(random.NextInt(256));
    // Finite, and of any magnitude, subnormal numbers included.
    for (const size_t offset : HalvesOf(type)) block[offset + 1] &= 0xbb;
    std::vector<float> floats(static_cast<size_t>(size.num_values));
    std::vector<double> doubles(static_cast<size_t>(size.num_values));
    DecodeRow(type, block.data(), size.num_values, floats.data());
    DecodeRow(type, block.data(), size.num_values, doubles.data());
    for (size_t i = 0; i < floats.size(); ++i) {
      ASSERT_EQ(floats[i], static_cast<float>(doubles[i])) << i;
    }
  }
}

TEST_P(BlockFormats, TinyScalesAreNotFlushed) {
  const GoldenBlock& golden = GetParam();
  std::vector<unsigned char> block = BytesOf(golden.bytes);
  const auto count = static_cast<int64_t>(golden.integers.size());
  std::vector<float> values(golden.integers.size());
  for (const size_t offset : HalvesOf(golden.type)) {
    block[offset] = 0;
    block[offset + 1] = 0;
  }
  block[HalvesOf(golden.type)[0]] = 1;  // 2^-24
  DecodeRow(golden.type, block.data(), count, values.data());
  bool any = false;
  for (const float value : values) {
    EXPECT_EQ(std::nearbyint(value * 0x1p24f), value * 0x1p24f);
    any = any || value != 0;
  }
  EXPECT_TRUE(any);
}

TEST_P(BlockFormats, FindsScalesThatAreNotFinite) {
  const GoldenBlock& golden = GetParam();
  const BlockSize size = BlockOf(golden.type);
  const std::vector<unsigned char> block = BytesOf(golden.bytes);
  std::vector<unsigned char> row = block;
  row.insert(row.end(), block.begin(), block.end());
  EXPECT_FALSE(HasNonFiniteScale(golden.type, row.data(), 2 * size.num_values));
  for (const size_t offset : HalvesOf(golden.type)) {
    for (const unsigned char high : {0x7c, 0xfc, 0x7e}) {  // infinity, -infinity, NaN
      std::vector<unsigned char> broken = row;
      broken[block.size() + offset] = 0;
      broken[block.size() + offset + 1] = high;
      EXPECT_TRUE(HasNonFiniteScale(golden.type, broken.data(), 2 * size.num_values)) << offset;
      EXPECT_FALSE(HasNonFiniteScale(golden.type, broken.data(), size.num_values)) << offset;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, BlockFormats, testing::ValuesIn(kGoldenBlocks),
                         [](const testing::TestParamInfo<GoldenBlock>& info) {
                           return std::string(StoredTypeName(info.param.type));
                         });

TEST(StoredTypes, ElementsAreWidened) {
  const uint16_t halves[] = {0x0001, 0x03ff, 0x3555, 0x7bff, 0xc100};
  const uint16_t brains[] = {0x3f80, 0x4049, 0xc2f7, 0x0001};
  float out[5];
  DecodeRow(StoredType::kF16, halves, 5, out);
  EXPECT_EQ(out[0], 5.9604644775390625e-08f);
  EXPECT_EQ(out[1], 6.097555160522461e-05f);
  EXPECT_EQ(out[2], 0.333251953125f);
  EXPECT_EQ(out[3], 65504.0f);
  EXPECT_EQ(out[4], -2.5f);
  DecodeRow(StoredType::kBF16, brains, 4, out);
  EXPECT_EQ(out[0], 1.0f);
  EXPECT_EQ(out[1], 3.140625f);
  EXPECT_EQ(out[2], -123.5f);
  EXPECT_EQ(out[3], 9.183549615799121e-41f);
  const float floats[] = {1.5f, -2.0f};
  DecodeRow(StoredType::kF32, floats, 2, out);
  EXPECT_EQ(out[1], -2.0f);
  EXPECT_FALSE(HasNonFiniteScale(StoredType::kF16, halves, 5));
}

TEST(StoredTypes, RowsAreWholeBlocks) {
  EXPECT_EQ(RowBytes(StoredType::kQ4_1, 576), 360);
  EXPECT_EQ(RowBytes(StoredType::kQ6K, 512), 420);
  EXPECT_EQ(RowBytes(StoredType::kBF16, 3), 6);
  EXPECT_EQ(StoredTypeName(StoredType::kIQ4XS), "IQ4_XS");
  EXPECT_EQ(StoredTypeName(StoredType::kF32), "F32");
  EXPECT_EQ(FindStoredType("iq4_xs"), StoredType::kIQ4XS);
  EXPECT_EQ(FindStoredType("Q8_0"), StoredType::kQ8_0);
  EXPECT_FALSE(FindStoredType("q4").has_value());
  EXPECT_FALSE(FindStoredType("").has_value());
  for (int type = 0; type < kNumStoredTypes; ++type) {
    if (!IsElementType(static_cast<StoredType>(type))) continue;
    EXPECT_EQ(StoredTypeOf(ElementTypeOf(static_cast<StoredType>(type))),
              static_cast<StoredType>(type));
  }
}

}  // namespace
}  // namespace fastkv
